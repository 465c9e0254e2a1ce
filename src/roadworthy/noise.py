"""Out-of-fold probabilities, the noise they suggest, and hit rates against verified labels.

Confident learning: Northcutt, Jiang and Chuang 2021, by cleanlab.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from roadworthy.doubt import DOUBT, posterior
from roadworthy.errors import UserError
from roadworthy.intervals import wilson
from roadworthy.models.probe import fit_probe
from roadworthy.settings import Clean

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
CONFIDENCE = 0.95
"""Level of every interval of the stage ``clean``."""


@dataclass(frozen=True)
class Noise:
    """Share of ``rows`` whose label a model doubts, with a 95 % Wilson interval.

    An estimate of the wrong labels that leans high: what a weak model confuses it doubts, too. The
    interval covers the draw of rows, not the model's errors.
    """

    rows: int
    flagged: int
    estimate: float
    low: float
    high: float


def folds(y: Integers, groups: Integers, number: int, seed: int) -> list[tuple[Integers, Integers]]:
    """Rows to learn from and rows to judge, per fold; copies of a message are never on both sides.

    Args:
        y: labels as integers: each fold has its share of every class.
        groups: near-duplicate cluster of each row.
        number: of folds; fewer where there are fewer rows.
        seed: of the assignment.

    Raises:
        UserError: the rows are too few for two folds.

    """
    number = min(number, int(np.bincount(y).max()), len(np.unique(groups)))
    if number < 2:
        raise UserError(
            f"{len(y)} training rows are too few for out-of-fold probabilities: the largest class "
            "needs at least two messages that are not copies of one another. Add labelled messages."
        )
    splitter = StratifiedGroupKFold(n_splits=number, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class rarer than the folds is absent from some: handled
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(np.zeros(len(y)), y, groups))


def out_of_fold(
    vectors: NDArray[np.floating],
    y: Integers,
    groups: Integers,
    n_classes: int,
    settings: Clean,
    seed: int,
) -> Floats:
    """Probabilities (n, n_classes) from probes that saw neither a row nor its near-duplicates.

    What a user has without this module; the detectors are held against it.

    Args:
        vectors: shape (n, d).
        y: labels as integers.
        groups: near-duplicate cluster of each row.
        n_classes: number of classes.
        settings: folds and C.
        seed: of the fold assignment.

    """
    probabilities = np.zeros((len(y), n_classes))
    splits = folds(y, groups, settings.folds, seed)
    for train, held in tqdm(splits, desc="out-of-fold probe", unit="fold"):
        probe = fit_probe(vectors[train], y[train], n_classes, settings.C)
        probabilities[held] = probe.predict_proba(vectors[held])
    return probabilities


def confident_learning(y: Integers, probabilities: Floats) -> NDArray[np.bool_]:
    """Rows that cleanlab flags (prune by noise rate): what the detectors are held against."""
    from cleanlab.filter import find_label_issues

    flags = find_label_issues(y, probabilities, filter_by="prune_by_noise_rate", n_jobs=1)
    return np.asarray(flags, dtype=bool)


def noise(y: Integers, probabilities: Floats) -> Noise:
    """Share of labels that are more likely wrong than right; probabilities come from other rows.

    Fewer than two classes among the rows cannot be judged: not a number, which a gate reads as
    unknown.
    """
    if len(np.unique(y)) < 2:
        return Noise(len(y), 0, float("nan"), float("nan"), float("nan"))
    flagged = int((posterior(probabilities, y) < DOUBT).sum())
    low, high = wilson(flagged, len(y), CONFIDENCE)
    return Noise(len(y), flagged, flagged / len(y), low, high)


def hit_rate(
    ids: pd.Series, labels: pd.Series, flags: Flags, gold: pd.DataFrame
) -> dict[str, float] | None:
    """Precision and recall of the flags against verified labels.

    None where the data has none. Scores only.
    """
    if gold.empty:
        return None
    verified = ids.map(gold.set_index("id")["gold"]).to_numpy()
    known = pd.notna(verified)
    wrong, flagged = verified[known] != labels.to_numpy()[known], flags[known]
    hits = float((wrong & flagged).sum())
    return {
        "verified": int(known.sum()),
        "errors": int(wrong.sum()),
        "flagged": int(flagged.sum()),
        "precision": hits / flagged.sum() if flagged.any() else float("nan"),
        "recall": hits / wrong.sum() if wrong.any() else float("nan"),
    }


def learnt(
    treated: dict[str, tuple[Integers, Floats]], truth: pd.Series, labels: list[str]
) -> pd.DataFrame:
    """How many right and wrong labels each arm learns from, by the verified ones. Scores only.

    Args:
        treated: labels and weights of the training rows by arm; a row counts by its weight.
        truth: verified label of each row, NaN where there is none: such rows are left out.
        labels: class names.

    Returns:
        A line an arm: ``right, wrong``; none where nothing is verified.

    """
    known, names = truth.notna().to_numpy(), np.asarray(labels, dtype=object)
    lines = {}
    for arm, (y, weights) in treated.items():
        right = names[y[known]] == truth[known].to_numpy()
        counts = [weights[known][right].sum(), weights[known][~right].sum()]
        lines[arm] = dict(zip(("right", "wrong"), map(float, counts), strict=True))
    return pd.DataFrame.from_dict(lines if known.any() else {}, orient="index")
