"""The demo: type a message, see where the trained model would send it, and how sure it is.

``python -m roadworthy demo`` (or ``make demo``). The page loads nothing from elsewhere and records
nothing but what is decided in its second tab, see ``review_page``.
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from roadworthy import review, review_page, store
from roadworthy.calibration import log_tempered
from roadworthy.config import recorded
from roadworthy.errors import UserError

LIMIT = 5_000
"""Characters that the text box accepts."""


def router(
    threshold: float | None,
    temperature: float,
    model: Any,  # noqa: ANN401
) -> Callable[[str], tuple[dict[str, float], str]]:
    """A function from a message to its calibrated probabilities and what would happen to it.

    Args:
        threshold: calibrated confidence from which a message is routed without a person; None:
            never.
        temperature: fitted on validation rows.
        model: with ``labels`` and ``predict_proba``.

    """

    def route(message: str) -> tuple[dict[str, float], str]:
        text = (message or "").strip()[:LIMIT]
        if not text:
            return {}, "Type a message first."
        probabilities = np.exp(log_tempered(model.predict_proba([text]), temperature))[0]
        order = np.argsort(-probabilities)[:5]
        scores = {model.labels[i]: float(probabilities[i]) for i in order}
        best = model.labels[order[0]]
        sure = threshold is not None and probabilities[order[0]] >= threshold
        action = "routed without a person" if sure else "shown to a person first"
        limit = (
            "no threshold meets the accepted risk"
            if threshold is None
            else f"threshold {threshold:.2f}"
        )
        name, confidence = html.escape(best), probabilities[order[0]]
        return scores, f"**{name}**: {action} (confidence {confidence:.2f}, {limit})."

    return route


def build() -> Any:  # noqa: ANN401 - gradio's Blocks
    """The page over artifacts/finetune/merged, with temperature and threshold from ``evaluate``.

    Raises:
        UserError: a stage has not run yet; names the command.

    """
    from roadworthy.models.lora import LoraClassifier

    settings = recorded()
    model = LoraClassifier(store.folder("finetune", "merged"), settings.encoder)
    fitted = store.read_json("artifacts/evaluate/calibration.json", "evaluate")["lora"]
    verdict = store.read_metrics("readiness")["verdict"]
    messages = store.read_messages()
    examples = messages[messages["split"] == "validation"].drop_duplicates("label")["text"].head(6)
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")
    import gradio as gr

    with gr.Blocks(title="Roadworthy", analytics_enabled=False) as page, gr.Tabs():
        with gr.Tab("Route a message"):
            gr.Markdown(
                "# Where would this message go?\n"
                f"The LoRA-tuned model trained on **{html.escape(settings.data.name)}** "
                f"({len(model.labels)} intents). Readiness verdict: **{verdict}**. "
                "What you type stays on this machine."
            )
            message = gr.Textbox(label="Customer message", lines=4, max_length=LIMIT)
            button = gr.Button("Route", variant="primary")
            decision = gr.Markdown()
            scores = gr.Label(label="Intent and calibrated probability", num_top_classes=5)
            gr.Examples(
                [[text] for text in examples],
                inputs=message,
                label="Messages from the validation rows",
            )
            route = router(fitted["threshold"], fitted["temperature"], model)
            gr.on(
                [button.click, message.submit],
                route,
                inputs=message,
                outputs=[scores, decision],
                api_name="route",
            )
        with gr.Tab("Review doubted labels"):
            review_page.add(page, settings.data, review.labels(messages))
    return page


def serve(port: int) -> None:
    """Serve the page on this machine only, until interrupted."""
    page = build()
    try:
        page.launch(
            server_name="127.0.0.1",
            server_port=port,
            share=False,
            run_history=False,
            footer_links=[],
            quiet=False,
        )
    except OSError as error:
        raise UserError(
            f"the demo cannot start on port {port} ({error}): choose another with --port"
        ) from error
