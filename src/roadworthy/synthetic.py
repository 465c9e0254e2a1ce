"""The gate for training rows that no customer wrote: in only if the measured score does not fall.

Synthetic or augmented rows are judged by what a probe scores on real rows that it has not seen,
with them and without them. They are never judged on: validation and test rows stay real.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from roadworthy.intervals import difference, resampled
from roadworthy.models.architecture import numbers
from roadworthy.models.probe import fit_probe
from roadworthy.noise import CONFIDENCE, Flags, Floats, Integers, folds
from roadworthy.rows import Rows, Vectors
from roadworthy.settings import Clean


@dataclass(frozen=True)
class Gate:
    """What the made rows do to the score on real rows held out."""

    offered: int
    near_real: int
    """Left out beforehand: near-duplicates of a real message."""
    held_out: int
    """Real rows that the score is taken on: training rows out of fold, and validation rows."""
    without: float
    """Accuracy without the made rows, 0-1."""
    change: float
    low: float
    high: float
    """95 % interval of the change, paired bootstrap."""

    def record(self) -> dict[str, float | bool]:
        """The figures and the decision, as they stand in the stage's metrics."""
        return asdict(self) | {"admitted": self.admitted}

    @property
    def admitted(self) -> bool:
        """Whether the score does not fall."""
        return self.offered > self.near_real and self.change >= 0


def _right(
    X: Vectors,
    y: Integers,
    weights: Floats,
    more: tuple[Vectors, Integers],
    held: Vectors,
    C: float,
) -> Integers:
    keep = weights > 0
    n_classes = int(max(y.max(), more[1].max(initial=0))) + 1
    vectors, labels = np.vstack([X[keep], more[0]]), np.concatenate([y[keep], more[1]])
    counts = np.concatenate([weights[keep], np.ones(len(more[1]))])
    return fit_probe(vectors, labels, n_classes, C, counts).predict(held)


def judge(
    rows: Rows,
    treated: tuple[Integers, Floats],
    made: pd.DataFrame,
    vectors: Vectors,
    settings: Clean,
    seed: int,
) -> Gate:
    """Score a probe with and without the made rows on real rows that it has not seen.

    Args:
        rows: the real ones.
        treated: labels and weights of the training rows after cleaning: what is learnt from.
        made: the rows offered, ``label, near_real``.
        vectors: theirs, shape (rows offered, d).
        settings: folds, C and resamples.
        seed: of folds and bootstrap.

    """
    labels, weights = treated
    near = made["near_real"].to_numpy(dtype=bool)
    extra = (vectors[~near], numbers(made["label"][~near], rows.labels))
    none = (vectors[:0], extra[1][:0])
    X, y = rows.X["train"], rows.y["train"]
    if near.all():
        return Gate(len(near), len(near), 0, *([float("nan")] * 4))
    truth = np.concatenate([y, rows.y["validation"]])
    right: list[Flags] = []
    for more in (none, extra):
        said = np.zeros(len(y), dtype=np.int64)
        for learnt, held in folds(y, rows.clusters, settings.folds, seed):
            part = (X[learnt], labels[learnt], weights[learnt])
            said[held] = _right(*part, more, X[held], settings.C)
        ahead = _right(X, labels, weights, more, rows.X["validation"], settings.C)
        right.append(np.concatenate([said, ahead]) == truth)
    clusters = np.concatenate([rows.clusters, rows.held_clusters])
    draws = resampled(clusters, settings.resamples, seed)
    change = difference(right[1], right[0], draws, CONFIDENCE)
    return Gate(
        offered=len(near),
        near_real=int(near.sum()),
        held_out=len(truth),
        without=float(right[0].mean()),
        change=change.value,
        low=change.low,
        high=change.high,
    )
