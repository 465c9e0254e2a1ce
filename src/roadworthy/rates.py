"""What a group of judged messages shows: shares with their intervals, and the counts behind them.

``judged`` has a row a message: ``label`` (as predicted), ``confidence``, ``automated``, ``held``
(back by the guard), ``truth`` (what people say; NaN: nothing) and ``cluster``. If the
truth is not among the classes, the message is of no known class.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from roadworthy import calibration, intervals
from roadworthy.intervals import Flags

LEAST = 100
"""Labelled messages of known classes from which there is an expected calibration error."""

Share = tuple[Flags, Flags]
"""The rows that count, and the rows among which they are counted."""


def shares(judged: pd.DataFrame, classes: Collection[str]) -> dict[str, Share]:
    """Every share, by name.

    ``accuracy`` is that of messages of known classes, ``risk`` the errors among the automated ones
    of any class, ``recall`` what the guard holds back of those of no known class, ``beyond`` how
    many these are.
    """
    automated, held = judged["automated"].to_numpy(bool), judged["held"].to_numpy(bool)
    told = judged["truth"].notna().to_numpy(bool)
    known = judged["truth"].isin(list(classes)).to_numpy(bool)
    right = (judged["label"] == judged["truth"]).to_numpy(bool)
    every = np.ones(len(judged), dtype=bool)
    return {
        "automated": (automated, every),
        "unsure": (~automated & ~held, every),
        "held": (held, every),
        "accuracy": (right, known),
        "risk": (~right, told & automated),
        "recall": (held, told & ~known),
        "beyond": (~known, told),
    }


def counts(judged: pd.DataFrame, classes: Collection[str]) -> dict[str, tuple[int, int]]:
    """How many count for each share, and among how many, if near-copies count once."""
    found, clusters = {}, judged["cluster"].to_numpy(np.int64)
    for name, (counted, among) in shares(judged, classes).items():
        worth = intervals.independent(clusters[among])
        value = float(counted[among].mean()) if among.any() else 0.0
        found[name] = (round(value * worth), round(worth))
    return found


def estimates(
    judged: pd.DataFrame, classes: Collection[str], level: float
) -> dict[str, dict[str, Any]]:
    """Each share with its Wilson interval; NaN throughout where there is no row to tell."""
    clusters = judged["cluster"].to_numpy(np.int64)
    return {
        name: asdict(intervals.accuracy(counted, clusters, level, among))
        for name, (counted, among) in shares(judged, classes).items()
    }


def summary(
    judged: pd.DataFrame, classes: Collection[str], level: float, bins: int, seed: int
) -> dict[str, Any]:
    """All that is shown of a group: ``messages, labelled, shares, confidence, ece``.

    ``ece`` has the ``value``, what a ``perfect`` model would have on these rows by chance, and
    ``n``; None on fewer than ``LEAST`` rows.
    """
    confidence = judged["confidence"].to_numpy(np.float64)
    right, known = shares(judged, classes)["accuracy"]
    ece = None
    if known.sum() >= LEAST:
        ece = {
            "value": calibration.calibration_error(confidence[known], right[known], bins),
            "perfect": calibration.perfect_error(confidence[known], bins, seed),
            "n": int(known.sum()),
        }
    return {
        "messages": len(judged),
        "labelled": int(judged["truth"].notna().sum()),
        "shares": estimates(judged, classes, level),
        "confidence": asdict(intervals.student(confidence.tolist(), level)),
        "ece": ece,
    }
