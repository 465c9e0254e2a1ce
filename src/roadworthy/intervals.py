"""How sure a score is: paired bootstrap, Wilson interval, exact McNemar test.

All models share one set of resampled rows (``resampled``), so differences between them are paired.
Arrays in, numbers out: nothing here reads, writes or knows a stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, t

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
Weights = NDArray[np.uint16]

BLOCK = 256
"""Resamples counted at a time; bounds memory, changes no result."""


@dataclass(frozen=True)
class Estimate:
    """A score on ``n`` rows with its percentile interval; NaN throughout when there is no row."""

    value: float
    low: float
    high: float
    n: int


def resampled(rows: int, resamples: int, seed: int) -> Weights:
    """How often each row is drawn in each resample: (resamples, rows), lines sum to ``rows``."""
    generator = np.random.default_rng(seed)
    weights = np.empty((resamples, rows), dtype=np.uint16)
    for number in range(resamples):
        weights[number] = np.bincount(generator.integers(rows, size=rows), minlength=rows)
    return weights


def student(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean of independent runs with Student's interval (1908); NaN for what is not known."""
    known = np.asarray(values, dtype=np.float64)
    if len(known) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    value, half = float(known.mean()), float("nan")
    if len(known) > 1:
        scale = float(known.std(ddof=1)) / len(known) ** 0.5
        half = float(t.ppf((1 + confidence) / 2, len(known) - 1)) * scale
    return Estimate(value, value - half, value + half, len(known))


def _totals(weights: Weights, columns: NDArray[Any]) -> Floats:
    """Weighted column sums, (resamples, columns); float32 is exact, as counts stay below 2**24."""
    ready = columns.astype(np.float32)
    blocks = [
        weights[start : start + BLOCK].astype(np.float32) @ ready
        for start in range(0, len(weights), BLOCK)
    ]
    return np.concatenate(blocks).astype(np.float64)


def interval(value: float, draws: Floats, n: int, confidence: float) -> Estimate:
    """Percentile bootstrap interval (Efron 1979) of a score; draws without a score are left out."""
    known = draws[np.isfinite(draws)]
    if n == 0 or len(known) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), n)
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high), n)


def accuracy(
    correct: Flags, weights: Weights, confidence: float, among: Flags | None = None
) -> Estimate:
    """Share of correct rows, 0-1; ``among`` restricts the score to a part of the same rows."""
    kept = np.ones(len(correct), dtype=bool) if among is None else among
    totals = _totals(weights, np.stack([correct & kept, kept], axis=1))
    with np.errstate(invalid="ignore"):
        draws = totals[:, 0] / totals[:, 1]
    value = float(correct[kept].mean()) if kept.any() else float("nan")
    return interval(value, draws, int(kept.sum()), confidence)


def difference(first: Flags, second: Flags, weights: Weights, confidence: float) -> Estimate:
    """Accuracy of ``first`` minus accuracy of ``second`` on the same rows, paired."""
    gain = first.astype(np.int64) - second.astype(np.int64)
    draws = _totals(weights, gain[:, None])[:, 0] / len(gain)
    return interval(float(gain.mean()), draws, len(gain), confidence)


def _macro_f1(truth: Codes, predicted: Codes, classes: int, weights: Weights) -> Floats:
    """Macro-F1 of each weighting.

    A class that is neither true nor predicted in a resample is left out, as scikit-learn does.
    """
    each = np.eye(classes, dtype=np.float32)
    true, guess = each[truth], each[predicted]
    totals = _totals(weights, np.hstack([true * guess, true, guess]))
    hits, support, guessed = np.split(totals, 3, axis=1)
    with np.errstate(invalid="ignore"):
        scores = 2 * hits / (support + guessed)
    seen = support + guessed > 0
    return np.asarray(np.nansum(scores, axis=1) / seen.sum(axis=1), dtype=np.float64)


def macro_f1(
    truth: Codes, predicted: Codes, classes: int, weights: Weights, confidence: float
) -> Estimate:
    """Unweighted mean of the classes' F1, 0-1; ``truth`` and ``predicted`` are class numbers."""
    if len(truth) == 0:
        return interval(float("nan"), np.empty(0), 0, confidence)
    once = np.ones((1, len(truth)), dtype=np.uint16)
    value = float(_macro_f1(truth, predicted, classes, once)[0])
    draws = _macro_f1(truth, predicted, classes, weights)
    return interval(value, draws, len(truth), confidence)


def mcnemar(first: Flags, second: Flags) -> tuple[int, int, float]:
    """Rows only ``first`` gets right, rows only ``second`` gets right, and the exact p-value.

    McNemar (1947): the binomial test of the discordant rows, two-sided; p = 1 without any.
    """
    wins, losses = int((first & ~second).sum()), int((second & ~first).sum())
    both = wins + losses
    return wins, losses, float(binomtest(wins, both, 0.5).pvalue) if both else 1.0


def wilson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Score interval of a proportion without continuity correction (Wilson 1927); NaN for n = 0."""
    if n == 0:
        return float("nan"), float("nan")
    bounds = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(bounds.low), float(bounds.high)
