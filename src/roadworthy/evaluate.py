"""Which model is better, and surely: predictions frames in, scores out; no model is loaded.

Models are chosen on validation rows; test rows only judge. All models are scored on the same
resampled test rows, so that their differences are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from roadworthy import calibration, intervals, selective
from roadworthy.calibration import OutOfScope, Scale
from roadworthy.config import flat
from roadworthy.intervals import Codes, Flags, Floats
from roadworthy.predictions import Judged
from roadworthy.selective import Selective
from roadworthy.settings import Evaluate

FINETUNED = "lora"
TABLES = ("before", "after", "curve")
"""What of a calibration is shown but not recorded."""


@dataclass(frozen=True)
class Choice:
    """Which model the others are held against, and which would be shipped: by validation rows."""

    validation: dict[str, float]
    """Accuracy of each model, 0-1."""
    best_baseline: str
    champion: str


def choose(judged: Judged) -> Choice:
    """The best model of all, and the best that is not fine-tuned, by validation accuracy.

    Of equally good models the simpler one wins: frames come simplest first.
    """
    validation = {name: float(judged.correct(name, "validation").mean()) for name in judged.models}
    baselines = [name for name in validation if name != FINETUNED]
    return Choice(
        validation=validation,
        best_baseline=max(baselines, key=validation.__getitem__),
        champion=max(validation, key=validation.__getitem__),
    )


def scores(
    judged: Judged, against: str, settings: Evaluate, seed: int
) -> dict[str, dict[str, Any]]:
    """Test scores of each model with intervals, and a paired comparison with ``against``.

    ``accuracy_deduplicated`` leaves out rows with a near-duplicate in training, ``accuracy_gold``
    scores the same predictions by the verified labels (None where there are none).
    """
    level, truth, rows = settings.confidence, judged.truth("test"), judged.rows[judged.mask("test")]
    fresh = ~rows["leaked"].to_numpy(dtype=bool)
    clusters = judged.clusters("test")
    weights = intervals.resampled(clusters, settings.resamples, seed)
    reference, found = judged.correct(against, "test"), {}
    for name in tqdm(judged.models, desc="bootstrap", unit="model"):
        right, guess = judged.correct(name, "test"), judged.predicted(name, "test")
        gold, verified = judged.verified(name, "test")
        macro_f1 = intervals.macro_f1(truth, guess, len(judged.classes), weights, level)
        by_gold = intervals.accuracy(gold, clusters, level, verified) if verified.any() else None
        found[name] = {
            "accuracy": asdict(intervals.accuracy(right, clusters, level)),
            "macro_f1": asdict(macro_f1),
            "accuracy_deduplicated": asdict(intervals.accuracy(right, clusters, level, fresh)),
            "accuracy_gold": asdict(by_gold) if by_gold else None,
            **worst_class(truth, right, judged.classes),
            "mcnemar": None
            if name == against
            else {"against": against} | comparison(right, reference, weights, clusters, level),
        }
    return found


def worst_class(truth: Codes, right: Flags, classes: Sequence[str]) -> dict[str, Any]:
    """The class with the lowest recall (0-1), and how many rows say so.

    A class without a row is the worst: nobody knows how its messages fare, so there is no recall.
    """
    rows = np.bincount(truth, minlength=len(classes))
    recall = np.bincount(truth, right, minlength=len(classes)) / np.maximum(rows, 1)
    worst = int(np.where(rows, recall, -1).argmin())
    return {
        "worst_class": classes[worst],
        "worst_class_recall": float(recall[worst]) if rows[worst] else None,
        "worst_class_rows": int(rows[worst]),
    }


def comparison(
    right: Flags,
    reference: Flags,
    weights: intervals.Weights,
    clusters: Codes,
    confidence: float,
) -> dict[str, Any]:
    """Difference in accuracy with its interval, discordant clusters, the exact McNemar p-value."""
    gain = intervals.difference(right, reference, weights, confidence)
    wins, losses, p_value = intervals.mcnemar(right, reference, clusters)
    difference = {"value": gain.value, "low": gain.low, "high": gain.high}
    return {"difference": difference, "wins": wins, "losses": losses, "p_value": p_value}


@dataclass(frozen=True)
class Calibrated:
    """One model's confidence on test rows; scale and threshold come from validation rows."""

    temperature: float
    lapse: float
    """With the temperature the model's ``scale``, see ``calibration.Scale``."""
    ece_before: float
    ece_after: float
    ece_perfect: float
    aurc: float
    selective: Selective
    out_of_scope: OutOfScope | None
    before: pd.DataFrame
    """Reliability table of the raw probabilities."""
    after: pd.DataFrame
    curve: pd.DataFrame
    """Risk and coverage of every threshold on calibrated confidence."""

    @property
    def scale(self) -> Scale:
        """Both numbers that the calibration has fitted."""
        return Scale(self.temperature, self.lapse)

    def record(self) -> dict[str, Any]:
        """The numbers, without the tables."""
        return {key: value for key, value in asdict(self).items() if key not in TABLES}


