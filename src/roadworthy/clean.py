"""Stage ``clean``: which labels are wrong, and does fixing them help?

Four arms (none, drop, relabel, weight) compared on rows that cleaning never touches. The choice is
made on validation rows; the test set only judges.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from roadworthy.intervals import difference, resampled
from roadworthy.looks import sample
from roadworthy.models.architecture import numbers
from roadworthy.models.probe import fit_probe
from roadworthy.noise import CONFIDENCE
from roadworthy.rows import HeldOut, Rows
from roadworthy.settings import Clean

ARMS = ("none", "drop", "relabel", "weight")
LEAST = 0.01
"""What the least credible row still counts in arm ``weight``."""
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Arm:
    """One way to treat doubted rows, scored on untouched rows."""

    name: str
    train_rows: int
    changed: int
    """Training rows dropped, relabelled, or counting less than half."""
    validation_accuracy: float
    gain: float
    """Validation accuracy minus that of arm ``none``."""
    gain_low: float
    gain_high: float
    """Interval of the gain, paired bootstrap over validation rows: 95 % for all arms together."""
    test_accuracy: float


def treat(y: Integers, issues: pd.DataFrame, arm: str) -> tuple[Integers, Floats]:
    """Labels after one arm, and what each row counts in training: 0 if dropped, else up to 1.

    ``weight`` lets a row count by the probability that its label is right. A class that would lose
    all its rows keeps them as they are. No arm learns from rows that people have set aside.
    """
    aside = issues["set_aside"].to_numpy(dtype=bool)
    flagged = issues["is_label_issue"].to_numpy(dtype=bool) & ~aside
    labels, weights = y.copy(), np.ones(len(y))
    if arm == "drop":
        weights[flagged] = 0.0
    if arm == "relabel":
        labels[flagged] = issues["suggested"].to_numpy()[flagged]
    if arm == "weight":
        weights = np.maximum(issues["right"].to_numpy(np.float64), LEAST)
    weights[aside] = 0.0
    while len(lost := np.setdiff1d(y[~aside], labels[weights > 0])):
        kept = (y == lost[0]) & ~aside
        labels[kept], weights[kept] = lost[0], 1.0
    return labels, weights


def compare(rows: Rows, issues: pd.DataFrame, settings: Clean, seed: int) -> list[Arm]:
    """Each arm as a probe trained on treated rows and scored on untouched ones.

    Args:
        rows: to learn from and to judge by; validation and test labels are not changed here.
        issues: of the training rows, from ``Found.issues``.
        settings: C and resamples.
        seed: of the bootstrap.

    """
    vectors, y, n_classes = rows.X, rows.y, len(rows.labels)
    draws = resampled(rows.held_clusters, settings.resamples, seed)
    arms: list[Arm] = []
    reference: NDArray[np.bool_] | None = None
    free = ~issues["set_aside"].to_numpy(dtype=bool)
    for name in tqdm(ARMS, desc="arms", unit="arm"):
        labels, counts = treat(y["train"], issues, name)
        keep = counts > 0
        X, given = vectors["train"][keep], labels[keep]
        probe = fit_probe(X, given, n_classes, settings.C, counts[keep])
        right, right_test = (
            probe.predict(vectors[split]) == y[split] for split in ("validation", "test")
        )
        reference = right if reference is None else reference
        gain = difference(right, reference, draws, 1 - (1 - CONFIDENCE) / (len(ARMS) - 1))
        arms.append(
            Arm(
                name=name,
                train_rows=int(keep.sum()),
                changed=int((((counts < 0.5) | (labels != y["train"])) & free).sum()),
                validation_accuracy=float(right.mean()),
                gain=gain.value,
                gain_low=gain.low,
                gain_high=gain.high,
                test_accuracy=float(right_test.mean()),
            )
        )
    return arms


def effect_of_review(rows: Rows, settings: Clean, seed: int) -> dict[str, float]:
    """What people's decisions changed: rows relabelled or set aside, and the gain on validation.

    The gain is that of a probe on sentence vectors, with its 95 % interval; 0 without decisions.
    """
    looks, names = rows.looks, ("looked_at", "relabelled", "set_aside")
    if looks is None:
        return dict.fromkeys((*names, "gain", "gain_low", "gain_high"), 0)
    right = []
    for y, learnt in ((looks.filed, looks.filed >= 0), (looks.decided, ~looks.strange)):
        probe = fit_probe(rows.X["train"][learnt], y[learnt], len(rows.labels), settings.C)
        right.append(probe.predict(rows.X["validation"]) == rows.y["validation"])
    draws = resampled(rows.held_clusters, settings.resamples, seed)
    gain = difference(right[1], right[0], draws, CONFIDENCE)
    flags = (looks.rows, looks.wrong & ~looks.strange, looks.strange)
    counts = {name: int(flag.sum()) for name, flag in zip(names, flags, strict=True)}
    return counts | {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}


def choose(arms: list[Arm]) -> Arm:
    """The arm that gains most on validation at the least: the highest lower end of an interval.

    That of ``none``, the first, is zero. The intervals allow for the number of arms (Bonferroni).
    """
    return max(arms, key=lambda arm: arm.gain_low)


def decisions(
    train: pd.DataFrame,
    issues: pd.DataFrame,
    labels: list[str],
    arm: str,
    filed: pd.DataFrame | None = None,
    looked: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Every training row with what was done to it and why.

    ``id, text, label, original, action, weight, reason``.

    ``train`` has ``id, text, label``, with people's decisions applied, if any; ``filed`` the same
    rows before that, ``looked`` which of them people have looked at. The new label stands in
    ``label``, the filed one in ``original``.
    """
    filed = train if filed is None else filed
    looked = np.zeros(len(train), dtype=bool) if looked is None else looked
    treated, weights = treat(numbers(train["label"], labels), issues, arm)
    names = np.asarray(labels, dtype=object)
    original = filed["label"].to_numpy()
    changed = [weights == 0, names[treated] != original, weights < 0.5]
    action = np.select(changed, ["drop", "relabel", "weight"], "keep")
    by_people = (train["label"] != filed["label"]).to_numpy() | looked
    said = np.where(issues["set_aside"], "decided in a review: fits none", "decided in a review")
    others = names[issues["suggested"]]
    reasons = [
        f"doubted: right with probability {row.right:.2f}, label score {row.label_score:.3f}, "
        f"likeliest other label {other} ({row.confidence:.2f})"
        if row.is_label_issue
        else ""
        for row, other in zip(issues.itertuples(), others, strict=True)
    ]
    flagged = np.where(action == "keep", "flagged, kept (arm " + arm + "): ", "")
    reason = [
        word if people else mark + text if text else "not flagged"
        for mark, text, people, word in zip(flagged, reasons, by_people, said, strict=True)
    ]
    return pd.DataFrame(
        {
            "id": train["id"].to_numpy(),
            "text": train["text"].to_numpy(),
            "label": names[treated],
            "original": original,
            "action": action,
            "weight": weights,
            "reason": reason,
        }
    )


