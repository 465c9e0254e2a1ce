"""Stage ``clean``: which labels are wrong, and does fixing them help?

Out-of-fold probabilities on frozen embeddings, confident learning (Northcutt, Jiang and Chuang
2021) by cleanlab, and three arms (none, drop, relabel) compared on rows that cleaning never
touches. The choice is made on validation rows; the test set only judges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from roadworthy.models.architecture import softmax
from roadworthy.models.probe import fit_probe
from roadworthy.settings import Clean

ARMS = ("none", "drop", "relabel")
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Arm:
    """One way to treat flagged rows, scored on untouched rows."""

    name: str
    train_rows: int
    changed: int
    """Training rows dropped or relabelled."""
    validation_accuracy: float
    gain: float
    """Validation accuracy minus that of arm ``none``."""
    gain_low: float
    gain_high: float
    """95 % interval of the gain, paired bootstrap over validation rows."""
    test_accuracy: float


@dataclass(frozen=True)
class Noise:
    """Estimated share of wrong labels among ``rows``, with a 95 % Wilson interval."""

    rows: int
    flagged: int
    estimate: float
    low: float
    high: float

    @property
    def ceiling(self) -> float:
        """The accuracy that a perfect model would be given credit for."""
        return 1 - self.estimate


def _folds(
    y: Integers, groups: Integers, folds: int, seed: int
) -> Iterator[tuple[Integers, Integers]]:
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(y)), y, groups)


def out_of_fold(
    vectors: NDArray[np.floating],
    y: Integers,
    groups: Integers,
    n_classes: int,
    settings: Clean,
    seed: int,
) -> Floats:
    """Probabilities (n, n_classes) from probes that saw neither a row nor its near-duplicates.

    Args:
        vectors: shape (n, d).
        y: labels as integers.
        groups: near-duplicate cluster of each row.
        n_classes: number of classes.
        settings: folds and C.
        seed: of the fold assignment.

    """
    probabilities = np.zeros((len(y), n_classes))
    splits = list(_folds(y, groups, settings.folds, seed))
    for train, held in tqdm(splits, desc="out-of-fold", unit="fold"):
        weights, bias = fit_probe(vectors[train], y[train], n_classes, settings.C)
        probabilities[held] = softmax(vectors[held] @ weights.T + bias)
    return probabilities


def find_issues(y: Integers, probabilities: Floats) -> pd.DataFrame:
    """Per row ``is_label_issue, label_score`` (in [0, 1], low is bad), ``suggested, confidence``.

    The flag is confident learning's (prune by noise rate); the score is the normalised margin.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    flags = find_label_issues(y, probabilities, filter_by="prune_by_noise_rate", n_jobs=1)
    scores = get_label_quality_scores(y, probabilities, method="normalized_margin")
    return pd.DataFrame(
        {
            "is_label_issue": flags,
            "label_score": scores,
            "suggested": probabilities.argmax(axis=1),
            "confidence": probabilities.max(axis=1),
        }
    )


def treat(y: Integers, issues: pd.DataFrame, arm: str) -> tuple[Integers, NDArray[np.bool_]]:
    """Labels and keep-mask after one arm.

    The last kept row of a class is never dropped or relabelled away.
    """
    flagged = issues["is_label_issue"].to_numpy(dtype=bool)
    labels, keep = y.copy(), np.ones(len(y), dtype=bool)
    if arm == "drop":
        keep = ~flagged
    if arm == "relabel":
        labels[flagged] = issues["suggested"].to_numpy()[flagged]
    for label in np.setdiff1d(y, labels[keep]):
        labels[y == label], keep[y == label] = label, True
    return labels, keep


