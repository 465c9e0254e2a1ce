"""Whether a model's confidence can be believed, and what tells messages of no known class.

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
from sklearn.metrics import roc_auc_score

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

    T lies in [0.01, 100], the lapse in [0, 0.5]; six decimals, as they are recorded.
    """
    rows = np.arange(len(truth))

    def loss(values: Floats) -> float:
        said = calibrated(probabilities, Scale(float(np.exp(values[0])), float(values[1])))
        return float(-np.log(said[rows, truth]).mean())

    bounds = [(np.log(COLDEST), np.log(HOTTEST)), (0.0, MOST)]
    searches = [minimize(loss, (0.0, lapse), method="L-BFGS-B", bounds=bounds) for lapse in STARTS]
    best = min(searches, key=lambda search: float(search.fun)).x
    return Scale(round(float(np.exp(best[0])), 6), round(float(best[1]), 6))


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
