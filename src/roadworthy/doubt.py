"""Scores of how much a label is to be doubted, from class probabilities; low is bad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit
from scipy.special import logit as log_odds

from roadworthy.models.architecture import softmax

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
FLOOR = 1e-6
DOUBT = 0.5
"""A label is doubted if it is more likely wrong than right."""


def logit(score: Floats) -> Floats:
    """Log odds of scores in [0, 1], finite for all of them."""
    return np.asarray(log_odds(np.clip(score, FLOOR, 1 - FLOOR)))


def consensus(scores: Sequence[Floats]) -> Floats:
    """What several scores of the same rows say together: their mean in log odds, in [0, 1]."""
    return np.asarray(expit(np.mean([logit(score) for score in scores], axis=0)))


def given(probabilities: Floats, y: Integers) -> Floats:
    """Probability of the given label, per row."""
    return np.asarray(probabilities[np.arange(len(y)), y])


def others(probabilities: Floats, y: Integers) -> Floats:
    """Probabilities with the given label's put out of the running (-1)."""
    rest = probabilities.copy()
    rest[np.arange(len(y)), y] = -1.0
    return rest


def best_other(probabilities: Floats, y: Integers) -> Floats:
    """Highest probability of any other label, per row."""
    return np.asarray(others(probabilities, y).max(axis=1))


def margin(probabilities: Floats, y: Integers) -> Floats:
    """Given label against the best other, as cleanlab's normalised margin, in [0, 1]."""
    return (given(probabilities, y) - best_other(probabilities, y) + 1) / 2


def log_ratio(probabilities: Floats, y: Integers) -> Floats:
    """Share of the given label in what it and the best other have together, in [0, 1]."""
    own = np.maximum(given(probabilities, y), FLOOR)
    return np.asarray(own / (own + np.maximum(best_other(probabilities, y), FLOOR)))


def posterior(probabilities: Floats, y: Integers, rounds: int = 30) -> Floats:
    """Probability that the given label is right, if labels are mistaken class by class, in [0, 1].

    The rates at which one class is filed under another are estimated by expectation maximisation
    (Dawid and Skene 1979, with one annotator and the model's probabilities as prior), the sharpness
    of the probabilities by the likelihood of the given labels.
    """
    rows, classes = probabilities.shape
    filed = csr_array((np.ones(rows), (y, np.arange(rows))), shape=(classes, rows))
    best = (-np.inf, given(probabilities, y))
    for sharpness in (0.7, 1.0, 1.4, 2.0, 2.8):
        prior = softmax(sharpness * np.log(np.maximum(probabilities, FLOOR)))
        rates = np.full((classes, classes), 0.2 / max(1, classes - 1))
        np.fill_diagonal(rates, 0.8)
        for _ in range(rounds):
            truth = prior * rates[:, y].T
            total = truth.sum(axis=1, keepdims=True)
            truth /= total
            rates = (filed @ truth).T + 0.025
            rates /= rates.sum(axis=1, keepdims=True)
        best = max(best, (float(np.log(total).mean()), given(truth, y)), key=lambda one: one[0])
    return best[1]
