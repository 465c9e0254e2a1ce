"""Stage ``clean``: which labels are wrong, and does fixing them help?

Three arms (none, drop, relabel) compared on rows that cleaning never
touches. The choice is made on validation rows; the test set only judges.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from roadworthy.doubt import DOUBT
from roadworthy.errors import UserError
from roadworthy.intervals import difference, resampled
from roadworthy.models.probe import fit_probe
from roadworthy.noise import CONFIDENCE, Noise
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
        issues: of the training rows, from ``Found.issues``.
        settings: C and resamples.
        seed: of the bootstrap.

    """
    n_classes = int(y["train"].max()) + 1
    draws = resampled(len(y["validation"]), settings.resamples, seed)
    arms: list[Arm] = []
    reference: NDArray[np.bool_] | None = None
    for name in tqdm(ARMS, desc="arms", unit="arm"):
        labels, keep = treat(y["train"], issues, name)
        weights, bias = fit_probe(vectors["train"][keep], labels[keep], n_classes, settings.C)
        right, right_test = (
            (vectors[split] @ weights.T + bias).argmax(axis=1) == y[split]
            for split in ("validation", "test")
        )
        reference = right if reference is None else reference
        gain = difference(right, reference, draws, CONFIDENCE)
        arms.append(
            Arm(
                name=name,
                train_rows=int(keep.sum()),
                changed=int((~keep).sum() + (labels != y["train"]).sum()),
                validation_accuracy=float(right.mean()),
                gain=gain.value,
                gain_low=gain.low,
                gain_high=gain.high,
                test_accuracy=float(right_test.mean()),
            )
        )
    return arms


def choose(arms: list[Arm]) -> Arm:
    """The arm with the highest gain on validation whose interval excludes zero.

    Otherwise ``none``.
    """
    surely_better = [arm for arm in arms if arm.gain_low > 0]
    return max(surely_better, key=lambda arm: arm.gain, default=arms[0])


def reviewed(train: pd.DataFrame, looked: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Give the training rows people's labels, and say which rows they have looked at.

    ``train`` has ``id, label``; ``looked`` has ``id, label``: what a person decided, the given
    label included. Rows that are no training rows are left aside: cleaning touches no others.
    """
    seen = train["id"].isin(looked["id"])
    decided = train.loc[seen, "id"].map(looked.set_index("id")["label"])
    changed = train.assign(label=train["label"].where(~seen, decided))
    if lost := sorted(set(train["label"]) - set(changed["label"])):
        raise UserError(f"data.decisions leaves no training row of class {lost[0]!r}: keep one")
    return changed, seen


def decisions(
    train: pd.DataFrame,
    issues: pd.DataFrame,
    labels: list[str],
    arm: str,
    filed: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every training row with what was done to it and why.

    ``id, text, label, original, action, reason``.

    ``train`` has ``id, text, label``, with people's decisions applied, if any; ``filed`` the same
    rows before that. The new label stands in ``label``, the filed one in ``original``.
    """
    filed = train if filed is None else filed
    index = {label: number for number, label in enumerate(labels)}
    y = np.asarray(train["label"].map(index), dtype=np.int64)
    treated, keep = treat(y, issues, arm)
    names = np.asarray(labels, dtype=object)
    original = filed["label"].to_numpy()
    action = np.where(~keep, "drop", np.where(names[treated] != original, "relabel", "keep"))
    by_people = (train["label"] != filed["label"]).to_numpy()
    suggested, score = names[issues["suggested"]], issues["label_score"]
    reasons = [
        f"doubted: the models prefer {guess} ({sure:.2f}), label score {value:.2f}" if flag else ""
        for flag, guess, sure, value in zip(
            issues["is_label_issue"], suggested, issues["confidence"], score, strict=True
        )
    ]
    flagged = np.where(action == "keep", "flagged, kept (arm " + arm + "): ", "")
    reason = [
        "decided in a review" if people else mark + text if text else "not flagged"
        for mark, text, people in zip(flagged, reasons, by_people, strict=True)
    ]
    return pd.DataFrame(
        {
            "id": train["id"].to_numpy(),
            "text": train["text"].to_numpy(),
            "label": names[treated],
            "original": original,
            "action": action,
            "reason": reason,
        }
    )


def review_queue(
    train: pd.DataFrame, issues: pd.DataFrame, labels: list[str], rows: int
) -> pd.DataFrame:
    """The rows most worth a person's look, worst label score first.

    Those that are flagged, or whose score says that another label is likelier.
    """
    names = np.asarray(labels, dtype=object)
    queue = train[["id", "text", "label"]].reset_index(drop=True)
    queue["suggested"] = names[issues["suggested"]]
    queue["confidence"] = issues["confidence"].round(4)
    queue["label_score"] = issues["label_score"].round(4)
    queue["flagged"] = issues["is_label_issue"]
    disagree = queue[queue["flagged"] | (queue["label_score"] < DOUBT)]
    return disagree.sort_values(
        ["flagged", "label_score"], ascending=[False, True], kind="stable"
    ).head(rows)


def by_split(
    messages: pd.DataFrame, vectors: NDArray[np.floating], labels: list[str]
) -> tuple[dict[str, NDArray[np.floating]], dict[str, Integers]]:
    """Vectors (rows, d) and integer labels (rows,) of the in-scope rows of each split.

    ``vectors`` has one row per row of ``messages``.
    """
    index = {label: number for number, label in enumerate(labels)}
    X: dict[str, NDArray[np.floating]] = {}
    y: dict[str, Integers] = {}
    for split in ("train", "validation", "test"):
        rows = ((messages["split"] == split) & messages["in_scope"]).to_numpy()
        X[split] = vectors[rows]
        y[split] = np.asarray(messages["label"][rows].map(index), dtype=np.int64)
    return X, y


def record(
    arms: list[Arm],
    chosen: Arm,
    issues: pd.DataFrame,
    test_noise: Noise,
    against_gold: dict[str, dict[str, float] | None],
) -> dict[str, object]:
    """The stage's metrics, but for the hash of the test set.

    ``against_gold``: hit rates by whose flags they are.
    """
    return {
        "train_rows": len(issues),
        "flagged": int(issues["is_label_issue"].sum()),
        "chosen": chosen.name,
        "gain": chosen.gain,
        "arms": {arm.name: asdict(arm) for arm in arms},
        "test_noise": asdict(test_noise) | {"ceiling": test_noise.ceiling},
        "against_gold": against_gold,
    }