def _gain(
    correct: NDArray[np.bool_], reference: NDArray[np.bool_], resamples: int, seed: int
) -> tuple[float, float]:
    """95 % percentile interval of the difference in accuracy, resampling rows in pairs."""
    difference = correct.astype(float) - reference.astype(float)
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(difference), (resamples, len(difference)))
    low, high = np.quantile(difference[rows].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def compare(
    vectors: dict[str, NDArray[np.floating]],
    y: dict[str, Integers],
    issues: pd.DataFrame,
    settings: Clean,
    seed: int,
) -> list[Arm]:
    """Each arm as a probe trained on treated rows and scored on untouched ones.

    Args:
        vectors: by split name, shape (rows, d).
        y: by split name; validation and test labels are never changed.
        issues: of the training rows, from ``find_issues``.
        settings: C and resamples.
        seed: of the bootstrap.

    """
    n_classes = int(y["train"].max()) + 1
    arms: list[Arm] = []
    reference: NDArray[np.bool_] | None = None
    for name in tqdm(ARMS, desc="arms", unit="arm"):
        labels, keep = treat(y["train"], issues, name)
        weights, bias = fit_probe(vectors["train"][keep], labels[keep], n_classes, settings.C)
        right = {
            split: (vectors[split] @ weights.T + bias).argmax(axis=1) == y[split]
            for split in ("validation", "test")
        }
        reference = right["validation"] if reference is None else reference
        low, high = _gain(right["validation"], reference, settings.resamples, seed)
        accuracy, base = float(right["validation"].mean()), float(reference.mean())
        changed = int((~keep).sum() + (labels != y["train"]).sum())
        arms.append(
            Arm(
                name,
                int(keep.sum()),
                changed,
                accuracy,
                accuracy - base,
                low,
                high,
                float(right["test"].mean()),
            )
        )
    return arms


def choose(arms: list[Arm]) -> Arm:
    """The arm with the highest gain on validation whose interval excludes zero.

    Otherwise ``none``.
    """
    surely_better = [arm for arm in arms if arm.gain_low > 0]
    return max(surely_better, key=lambda arm: arm.gain, default=arms[0])


def decisions(
    train: pd.DataFrame, issues: pd.DataFrame, labels: list[str], arm: str
) -> pd.DataFrame:
    """Every training row with what was done to it and why.

    ``id, text, label, original, action, reason``.

    ``train`` has ``id, text, label``; the new label stands in ``label``, the old one in
    ``original``.
    """
    index = {label: number for number, label in enumerate(labels)}
    y = train["label"].map(index).to_numpy()
    treated, keep = treat(y, issues, arm)
    names = np.asarray(labels, dtype=object)
    action = np.where(~keep, "drop", np.where(treated != y, "relabel", "keep"))
    suggested, score = names[issues["suggested"]], issues["label_score"]
    reasons = [
        f"confident learning: the probe prefers {guess} ({sure:.2f}), label score {value:.2f}"
        if flag
        else ""
        for flag, guess, sure, value in zip(
            issues["is_label_issue"], suggested, issues["confidence"], score, strict=True
        )
    ]
    flagged = np.where(action == "keep", "flagged, kept (arm " + arm + "): ", "")
    reason = [
        mark + text if text else "not flagged" for mark, text in zip(flagged, reasons, strict=True)
    ]
    return pd.DataFrame(
        {
            "id": train["id"].to_numpy(),
            "text": train["text"].to_numpy(),
            "label": names[treated],
            "original": train["label"].to_numpy(),
            "action": action,
            "reason": reason,
        }
    )


def review_queue(
    train: pd.DataFrame, issues: pd.DataFrame, labels: list[str], rows: int
) -> pd.DataFrame:
    """The rows most worth a person's look, worst label score first."""
    names = np.asarray(labels, dtype=object)
    queue = train[["id", "text", "label"]].reset_index(drop=True)
    queue["suggested"] = names[issues["suggested"]]
    queue["confidence"] = issues["confidence"].round(4)
    queue["label_score"] = issues["label_score"].round(4)
    queue["flagged"] = issues["is_label_issue"]
    disagree = queue[queue["suggested"] != queue["label"]]
    return disagree.sort_values(
        ["flagged", "label_score"], ascending=[False, True], kind="stable"
    ).head(rows)


def noise(y: Integers, probabilities: Floats) -> Noise:
    """Share of labels that confident learning doubts; probabilities come from other rows."""
    from scipy.stats import binomtest

    flagged = int(find_issues(y, probabilities)["is_label_issue"].sum())
    interval = binomtest(flagged, len(y)).proportion_ci(method="wilson")
    return Noise(len(y), flagged, flagged / len(y), float(interval.low), float(interval.high))


def hit_rate(
    ids: pd.Series, labels: pd.Series, flags: pd.Series, gold: pd.DataFrame
) -> dict[str, float] | None:
    """Precision and recall of the flags against verified labels.

    None where the data has none. Scores only.
    """
    if gold.empty:
        return None
    truth = ids.map(gold.set_index("id")["gold"]).to_numpy() != labels.to_numpy()
    hits = float((truth & flags.to_numpy()).sum())
    return {
        "errors": int(truth.sum()),
        "flagged": int(flags.sum()),
        "precision": hits / flags.sum() if flags.any() else float("nan"),
        "recall": hits / truth.sum() if truth.any() else float("nan"),
    }
