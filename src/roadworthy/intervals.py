"""How sure a score is: paired bootstrap, Wilson interval, exact McNemar test.

All models share one set of resampled rows (``resampled``), so differences between them are paired.
Near-copies are answered alike, so they are no independent rows: wherever ``clusters`` are given,
these are what is drawn and counted. Arrays in, numbers out: nothing here reads, writes or knows a
stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, t

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
Weights = NDArray[np.uint16]

BLOCK = 256
"""Resamples counted at a time; bounds memory, changes no result."""


@dataclass(frozen=True)
class Estimate:
    """A score on ``n`` rows with its interval; NaN throughout when there is no row."""

    value: float
    low: float
    high: float
    n: int


def resampled(clusters: Codes, resamples: int, seed: int) -> Weights:
    """How often each row is drawn in each resample: (resamples, rows).

    Whole clusters are drawn, as many as there are; ``clusters`` says of each row which it is in.
    """
    generator = np.random.default_rng(seed)
    codes, names = pd.factorize(clusters)
    number, weights = len(names), np.empty((resamples, len(codes)), dtype=np.uint16)
    for draw in range(resamples):
        counts = np.bincount(generator.integers(number, size=number), minlength=number)
        weights[draw] = counts[codes]
    return weights


def independent(clusters: Codes) -> float:
    """How many independent rows clustered ones are worth, if a cluster has one answer (Kish 1965).

    From 1 (all in one cluster) to the number of rows (each in its own).
    """
    sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


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
    correct: Flags, clusters: Codes, confidence: float, among: Flags | None = None
) -> Estimate:
    """Share of correct rows, 0-1, with Wilson's interval on as many rows as they are worth.

    Wilson's holds what it says near 1 and on few rows, where percentiles of resamples collapse.
    ``among`` restricts the score to a part of the rows.
    """
    kept = np.ones(len(correct), dtype=bool) if among is None else among
    value = float(correct[kept].mean()) if kept.any() else float("nan")
    worth = independent(clusters[kept])
    return Estimate(value, *wilson(value * worth, worth, confidence), int(kept.sum()))


def difference(first: Flags, second: Flags, weights: Weights, confidence: float) -> Estimate:
    """Accuracy of ``first`` minus accuracy of ``second`` on the same rows, paired."""
    gain = first.astype(np.int64) - second.astype(np.int64)
    totals = _totals(weights, np.stack([gain, np.ones_like(gain)], axis=1))
    with np.errstate(invalid="ignore"):
        draws = totals[:, 0] / totals[:, 1]
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


def mcnemar(first: Flags, second: Flags, clusters: Codes) -> tuple[int, int, float]:
    """Clusters of which ``first`` gets more rows right, those of ``second``, the exact p-value.

    McNemar (1947): the binomial test of the discordant rows, two-sided; p = 1 without any. A
    cluster counts once, so that copies do not repeat a chance.
    """
    gain = first.astype(np.int64) - second.astype(np.int64)
    gain = np.bincount(pd.factorize(clusters)[0], gain).astype(np.int64)
    wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
    both = wins + losses
    return wins, losses, float(binomtest(wins, both, 0.5).pvalue) if both else 1.0


def wilson(successes: float, n: float, confidence: float) -> tuple[float, float]:
    """Score interval of a proportion without continuity correction (Wilson 1927); NaN for n = 0.

    ``n`` need not be whole: clustered rows are worth fewer than they are, see ``independent``.
    """
    if n == 0:
        return float("nan"), float("nan")
    z, p = float(norm.ppf((1 + confidence) / 2)), successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
