"""Wrong labels put into a clean data set: the four kinds that the benchmark injects."""

from __future__ import annotations

import numpy as np

from roadworthy.doubt import others
from roadworthy.noise import Floats, Integers

KINDS = ("uniform", "pair", "confusion", "instance")


def corrupt(y: Integers, probabilities: Floats, kind: str, rate: float, seed: int) -> Integers:
    """Labels with ``rate`` of them wrong.

    Args:
        y: labels, taken for right.
        probabilities: out-of-fold, (n, classes); what a model confuses.
        kind: ``uniform``: any other class; ``pair``: always the next class; ``confusion``: drawn
            from what the model makes of the class on average; ``instance``: the wrong class that
            the model finds likeliest, in the rows it finds hardest.
        rate: share of rows.
        seed: of the draw; for ``instance`` it jitters the order of hardness.

    """
    generator, n, classes = np.random.default_rng(seed), len(y), probabilities.shape[1]
    rows = generator.choice(n, round(rate * n), replace=False)
    out = y.copy()
    if kind == "uniform":
        out[rows] = (y[rows] + generator.integers(1, classes, len(rows))) % classes
    elif kind == "pair":
        out[rows] = (y[rows] + 1) % classes
    elif kind == "confusion":
        mean = np.stack([probabilities[y == label].mean(axis=0) for label in range(classes)])
        np.fill_diagonal(mean, 0)
        shares = mean / mean.sum(axis=1, keepdims=True)
        out[rows] = [generator.choice(classes, p=shares[label]) for label in y[rows]]
    else:
        hardness = probabilities[np.arange(n), y] + generator.normal(0, 0.02, n)
        rows = np.argsort(hardness, kind="stable")[: len(rows)]
        out[rows] = others(probabilities, y).argmax(axis=1)[rows]
    return out
