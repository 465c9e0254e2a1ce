"""Why this label? The nearest training messages, and the words that speak for it.

Neither is a proof: neighbours show what the model has learnt from, and leaving out a word shows
what this one decision leans on.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
