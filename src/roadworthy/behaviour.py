"""Behavioural tests: what must not change, what must not fall, and what must simply work.

After CheckList (Ribeiro et al. 2020): a good score on average says little about a model that a
typo, a greeting or a plain request can throw. The tests are data; one that fails blocks a release.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy.census import shown
from roadworthy.checklist import CHANGES, table
from roadworthy.intervals import wilson

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
KINDS = ("invariance", "direction", "minimum")
BUILT_IN: list[dict[str, Any]] = [
    {"name": name, "kind": "invariance", "change": name, "at_most": limit}
    for name, limit in (("typo", 0.2), ("lower", 0.1), ("upper", 0.2), ("no_punctuation", 0.1))
]
"""Tests for data that brings none of its own."""


def cases(tests: pd.DataFrame, texts: pd.Series, rows: int, seed: int) -> pd.DataFrame:
    """Every case of every test: ``test, kind, text, original, label``.

    Args:
        tests: from ``checklist.table``.
        texts: messages that invariance and direction tests change; a change that changes nothing
            makes no case.
        rows: how many of them, drawn once.
        seed: of the draw and the typos.

    """
    generator, lines = np.random.default_rng(seed), []
    some = texts.sample(min(rows, len(texts)), random_state=seed).tolist()
    for test in tests.to_dict("records"):
        name, kind, label = test["name"], test["kind"], test["label"]
        if kind == "minimum":
            lines += [(name, kind, text, "", label) for text in test["texts"]]
            continue
        change = CHANGES.get(test["change"])
        for original in some:
            changed = change(original, generator) if change else original
            text = test["before"] + changed + test["after"]
            if text != original:
                lines.append((name, kind, text, original, label))
    return pd.DataFrame(lines, columns=["test", "kind", "text", "original", "label"])


def answers(
    frame: pd.DataFrame, labels: Sequence[str], predict: Callable[[list[str]], Floats]
) -> pd.DataFrame:
    """The cases with ``said`` (the label given), ``was`` (before the change) and ``failed``.

    Args:
        frame: from ``cases``.
        labels: class names in the order of the columns of probabilities.
        predict: texts to class probabilities (texts, classes).

    """
    if frame.empty:
        return frame.assign(said="", was="", failed=False)
    every = list(dict.fromkeys([*frame["text"], *frame["original"]]))
    row = {text: number for number, text in enumerate(every)}
    p = predict(every)
    names, place = np.asarray(labels, dtype=object), {n: at for at, n in enumerate(labels)}
    after, before = (p[[row[text] for text in frame[key]]] for key in ("text", "original"))
    said, was = names[after.argmax(axis=1)], names[before.argmax(axis=1)]
    column = frame["label"].map(place).fillna(0).astype(int).to_numpy()
    at = np.arange(len(frame))
    failed = {
        "invariance": said != was,
        # A probability that stays within rounding has not fallen.
        "direction": after[at, column] < before[at, column] - 1e-4,
        "minimum": said != frame["label"].to_numpy(),
    }
    wrong = np.select([frame["kind"] == kind for kind in KINDS], [failed[kind] for kind in KINDS])
    return frame.assign(said=said, was=was, failed=wrong.astype(bool))


def judge(tests: pd.DataFrame, answered: pd.DataFrame) -> pd.DataFrame:
    """One line a test: ``kind, cases, failures, share, low, high, at_most, passed``.

    Share of failures with its 95 % Wilson interval; a test without a case has not passed.
    """
    lines = []
    for test in tests.to_dict("records"):
        part = answered[answered["test"] == test["name"]]
        failures, n = int(part["failed"].sum()), len(part)
        low, high = wilson(failures, n, CONFIDENCE)
        share, limit = failures / n if n else np.nan, float(test["at_most"])
        passed = bool(n) and share <= limit
        lines.append((test["name"], test["kind"], n, failures, share, low, high, limit, passed))
    names = ["test", "kind", "cases", "failures", "share", "low", "high", "at_most", "passed"]
    return pd.DataFrame(lines, columns=names)


def of(tests: pd.DataFrame) -> pd.DataFrame:
    """The data's own tests, or those built in where it brings none."""
    return tests if len(tests) else table(BUILT_IN)


def failing(answered: pd.DataFrame, most: int = 5) -> pd.DataFrame:
    """The first ``most`` failures of each test, text shortened and masked: what to look at."""
    some = answered[answered["failed"]].groupby("test", sort=False).head(most)
    columns = ["test", "kind", "text", "label", "was", "said"]
    return some.assign(text=some["text"].map(shown))[columns].reset_index(drop=True)


def record(judged: pd.DataFrame) -> dict[str, object]:
    """Counts, and the names of the tests that failed."""
    failed = judged.loc[~judged["passed"], "test"].tolist()
    return {"tests": len(judged), "cases": int(judged["cases"].sum()), "failed": len(failed)} | {
        "failing": failed
    }
