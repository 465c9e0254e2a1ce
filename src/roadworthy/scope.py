"""Messages of no known class: which score tells them apart, and what turning them away costs.

Thresholds come from validation rows; test rows only judge.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from roadworthy import calibration, familiarity, selective
from roadworthy.predictions import Judged

LEAST = 20
"""Validation rows of no known class that may choose among the scores."""


def scores(
    judged: Judged, name: str, scale: calibration.Scale, familiar: pd.DataFrame | None
) -> pd.DataFrame:
    """How familiar each row of ``judged.rows`` is to one model, one column a score, high is known.

    ``joint``, see ``familiarity``, is in standard deviations of the in-scope validation rows.

    Args:
        judged: rows and predictions.
        name: the model.
        scale: of its calibration; the top probability is the score ``confidence``.
        familiar: its familiarity scores by ``id``, if it has any beside its confidence.

    """
    confidence = np.zeros(len(judged.rows))
    for split, scoped in ((s, i) for s in ("validation", "test") for i in (True, False)):
        p = judged.probabilities(name, split, scoped)
        confidence[judged.mask(split, scoped)] = calibration.top(p, scale)
    found = pd.DataFrame({"confidence": confidence})
    if familiar is not None:
        found = found.join(familiar.set_index("id").loc[judged.rows["id"]].reset_index(drop=True))
        found["joint"] = familiarity.joint(found, units(judged, found))
    return found


def units(judged: Judged, familiar: pd.DataFrame) -> dict[str, float]:
    """Standard deviations of the parts of ``joint`` over in-scope validation rows."""
    held = familiar.loc[judged.mask("validation", True), familiarity.parts(familiar.columns)]
    deviation = held.std(ddof=0).round(6).replace(0, 1)  # as it is recorded
    return {str(part): float(value) for part, value in deviation.items()}


def judge(judged: Judged, name: str, familiar: pd.DataFrame) -> pd.DataFrame | None:
    """How well each score tells messages of no known class from the others.

    One line a score: ``auroc, recall, kept, fpr95, n`` on test rows (the threshold of recall and
    kept comes from validation rows, that of fpr95 from the test rows themselves, as its name goes),
    ``in_scope`` as in ``turning_away`` at that ``threshold``, and ``validation_auroc``, by which
    ``guard`` chooses. None where no row is out of scope.

    Args:
        judged: rows and predictions.
        name: the model.
        familiar: what ``scores`` gives.

    """
    held, beyond = (judged.mask("validation", scoped) for scoped in (True, False))
    inside, outside = (judged.mask("test", scoped) for scoped in (True, False))
    if not outside.any():
        return None
    lines = {}
    for score in familiar.columns:
        values = familiar[score].to_numpy()
        found = calibration.out_of_scope(values[held], values[inside], values[outside])
        own = calibration.auroc(values[held], values[beyond]) if beyond.any() else float("nan")
        threshold = calibration.scope_threshold(values[held])
        lines[score] = asdict(found) if found else {}
        lines[score] |= {
            "in_scope": turning_away(judged, name, values, threshold)["in_scope"],
            "validation_auroc": own,
            "threshold": threshold,
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("score")


def guard(judged: Judged, name: str, familiar: pd.DataFrame) -> dict[str, Any] | None:
    """What holds back messages of no known class in service.

    ``score`` is the one with the highest ``validation_auroc`` (over ``validation_n`` rows of no
    known class), ``threshold`` keeps 95 % of the validation rows in scope, ``spread`` is what
    ``familiarity.joint`` needs beside the message. On test rows: ``kept``, the share in scope at or
    above the threshold; of the ``n`` rows of no known class ``auroc`` and ``recall`` (share below
    the threshold). None where fewer than ``LEAST`` validation rows can choose, or no score is
    better than chance.

    Args:
        judged: rows and predictions.
        name: the model.
        familiar: what ``scores`` gives.

    """
    held, beyond = (judged.mask("validation", scoped) for scoped in (True, False))
    if beyond.sum() < LEAST:
        return None
    columns = {score: familiar[score].to_numpy() for score in familiar.columns}
    chances = {
        score: calibration.auroc(values[held], values[beyond]) for score, values in columns.items()
    }
    chosen = max(chances, key=chances.__getitem__)
    if chances[chosen] <= 0.5:
        return None
    values, threshold = columns[chosen], calibration.scope_threshold(columns[chosen][held])
    inside, outside = (judged.mask("test", scoped) for scoped in (True, False))
    kept = values >= threshold
    found = {
        "score": chosen,
        "threshold": threshold,
        "spread": units(judged, familiar) if "joint" in familiar else {},
        "validation_auroc": chances[chosen],
        "validation_n": int(beyond.sum()),
        "kept": float(kept[inside].mean()),
        "n": int(outside.sum()),
    }
    if not outside.any():
        return found | dict.fromkeys(("auroc", "recall"))
    return found | {
        "auroc": calibration.auroc(values[inside], values[outside]),
        "recall": float(1 - kept[outside].mean()),
    }


def served(
    judged: Judged,
    name: str,
    familiar: pd.DataFrame,
    held_back: dict[str, Any] | None,
    target_risk: float,
) -> selective.Selective:
    """What service automates of all test messages, those of no known class included.

    A message is automated if it is familiar enough for the guard and confident enough; one of no
    known class that passes both is misrouted for certain. The threshold of the confidence is chosen
    on the validation messages of both kinds, behind the guard.

    Args:
        judged: rows and predictions.
        name: the model.
        familiar: what ``scores`` gives.
        held_back: what ``guard`` gives.
        target_risk: accepted error rate among the automated messages.

    """
    sure = np.where(stopped(familiar, held_back), -1.0, familiar["confidence"].to_numpy())
    confidence, right, clusters = _both(judged, name, sure, "validation")
    passed = confidence >= 0
    threshold = selective.threshold_for(
        confidence[passed], right[passed], target_risk, clusters[passed]
    )
    confidence, right, clusters = _both(judged, name, sure, "test")
    return selective.selective(threshold, confidence, right, target_risk, clusters)


def stopped(familiar: pd.DataFrame, held_back: dict[str, Any] | None) -> calibration.Flags:
    """Which rows the guard holds back, as ``guard`` gives it; none without one."""
    if held_back is None:
        return np.zeros(len(familiar), dtype=bool)
    return np.asarray(familiar[held_back["score"]] < held_back["threshold"], dtype=bool)


def _both(
    judged: Judged, name: str, sure: calibration.Floats, split: str
) -> tuple[calibration.Floats, calibration.Flags, calibration.Codes]:
    """Confidence, right or wrong, and cluster of a split's rows, in scope and out (never right)."""
    masks = {scoped: judged.mask(split, scoped) for scoped in (True, False)}
    never = np.zeros(int(masks[False].sum()), dtype=bool)
    return (
        np.concatenate([sure[mask] for mask in masks.values()]),
        np.concatenate([judged.correct(name, split), never]),
        np.concatenate([judged.clusters(split, scoped) for scoped in masks]),
    )


def turning_away(
    judged: Judged, name: str, values: calibration.Floats, threshold: float
) -> dict[str, float]:
    """What a threshold does to test rows: ``in_scope, recall``, both 0-1.

    ``in_scope`` is the accuracy on rows in scope where those turned away count as wrong, ``recall``
    the share of the others that is turned away (Larson et al. 2019). ``values`` has one score for
    each row of ``judged.rows``.
    """
    inside, outside = (values[judged.mask("test", scoped)] for scoped in (True, False))
    right = judged.correct(name, "test") & (inside >= threshold)
    return {"in_scope": float(right.mean()), "recall": float((outside < threshold).mean())}


def trade_off(judged: Judged, name: str, values: calibration.Floats) -> pd.DataFrame:
    """``turning_away`` at a hundred thresholds: ``threshold, in_scope, recall``."""
    steps = np.quantile(values, np.linspace(0, 1, 101))
    lines = [{"threshold": at} | turning_away(judged, name, values, at) for at in steps]
    return pd.DataFrame(lines)
