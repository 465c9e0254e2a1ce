"""The demo: type a message, see where the trained model would send it, and how sure it is.

``python -m roadworthy demo`` (or ``make demo``). The page loads nothing from elsewhere and records
nothing but what is decided in its second tab, see ``review_page``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import embeddings, explain, markdown, review, review_page, store
from roadworthy.config import recorded
from roadworthy.errors import UserError
from roadworthy.readiness import verdict_on
from roadworthy.service import Service, load

LIMIT = 5_000
"""Characters that the text box accepts."""


def router(service: Service) -> Callable[[str], tuple[dict[str, float], str]]:
    """A function from a message to its calibrated probabilities and what would happen to it."""

    def route(message: str) -> tuple[dict[str, float], str]:
        text = (message or "").strip()[:LIMIT]
        if not text:
            return {}, "Type a message first."
        judged = service.judge([text])
        order = np.argsort(-judged[0][0])[:5]
        scores = {service.labels[i]: float(judged[0][0, i]) for i in order}
        decided = service.decide(*judged).iloc[0]
        said = explain.action(decided, service.fitted["threshold"])
        return scores, f"**{markdown.text(decided['label'])}**: {said}."

    return route


def explainer(
    model: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    rows: pd.DataFrame,
    vectors: NDArray[np.float32],
) -> Callable[[str], tuple[list[tuple[str, float]], list[list[str]]]]:
    """A function from a message to what speaks for its label: words with scores, neighbours.

    Args:
        model: with ``predict_proba``.
        network: its fine-tuned network, with ``vectors``.
        rows: training messages, ``text, label``.
        vectors: theirs, by the network.

    """

    def why(message: str) -> tuple[list[tuple[str, float]], list[list[str]]]:
        text = (message or "").strip()[:LIMIT]
        if not text:
            return [], []
        words, near = explain.why(text, model, network, rows, vectors)
        largest = max((abs(score) for _, score in words), default=0.0) or 1.0
        lines = near.assign(cosine=near["cosine"].map("{:.2f}".format)).to_numpy().tolist()
        return [(word, score / largest) for word, score in words], lines

    return why


def introduction(data: str, intents: int) -> str:
    """What the page shows, what the verdict is, and how much is routed, as Markdown."""
    judged, scored = store.read_metrics("readiness"), store.read_metrics("evaluate")
    found = scored["served"]
    wrong = "" if found["risk"] is None else f", {found['risk']:.1%} of them wrongly"
    verdict, reasons = verdict_on(data, judged)
    because = f" because of {markdown.text(', '.join(reasons))}" if reasons else ""
    return (
        "# Where would this message go?\n"
        f"The fine-tuned model, trained on **{markdown.text(data)}** ({intents} intents). "
        f"Readiness verdict: **{verdict}**{because}. A message is routed without a person if the "
        f"model is so sure that errors stay below {found['target_risk']:.1%}, by validation rows. "
        f"Of the test messages these are {found['coverage']:.1%}{wrong}. What you type stays on "
        f"this machine."
    )


def build() -> Any:  # noqa: ANN401 - gradio's Blocks
    """The page over artifacts/finetune, with temperature and threshold from ``evaluate``.

    Raises:
        UserError: a stage has not run yet, or since another one has; names the command.

    """
    settings, service = recorded(), load()
    model, network = service.model, service.network
    messages = store.read_messages()
    examples = messages[messages["split"] == "validation"].drop_duplicates("label")["text"].head(6)
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")
    import gradio as gr

    with gr.Blocks(title="Roadworthy", analytics_enabled=False) as page, gr.Tabs():
        with gr.Tab("Route a message"):
            gr.Markdown(introduction(settings.data.name, len(model.labels)))
            message = gr.Textbox(label="Customer message", lines=4, max_length=LIMIT)
            button = gr.Button("Route", variant="primary")
            decision = gr.Markdown()
            scores = gr.Label(label="Intent and calibrated probability", num_top_classes=5)
            words = gr.HighlightedText(
                label="Words that speak for the label, and against it (one left out at a time)"
            )
            near = gr.Dataframe(
                headers=["nearest training messages", "label", "cosine"],
                datatype="str",
                interactive=False,
                wrap=True,
            )
            shown = [[text] for text in examples]
            gr.Examples(shown, inputs=message, label="Messages from the validation rows")
            rows, vectors = embeddings.read_tuned()
            gr.on(
                [button.click, message.submit],
                router(service),
                inputs=message,
                outputs=[scores, decision],
                api_name="route",
            ).then(
                explainer(model, network, rows, vectors),
                inputs=message,
                outputs=[words, near],
                api_name="why",
            )
        with gr.Tab("Review labels"):
            review_page.add(page, settings.data, review.labels(settings.data, messages))
    return page


def serve(port: int) -> None:
    """Serve the page on this machine only, until interrupted."""
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    page = build()
    # The page writes decisions: a foreign site that resolves to this machine must not reach it.
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    try:
        page.launch(
            server_name="127.0.0.1",
            server_port=port,
            share=False,
            run_history=False,
            app_kwargs={"middleware": [guard]},
            footer_links=[],
            quiet=False,
        )
    except (OSError, OverflowError) as error:
        raise UserError(
            f"the demo cannot start on port {port} ({error}): choose another with --port"
        ) from error
