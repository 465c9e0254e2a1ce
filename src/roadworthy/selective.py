"""What may be automated at a given risk (selective classification: Geifman and El-Yaniv 2017).

``confidence`` is the calibrated top probability of a row (0-1), ``correct`` whether the predicted
class is the label. Thresholds are chosen on validation rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import beta

from roadworthy.calibration import recorded
from roadworthy.intervals import Codes, Flags, Floats, accuracy

SURE = 0.9
"""Level at which a threshold has to keep the accepted risk, see ``threshold_for``."""


def risk_coverage(confidence: Floats, correct: Flags) -> pd.DataFrame:
    """Error rate at or above each threshold: ``threshold, coverage, risk``, strictest first.

    Rows of equal confidence are accepted together: no threshold can tell them apart.
    """
    frame = pd.DataFrame({"threshold": confidence, "wrong": ~correct})
    steps = frame.groupby("threshold")["wrong"].agg(["size", "sum"])[::-1].cumsum()
    return pd.DataFrame(
        {
            "threshold": steps.index.to_numpy(),
            "coverage": steps["size"].to_numpy() / len(frame),
            "risk": (steps["sum"] / steps["size"]).to_numpy(),
        }
    )


def area(confidence: Floats, correct: Flags) -> float:
    """Area under the risk-coverage curve, 0-1, lower is better (Geifman and El-Yaniv 2017).

    The mean risk over the n coverages 1/n … 1; ties in confidence count with their expected order.
    """
    frame = pd.DataFrame({"confidence": confidence, "wrong": (~correct).astype(float)})
    expected = frame.groupby("confidence")["wrong"].transform("mean").to_numpy()
    wrong = expected[np.argsort(-confidence, kind="stable")].cumsum()
    return float((wrong / np.arange(1, len(wrong) + 1)).mean())


def threshold_for(
    confidence: Floats, correct: Flags, target_risk: float, clusters: Codes | None = None
) -> float | None:
    """The smallest threshold from which the error rate is surely at most ``target_risk``.

    "Surely": by the upper end of its one-sided interval (Clopper and Pearson 1934) at the level
    ``SURE``. In simulations in which the risk falls with the confidence, a threshold so chosen
    breaks its promise in one of ten draws of rows, the smallest whose observed rate keeps it in
    every second one. It is the best of many thresholds: where confidence says next to nothing, a
    rate just above the accepted one passes in up to four of ten draws.

    As ``recorded``; None when no threshold keeps the promise. Rows of one of the ``clusters`` count
    as one.
    """
    curve = risk_coverage(confidence, correct)
    alone = np.arange(len(confidence)) if clusters is None else clusters
    accepted = _independent(confidence, alone, curve["threshold"].to_numpy())
    wrong = accepted * curve["risk"].to_numpy()
    upper = np.where(accepted > wrong, beta.ppf(SURE, wrong + 1, accepted - wrong), 1.0)
    kept = curve.loc[upper <= target_risk, "threshold"]
    return float(recorded(kept.to_numpy()).min()) if len(kept) else None


def _independent(confidence: Floats, clusters: Codes, thresholds: Floats) -> Floats:
    """What the rows at or above each threshold are worth, see ``intervals.independent``."""
    order = np.argsort(-confidence, kind="stable")
    earlier = pd.Series(clusters[order]).groupby(clusters[order]).cumcount().to_numpy()
    rows, squares = np.arange(1, len(order) + 1), np.cumsum(2 * earlier + 1)
    last = np.searchsorted(-confidence[order], -thresholds, side="right") - 1
    return np.asarray(rows[last] ** 2 / squares[last], dtype=np.float64)


@dataclass(frozen=True)
class Selective:
    """What happens if messages at or above ``threshold`` are automated; no risk if none are."""

    threshold: float | None
    coverage: float
    automated: int
    """Rows at or above the threshold."""
    wrong: int
    """Those of them whose answer is wrong."""
    risk: float | None
    risk_low: float | None
    risk_high: float | None
    """95 % Wilson interval of the risk: few automated rows say little of it."""
    target_risk: float


def selective(
    threshold: float | None,
    confidence: Floats,
    correct: Flags,
    target_risk: float,
    clusters: Codes | None = None,
) -> Selective:
    """Coverage and error rate of a threshold fixed elsewhere; without one nothing is automated."""
    accepted = np.zeros(len(confidence), bool) if threshold is None else confidence >= threshold
    automated, wrong = int(accepted.sum()), ~correct[accepted]
    alone = np.arange(len(confidence)) if clusters is None else clusters
    risk = accuracy(wrong, alone[accepted], 0.95) if automated else None
    return Selective(
        threshold=threshold,
        coverage=float(accepted.mean()),
        automated=automated,
        wrong=int(wrong.sum()),
        risk=risk.value if risk else None,
        risk_low=risk.low if risk else None,
        risk_high=risk.high if risk else None,
        target_risk=target_risk,
    )