def review_queue(
    train: pd.DataFrame, issues: pd.DataFrame, labels: list[str], settings: Clean, seed: int
) -> pd.DataFrame:
    """The rows most worth a person's look, first those whose label it is most likely to correct.

    A look is worth the wrong label that it finds, so rows come by the chosen score; ``value`` is
    the probability that the label is wrong. After these, ``part`` is ``sample``: rows spread evenly
    over the rest of the ranking, whose looks say how many labels are wrong (``looks``); shuffled,
    so that whoever stops early has looked everywhere.
    """
    names, issues = np.asarray(labels, dtype=object), issues.reset_index(drop=True)
    queue = train[["id", "text", "label"]].reset_index(drop=True)
    queue["suggested"] = names[issues["suggested"]]
    queue["confidence"] = issues["confidence"].round(4)
    queue["label_score"] = issues["label_score"].round(4)
    queue["value"] = (1 - issues["right"]).round(4)
    queue["flagged"] = issues["is_label_issue"]
    order = np.lexsort((issues["right"], issues["label_score"]))
    doubted, rest = order[: settings.queue], order[settings.queue :]
    spread = rest[sample(np.arange(len(rest), dtype=float), settings.sample)]
    spread = np.random.default_rng(seed).permutation(spread)
    parts = ["doubted"] * len(doubted) + ["sample"] * len(spread)
    return queue.iloc[[*doubted, *spread]].assign(part=parts)


def with_made(treated: pd.DataFrame, made: pd.DataFrame) -> pd.DataFrame:
    """The decisions with the rows that nobody wrote, action ``add``, behind them."""
    rows = made[["id", "text", "label"]].assign(
        original=made["label"], action="add", weight=1.0, reason="synthetic, let in by the gate"
    )
    return pd.concat([treated, rows], ignore_index=True) if len(rows) else treated


def record(
    arms: list[Arm],
    chosen: Arm,
    issues: pd.DataFrame,
    held: dict[str, HeldOut],
    against_gold: dict[str, dict[str, float] | None],
) -> dict[str, object]:
    """The stage's metrics, but for the hash of the test set.

    ``held`` is what is doubted of validation and test labels; ``against_gold``: hit rates by whose
    flags they are.
    """
    return {
        "train_rows": len(issues),
        "flagged": int(issues["is_label_issue"].sum()),
        "chosen": chosen.name,
        "gain": chosen.gain,
        "arms": {arm.name: asdict(arm) for arm in arms},
        "against_gold": against_gold,
    } | {f"{split}_noise": asdict(one.noise) for split, one in held.items()}