def thresholds(
    calibrated: dict[str, Calibrated], guard: dict[str, Any] | None, served: Selective
) -> dict[str, dict[str, Any]]:
    """What serving needs of each model: ``temperature, lapse, threshold``.

    The fine-tuned model has its ``guard`` and the threshold that was chosen behind it.
    """
    found: dict[str, dict[str, Any]] = {
        name: model.scale._asdict() | {"threshold": model.selective.threshold}
        for name, model in calibrated.items()
    }
    found[FINETUNED] |= {"guard": guard, "threshold": served.threshold}
    return found


def calibrate(judged: Judged, name: str, settings: Evaluate, seed: int) -> Calibrated:
    """Scale and automation threshold fitted on validation rows, judged on test rows."""
    held_out = judged.probabilities(name, "validation")
    scale = calibration.fit(held_out, judged.truth("validation"))

    def confidence(split: str, in_scope: bool = True) -> Floats:
        return calibration.top(judged.probabilities(name, split, in_scope), scale)

    validation, test, right = (
        confidence("validation"),
        confidence("test"),
        judged.correct(name, "test"),
    )
    raw = judged.probabilities(name, "test").max(axis=1)
    accepted, clusters = settings.target_risk, judged.clusters("test")
    threshold = selective.threshold_for(
        validation, judged.correct(name, "validation"), accepted, judged.clusters("validation")
    )
    return Calibrated(
        **scale._asdict(),
        ece_before=calibration.calibration_error(raw, right, settings.bins),
        ece_after=calibration.calibration_error(test, right, settings.bins),
        ece_perfect=calibration.perfect_error(test, settings.bins, seed),
        aurc=selective.area(test, right),
        selective=selective.selective(threshold, test, right, accepted, clusters),
        out_of_scope=calibration.out_of_scope(validation, test, confidence("test", in_scope=False)),
        before=calibration.reliability(raw, right, settings.bins),
        after=calibration.reliability(test, right, settings.bins),
        curve=selective.risk_coverage(test, right),
    )


def record(
    judged: Judged,
    choice: Choice,
    scored: dict[str, dict[str, Any]],
    calibrated: dict[str, Calibrated],
    settings: Evaluate,
) -> dict[str, Any]:
    """The content of reports/metrics/evaluate.json, less the hash of the test set."""
    return {
        "rows": {
            "validation": int(judged.mask("validation").sum()),
            "test": int(judged.mask("test").sum()),
            "test_out_of_scope": int(judged.mask("test", in_scope=False).sum()),
        },
        "confidence": settings.confidence,
        "resamples": settings.resamples,
        "best_baseline": choice.best_baseline,
        "champion": choice.champion,
        "models": {name: scored[name] | calibrated[name].record() for name in judged.models},
    }


PERCENT = {
    "accuracy.value": "accuracy %",
    "accuracy.low": "low %",
    "accuracy.high": "high %",
    "macro_f1.value": "macro-F1 %",
    "accuracy_deduplicated.value": "deduplicated %",
    "accuracy_gold.value": "by gold %",
    "mcnemar.difference.value": "gain, points",
    "mcnemar.difference.low": "gain low",
    "mcnemar.difference.high": "gain high",
    "ece_before": "ECE before %",
    "ece_after": "ECE after %",
    "ece_perfect": "ECE perfect %",
    "selective.coverage": "coverage %",
    "selective.risk": "risk %",
    "out_of_scope.auroc": "out-of-scope AUROC %",
    "out_of_scope.recall": "out-of-scope found %",
    "out_of_scope.kept": "in-scope kept %",
    "out_of_scope.fpr95": "false positives at 95 % kept, %",
}
PLAIN = {"mcnemar.p_value": "p-value", "temperature": "temperature", "lapse": "lapse"}


def summary(result: dict[str, Any], choice: Choice) -> pd.DataFrame:
    """One line a model, scores in per cent, gains in percentage points over the best baseline."""
    leaves = {name: dict(flat(model)) for name, model in result["models"].items()}
    table = pd.DataFrame(leaves).T.reindex(columns=[*PERCENT, *PLAIN]).astype(float)
    table[list(PERCENT)] *= 100
    table.insert(0, "validation accuracy %", 100 * pd.Series(choice.validation))
    return table.rename(columns=PERCENT | PLAIN).rename_axis("model")


def curves(calibrated: dict[str, Calibrated], points: int = 50) -> pd.DataFrame:
    """Risk-coverage curves of all models, thinned to about ``points`` even steps of coverage."""
    parts: list[pd.DataFrame] = []
    for name, model in calibrated.items():
        step = np.ceil(model.curve["coverage"] * points)
        parts.append(model.curve[~step.duplicated(keep="last")].assign(model=name))
    return pd.concat(parts, ignore_index=True)[["model", "coverage", "risk", "threshold"]]
