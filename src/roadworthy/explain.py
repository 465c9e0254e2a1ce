"""Why this label? The nearest training messages, and the words that speak for it.

``python -m roadworthy explain "MESSAGE"`` prints them below the decision; the demo shows the same.
Neither is a proof: neighbours show what the model has learnt from, and leaving out a word shows
what this one decision leans on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import embeddings, service
from roadworthy.census import shown
from roadworthy.errors import UserError

Predict = Callable[[list[str]], NDArray[np.float64]]
WORDS = 80
"""Words of a message that are tried one by one; what comes after them is not."""


def nearest(
    vector: NDArray[np.floating],
    train: NDArray[np.floating],
    rows: pd.DataFrame,
    k: int = 3,
) -> pd.DataFrame:
    """The k training messages with the highest cosine: ``text, label, cosine``.

    Args:
        vector: of the message, (d,), unit length.
        train: of the training rows, (rows, d), unit length.
        rows: the training rows, ``text, label``.
        k: how many.

    """
    cosine = train @ vector
    best = np.argsort(-cosine, kind="stable")[:k]
    return rows.iloc[best][["text", "label"]].assign(cosine=cosine[best]).reset_index(drop=True)


def attributions(text: str, predict: Predict, label: int) -> list[tuple[str, float]]:
    """Each word with what its absence takes from the label's probability, in [-1, 1].

    Occlusion (Zeiler and Fergus 2014), one word at a time; positive words speak for the label.
    White space belongs to the word before it, so that the parts joined are the text.
    """
    parts = re.findall(r"\S+\s*|^\s+", text)
    tried = [place for place, part in enumerate(parts) if part.strip()][:WORDS]
    if len(tried) < 2:
        return [(part, 0.0) for part in parts]
    without = ["".join(parts[:place] + parts[place + 1 :]) for place in tried]
    p = predict([text, *without])[:, label]
    drop = dict(zip(tried, p[0] - p[1:], strict=True))
    return [(part, float(drop.get(place, 0.0))) for place, part in enumerate(parts)]


def why(
    text: str,
    model: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    rows: pd.DataFrame,
    vectors: NDArray[np.floating],
) -> tuple[list[tuple[str, float]], pd.DataFrame]:
    """Attributions of a message's words for the label it gets, and its nearest training messages.

    Args:
        text: the message.
        model: with ``predict_proba``.
        network: its fine-tuned network, with ``vectors``.
        rows: training messages, ``text, label``.
        vectors: theirs by the network, (rows, d), unit length.

    """
    label = int(model.predict_proba([text]).argmax())
    near = nearest(network.vectors([text])[0], vectors, rows)
    return attributions(text, model.predict_proba, label), near


def action(decided: pd.Series, threshold: float | None) -> str:
    """What happens to a message and why, in words; ``decided`` is a row of ``Service.decide``."""
    confidence = f"confidence {decided['confidence']:.4f}"
    if decided["decision"] == service.UNLIKE:
        return f"shown to a person first, it looks like none of the known intents ({confidence})"
    sure = decided["decision"] == service.AUTOMATED
    happens = "routed without a person" if sure else "shown to a person first"
    limit = "no confidence keeps the accepted error rate"
    if threshold is not None:
        limit = f"{threshold:.4f} is needed"
    return f"{happens} ({confidence}, {limit})"


def run(text: str) -> str:
    """One message: the decision, the nearest training messages, and what each word is worth.

    Plain text for a terminal: what people wrote is masked, on one line, without control characters.

    Raises:
        UserError: no message, no trained model.

    """
    message = text.strip()
    if not message:
        raise UserError("explain: the message is empty: give its text in quotes")
    if any("\ud800" <= one <= "\udfff" for one in message):  # bytes that could not be decoded
        raise UserError("explain: the message is no UTF-8: set the terminal's encoding to UTF-8")
    served = service.load()
    decided = served.decide(*served.judge([message])).iloc[0]
    words, near = why(message, served.model, served.network, *embeddings.read_tuned())
    label = shown(decided["label"])
    return "\n".join(
        [
            f"{label}: {action(decided, served.fitted['threshold'])}",
            "\nNearest training messages, by the cosine of their vectors:",
            *(
                f"  {row['cosine']:.2f}  {shown(row['label'])}: {shown(row['text'], 100)}"
                for row in near.to_dict("records")
            ),
            f"\nWhat leaving a word out takes from the probability of {label}, before calibration:",
            *_listed(words),
        ]
    )


def _listed(words: list[tuple[str, float]]) -> list[str]:
    """A line a word."""
    if len(words) < 2:
        return ["  nothing: it is the only word"]
    lines = [f"  {score:+.3f}  {shown(word) or '(invisible)'}" for word, score in words[:WORDS]]
    left = len(words) - WORDS
    return lines + ([f"  the {left:,} words after these were not tried"] if left > 0 else [])
