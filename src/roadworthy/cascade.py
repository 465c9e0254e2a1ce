"""A cascade: a cheap model answers what it is sure of, the fine-tuned model the rest.

Predictions frames in, numbers out. The threshold is chosen on validation rows; test rows judge.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from roadworthy import calibration, intervals
from roadworthy.config import flat
from roadworthy.intervals import Estimate, Flags, Floats
from roadworthy.predictions import Judged
from roadworthy.settings import Evaluate

CHEAP = ("tfidf", "static", "pool")
"""Models that may answer first, if the run has them: without a transformer, and far faster."""


@dataclass(frozen=True)
class Cascade:
    """One cheap model before the fine-tuned one; shares, accuracies and losses are 0-1."""

    threshold: float
    """Calibrated confidence from which the cheap model answers; infinite if it never does."""
    validation_share: float
    validation_loss: float
    share: float
    """Of the test rows, answered by the cheap model."""
    accuracy: Estimate
    loss: Estimate
    """Accuracy of the fine-tuned model alone minus that of the cascade, on the same test rows."""
    curve: pd.DataFrame
    """``trade_off`` on test rows."""

    def record(self) -> dict[str, Any]:
        """The numbers, without the curve."""
        return {key: value for key, value in asdict(self).items() if key != "curve"}


def trade_off(confidence: Floats, cheap: Flags, tuned: Flags) -> pd.DataFrame:
    """What each threshold gives: ``threshold, share, accuracy, loss``, strictest first.

    The first line is an infinite threshold, at which the cheap model answers nothing.

    Args:
        confidence: of the cheap model (0-1); rows at or above the threshold are its own.
        cheap: which rows the cheap model gets right.
        tuned: which rows the fine-tuned model gets right.

    """
    lost = tuned.astype(np.int64) - cheap.astype(np.int64)
    frame = pd.DataFrame({"threshold": calibration.recorded(confidence), "lost": lost})
    steps = frame.groupby("threshold")["lost"].agg(["size", "sum"])
    steps.loc[np.inf] = 0
    steps = steps[::-1].cumsum()
    # Whole rows are divided last, so that a loss of exactly the accepted size counts as accepted.
    columns = {
        "share": steps["size"] / len(frame),
        "accuracy": (tuned.sum() - steps["sum"]) / len(frame),
        "loss": steps["sum"] / len(frame),
    }
    return pd.DataFrame(columns).reset_index()


def loss_at(curve: pd.DataFrame, share: float) -> float:
    """What is lost at the first threshold of a ``trade_off`` at which that ``share`` is answered.

    The last line answers every row, so there is one.
    """
    return float(curve.loc[curve["share"] >= share, "loss"].iloc[0])


def judge(
    judged: Judged, tuned: str, scales: dict[str, calibration.Scale], settings: Evaluate, seed: int
) -> dict[str, Cascade]:
    """Each cheap model of the run before the model ``tuned``.

    The threshold is the one with the largest share answered cheaply among those that lose at most
    ``settings.cascade_loss`` of accuracy on validation rows.

    Args:
        judged: rows and predictions.
        tuned: the fine-tuned model.
        scales: of every model's calibration, fitted on validation rows.
        settings: accepted loss, resamples, level of the intervals.
        seed: of the resamples: the same rows are drawn as for the other scores.

    """
    weights = intervals.resampled(judged.clusters("test"), settings.resamples, seed)
    return {
        name: _judge(judged, name, tuned, scales[name], settings, weights)
        for name in CHEAP
        if name in judged.models
    }


def _judge(
    judged: Judged,
    name: str,
    tuned: str,
    scale: calibration.Scale,
    settings: Evaluate,
    weights: intervals.Weights,
) -> Cascade:
    splits = ("validation", "test")
    sure = {s: calibration.top(judged.probabilities(name, s), scale) for s in splits}
    cheap, best = ({s: judged.correct(model, s) for s in splits} for model in (name, tuned))
    curves = {s: trade_off(sure[s], cheap[s], best[s]) for s in splits}
    accepted = curves["validation"][curves["validation"]["loss"] <= settings.cascade_loss]
    threshold, share, loss = accepted[["threshold", "share", "loss"]].to_numpy(np.float64)[-1]
    first = calibration.recorded(sure["test"]) >= threshold
    mixed = np.where(first, cheap["test"], best["test"])
    return Cascade(
        threshold=float(threshold),
        validation_share=float(share),
        validation_loss=float(loss),
        share=float(first.mean()),
        accuracy=intervals.accuracy(mixed, judged.clusters("test"), settings.confidence),
        loss=intervals.difference(best["test"], mixed, weights, settings.confidence),
        curve=curves["test"],
    )


PERCENT = {
    "validation_share": "validation share %",
    "validation_loss": "validation loss, points",
    "share": "share %",
    "accuracy.value": "accuracy %",
    "accuracy.low": "low %",
    "accuracy.high": "high %",
    "loss.value": "loss, points",
    "loss.low": "loss low",
    "loss.high": "loss high",
}


def table(cascades: dict[str, Cascade], tuned: str, alone: dict[str, Any]) -> pd.DataFrame:
    """One line a cascade below the model ``tuned`` alone, by which model answers first.

    ``alone`` holds the test accuracy of ``tuned``: ``value, low, high``. Shares and scores in per
    cent, losses in percentage points.
    """
    records = {tuned: {"accuracy": alone}} | {name: one.record() for name, one in cascades.items()}
    leaves = {name: dict(flat(record)) for name, record in records.items()}
    lines = pd.DataFrame(leaves).T.reindex(columns=["threshold", *PERCENT]).astype(float)
    lines[list(PERCENT)] *= 100
    return lines.rename(columns=PERCENT).rename_axis("answers first")
