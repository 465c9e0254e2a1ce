"""What people found at some rows, told of all: how likely is each label right?

Detectors rank labels better than they count the wrong ones. A label that is wrong because its
message is hard looks right to every model; no threshold of theirs finds it, though it stands high
in the ranking. A few dozen rows spread over the whole ranking, looked at, give the count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
FLOOR = 1e-6
ANCHORS = 20
"""Looks wanted in the better half of the ranking: people look at the worse end by themselves, and
what they find there alone would be told of rows that nothing speaks against."""
EITHER = 5
"""Labels wanted of those found wrong, and of those found right."""


@dataclass(frozen=True)
class Looks:
    """Which rows people have looked at, and what was on file before."""

    rows: Flags
    filed: Integers
    """Labels as integers before people's decisions, of all rows."""


def sample(score: Floats, number: int) -> Integers:
    """At most ``number`` rows spread evenly over the ranking by ``score``, lowest first."""
    order = np.argsort(score, kind="stable")
    at = (np.arange(min(number, len(order))) + 0.5) * len(order) / max(1, min(number, len(order)))
    return np.asarray(order[at.astype(np.int64)], dtype=np.int64)


def calibrated(score: Floats, looked: Flags, wrong: Flags) -> Floats | None:
    """Probability that each label is right, from what was found at the rows looked at.

    A logistic curve over the score's logit (Platt 1999). Rows may be looked at because of their
    score, which the curve allows for; not because of what else is known of them.

    Args:
        score: in [0, 1], low is bad, of the labels before anybody looked; shape (n,).
        looked: which rows people have looked at.
        wrong: of those, whose label they changed; the others are not read.

    Returns:
        Shape (n,), or None where too little was looked at, see ``ANCHORS`` and ``EITHER``.

    """
    better = looked & (score >= np.median(score))
    errors = int((wrong & looked).sum())
    if better.sum() < ANCHORS or min(errors, int(looked.sum()) - errors) < EITHER:
        return None
    own = np.clip(score, FLOOR, 1 - FLOOR)
    logit = np.log(own / (1 - own))[:, None]
    curve = LogisticRegression(C=100.0).fit(logit[looked], ~wrong[looked])
    return np.asarray(curve.predict_proba(logit)[:, 1])
