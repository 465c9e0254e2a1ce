"""Whether a model's confidence can be believed, and what may be automated at a given risk.

Arrays in, numbers and frames out. ``confidence`` is always the top probability of a row (0-1),
``correct`` whether the predicted class is the label. What is fitted is fitted on validation rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from roadworthy.intervals import accuracy

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]

SMALLEST = 1e-7
"""Probabilities are clipped here before the logarithm: about what float32 resolves next to 1."""
COLDEST, HOTTEST = 0.01, 100.0
MOST = 0.5
"""Largest lapse."""
STARTS = (0.0, 0.02, 0.2)
"""Lapses that the search begins with: the likelihood may have more than one top."""
DRAWS = 200
KEEP = 0.95
SURE = 0.9
"""Level at which a threshold has to keep the accepted risk, see ``threshold_for``."""


def log_tempered(probabilities: Floats, temperature: float) -> Floats:
    """Log of softmax(log p / T), shape (rows, classes); zeros are clipped, never infinite."""
    logits = np.log(np.clip(probabilities.astype(np.float64), SMALLEST, 1.0))
    return np.asarray(log_softmax(logits / temperature, axis=1), dtype=np.float64)


class Scale(NamedTuple):
    """What makes a model's probabilities believable; the ranking of the classes stays."""

    temperature: float
    """Of the softmax (Guo et al. 2017, section 4.2)."""
    lapse: float
    """Share of messages whose label says nothing of what the model sees, 0-1: wrong labels most of
    all. They get any class alike, as lapses of attention do in psychometrics (Wichmann and Hill
    2001). Without it a few confident misses make the temperature doubt every answer."""

    @classmethod
    def of(cls, record: dict[str, Any]) -> Scale:
        """What ``evaluate`` has written of a model."""
        return cls(float(record["temperature"]), float(record["lapse"]))


def calibrated(probabilities: Floats, scale: Scale) -> Floats:
    """(1 - lapse) softmax(log p / T) + lapse / classes, shape (rows, classes)."""
    tempered = np.exp(log_tempered(probabilities, scale.temperature))
    spread = scale.lapse / probabilities.shape[1]
    return np.asarray((1 - scale.lapse) * tempered + spread, dtype=np.float64)


def fit(probabilities: Floats, truth: Codes) -> Scale:
    """The scale with the lowest negative log-likelihood; ``truth`` holds class numbers.

    T lies in [0.01, 100], the lapse in [0, 0.5].
    """
    rows = np.arange(len(truth))

    def loss(values: Floats) -> float:
        said = calibrated(probabilities, Scale(float(np.exp(values[0])), float(values[1])))
        return float(-np.log(said[rows, truth]).mean())

    bounds = [(np.log(COLDEST), np.log(HOTTEST)), (0.0, MOST)]
    searches = [minimize(loss, (0.0, lapse), method="L-BFGS-B", bounds=bounds) for lapse in STARTS]
    best = min(searches, key=lambda search: float(search.fun)).x
    return Scale(float(np.exp(best[0])), float(best[1]))


def top(probabilities: Floats, scale: Scale) -> Floats:
    """Calibrated confidence, one number a row."""
    return np.asarray(calibrated(probabilities, scale).max(axis=1), dtype=np.float64)


def recorded(thresholds: Floats | np.float64) -> Floats:
    """Thresholds rounded down to six decimals, as they are recorded.

    What is judged is what will be used, and the row that gave a threshold stays at or above it.
    """
    return np.asarray(np.floor(thresholds * 1e6) / 1e6, dtype=np.float64)


def _bin(confidence: Floats, bins: int) -> Codes:
    """Number of the equal-width bin, closed on the right: (0, 1/bins], (1/bins, 2/bins] …."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(confidence: Floats, correct: Flags, bins: int) -> pd.DataFrame:
    """One line for each bin that holds rows: ``low, high, rows, confidence, accuracy``."""
    frame = pd.DataFrame({"confidence": confidence, "correct": correct})
    table = frame.groupby(_bin(confidence, bins)).agg(
        rows=("correct", "size"), confidence=("confidence", "mean"), accuracy=("correct", "mean")
    )
    edges = table.index.to_numpy()
    table.insert(0, "low", edges / bins)
    table.insert(1, "high", (edges + 1) / bins)
    return table.reset_index(drop=True)


def calibration_error(confidence: Floats, correct: Flags, bins: int) -> float:
    """Expected calibration error, 0-1 (Naeini et al. 2015): the bins' gaps, weighted by rows."""
    table = reliability(confidence, correct, bins)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((gaps * table["rows"]).sum() / len(confidence))


def perfect_error(confidence: Floats, bins: int, seed: int) -> float:
    """Mean calibration error of a model that is right exactly as often as it says.

    Not zero: chance alone opens gaps in finite bins. Mean of 200 draws of Bernoulli(confidence).
    """
    generator = np.random.default_rng(seed)
    member = np.eye(bins)[_bin(confidence, bins)]
    hits = (generator.random((DRAWS, len(confidence))) < confidence).astype(np.float64)
    gaps = np.abs((hits - confidence) @ member)
    return float(gaps.sum(axis=1).mean() / len(confidence))


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


@dataclass(frozen=True)
class OutOfScope:
    """Whether confidence tells messages of no known class from the others (all 0-1)."""

    auroc: float
    recall: float
    """Share of out-of-scope rows below the threshold."""
    kept: float
    """Share of in-scope rows at or above it."""
    fpr95: float
    """Share of out-of-scope rows that pass where 95 % of the in-scope rows do."""
    n: int


def scope_threshold(validation: Floats) -> float:
    """The highest threshold that keeps at least 95 % of these in-scope rows, as ``recorded``."""
    return float(recorded(np.quantile(validation, 1 - KEEP, method="lower")))


def auroc(inside: Floats, outside: Floats) -> float:
    """Chance that a row in scope has a higher value than one out of scope, 0-1."""
    known = np.repeat([1, 0], [len(inside), len(outside)])
    return float(roc_auc_score(known, np.concatenate([inside, outside])))


def out_of_scope(validation: Floats, inside: Floats, outside: Floats) -> OutOfScope | None:
    """Judge confidences of test rows in and out of scope; None where no row is out of scope.

    The threshold is ``scope_threshold`` of the in-scope ``validation`` rows.
    """
    if len(outside) == 0:
        return None
    threshold = scope_threshold(validation)
    return OutOfScope(
        auroc=auroc(inside, outside),
        recall=float((outside < threshold).mean()),
        kept=float((inside >= threshold).mean()),
        fpr95=float((outside >= np.quantile(inside, 1 - KEEP, method="lower")).mean()),
        n=len(outside),
    )
