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


def problem(entry: dict[str, Any], known: set[str]) -> str:
    """What is wrong with a test as it was written; empty if nothing is.

    ``known`` are the labels that it may name.
    """
    needs = {
        "invariance": entry.get("change") or entry.get("before") or entry.get("after"),
        "direction": entry.get("before") or entry.get("after"),
        "minimum": entry.get("texts"),
    }
    kind, limit = entry.get("kind"), entry.get("at_most")
    if kind not in needs:
        return f"kind {kind!r} is not one of {', '.join(needs)}"
    if not needs[kind]:
        return "it says neither what to change nor what to try"
    for key in ("name", "change", "before", "after", "label"):
        if key in entry and not isinstance(entry[key], str):
            return f"{key} = {entry[key]!r} is no text: put it in quotes"
    texts = entry.get("texts", [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return "texts are no list of texts"
    if entry.get("change") not in (None, *CHANGES):
        return f"change {entry['change']!r} is not one of {', '.join(CHANGES)}"
    if kind != "invariance" and entry.get("label") not in known:
        return f"no message in scope has the label {entry.get('label')!r}"
    if not isinstance(limit, int | float) or not 0 <= limit <= 1:
        return f"at_most = {limit!r} is no share between 0 and 1"
    return ""
