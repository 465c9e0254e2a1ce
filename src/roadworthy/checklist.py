"""What a behavioural test may say: its keys, and the changes of a text that it may name.

After CheckList (Ribeiro et al. 2020); ``behaviour`` makes cases of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = ["name", "kind", "change", "before", "after", "label", "texts", "at_most"]


def typo(text: str, generator: np.random.Generator) -> str:
    """Two neighbouring letters of one word of four letters or more change places."""
    places = [found.span() for found in re.finditer(r"[^\W\d_]{4,}", text)]
    if not places:
        return text
    start, end = places[int(generator.integers(len(places)))]
    at = int(generator.integers(start + 1, end - 1))
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


CHANGES: dict[str, Callable[[str, np.random.Generator], str]] = {
    "typo": typo,
    "lower": lambda text, _: text.lower(),
    "upper": lambda text, _: text.upper(),
    "no_punctuation": lambda text, _: re.sub(r"[^\w\s]", "", text),
}


def table(tests: list[dict[str, Any]]) -> pd.DataFrame:
    """Tests one a row, ``COLUMNS``; blank where a test has no such key."""
    blank: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {"texts": []}
    return pd.DataFrame([blank | test for test in tests], columns=COLUMNS)
