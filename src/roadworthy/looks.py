"""What people found at some rows, told of all: how likely is each label right?

Detectors rank labels better than they count the wrong ones. A label that is wrong because its
message is hard may look right to all of them: it comes early in the ranking, and yet no threshold
of theirs reaches it. A few dozen looks, spread over the whole ranking, give the count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from roadworthy.doubt import logit

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
FIFTHS, FEW = 5, 5
"""Looks wanted in each fifth of the ranking but the worst, which people look at by themselves:
what they find there alone would be told of rows that nothing speaks against. As many labels are
wanted of those found wrong, and of those found right."""
DRAWS = 200
NO_CLASS = -1
NOBODY: dict[str, Any] = {
    "rows": 0,
    "wrong": 0,
    "expected": None,
    "low": None,
    "high": None,
    "by_detectors": None,
    "believed": None,
}
"""The record of ``tell`` where there is nothing to tell."""


@dataclass(frozen=True)
class Looks:
    """Which rows people have looked at, and the labels of all rows before and after."""

    rows: Flags
    filed: Integers
    decided: Integers
    """``NO_CLASS`` where a row fits none."""

    @property
    def strange(self) -> Flags:
        """Rows that fit no class, as people found."""
        return np.asarray(self.decided == NO_CLASS)

    @property
    def wrong(self) -> Flags:
        """Rows whose label people have changed."""
        return np.asarray(self.rows & (self.filed != self.decided))


def sample(score: Floats, number: int) -> Integers:
    """At most ``number`` rows spread evenly over the ranking by ``score``, lowest first."""
    order, number = np.argsort(score, kind="stable"), min(number, len(score))
    at = (np.arange(number) + 0.5) * len(order) / max(1, number)
    return np.asarray(order[at.astype(np.int64)], dtype=np.int64)


def enough(score: Floats, looks: Looks) -> bool:
    """Whether these looks say something of all rows, see ``FIFTHS`` and ``FEW``."""
    fifth = np.argsort(np.argsort(score, kind="stable")) * FIFTHS // len(score)
    seen = np.bincount(fifth[looks.rows], minlength=FIFTHS)[1:]
    errors = int(looks.wrong.sum())
    return bool(min(*seen, errors, int(looks.rows.sum()) - errors) >= FEW)


def _right(odds: Floats, looked: Integers, right: Flags) -> Floats | None:
    """Probabilities by the curve through what was found; None if it does not rise."""
    if right.all() or not right.any():
        return None
    curve = LogisticRegression(C=100.0).fit(odds[looked], right)
    return np.asarray(curve.predict_proba(odds)[:, 1]) if curve.coef_[0, 0] > 0 else None


def calibrated(score: Floats, looks: Looks) -> Floats | None:
    """Probability that each label was right before people looked, by what they found.

    A logistic curve over the score's logit (Platt 1999). Rows may be looked at because of their
    score, which the curve allows for; not because of what else is known of them.

    Args:
        score: of the labels as filed, in [0, 1], low is bad; by models that learnt neither from the
            row itself nor from its copies, or else rows looked at and others cannot be compared.
        looks: what people found.

    Returns:
        Shape (n,), or None where that is not ``enough``.

    """
    if not enough(score, looks):
        return None
    looked = np.flatnonzero(looks.rows)
    return _right(logit(score)[:, None], looked, ~looks.wrong[looked])


def tell(score: Floats, own: Floats, looks: Looks, seed: int) -> tuple[Floats, dict[str, Any]]:
    """How likely each label was right before people looked, and how many labels are wrong.

    A hundred looks count coarsely. Where as many labels are wrong by the detectors' own
    probabilities as the interval of what people found allows, these stay: they tell more of single
    rows. Else, the probabilities are ``calibrated``.

    Args:
        score: as for ``calibrated``.
        own: the detectors' probability that each label is right, shape (n,).
        looks: what people found.
        seed: of the interval.

    Returns:
        Probabilities (n,), and a record for the stage's metrics: ``rows, wrong`` looked at, and
        whose label was changed; ``expected, low, high`` wrong labels among all rows by what was
        found, with a 95 % interval (looks drawn anew, then each other label right or wrong by the
        probability that they give it), None where looks are not ``enough``; ``by_detectors`` as
        many as they expect; ``believed`` is who gave the probabilities, detectors or looks.

    """
    found, rest = int(looks.wrong.sum()), ~looks.rows
    by_detectors = found + float((1 - own)[rest].sum())
    counted = NOBODY | {"rows": int(looks.rows.sum()), "wrong": found}
    counted |= {"by_detectors": by_detectors, "believed": "detectors"}
    told = calibrated(score, looks)
    if told is None:
        return own, counted
    low, high = np.quantile(_counts(score, looks, seed), [0.025, 0.975])
    expected = found + float((1 - told)[rest].sum())
    counted |= {"expected": expected, "low": float(low), "high": float(high)}
    if low <= by_detectors <= high:
        return own, counted
    return told, counted | {"believed": "looks"}


def _counts(score: Floats, looks: Looks, seed: int) -> list[int]:
    """Numbers of wrong labels among all rows, had others been looked at."""
    looked, rest, odds = np.flatnonzero(looks.rows), ~looks.rows, logit(score)[:, None]
    generator, totals = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        drawn = generator.choice(looked, len(looked))
        again = _right(odds, drawn, ~looks.wrong[drawn])
        if again is not None:
            wrong = generator.random(int(rest.sum())) >= again[rest]
            totals.append(int(looks.wrong.sum()) + int(wrong.sum()))
    return totals
