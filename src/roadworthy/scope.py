"""Messages of no known class: which score tells them apart, and what turning them away costs.

Thresholds come from validation rows; test rows only judge.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from roadworthy import calibration, familiarity
from roadworthy.predictions import Judged


def scores(
    judged: Judged, name: str, temperature: float, familiar: pd.DataFrame | None
) -> pd.DataFrame:
    """How familiar each row of ``judged.rows`` is to one model, one column a score, high is known.

    ``joint``, see ``familiarity``, is in standard deviations of the in-scope validation rows.

    Args:
        judged: rows and predictions.
        name: the model.
        temperature: of its calibration; the top probability is the score ``confidence``.
        familiar: its familiarity scores by ``id``, if it has any beside its confidence.

    """
    confidence = np.zeros(len(judged.rows))
    for split, scoped in ((s, i) for s in ("validation", "test") for i in (True, False)):
        p = judged.probabilities(name, split, scoped)
        confidence[judged.mask(split, scoped)] = calibration.top(p, temperature)
    found = pd.DataFrame({"confidence": confidence})
    if familiar is not None:
        found = found.join(familiar.set_index("id").loc[judged.rows["id"]].reset_index(drop=True))
        found["joint"] = familiarity.joint(found, _spread(judged, found))
    return found


def _spread(judged: Judged, familiar: pd.DataFrame) -> dict[str, float]:
    """Standard deviations of the parts of ``joint`` over in-scope validation rows."""
    held = familiar.loc[judged.mask("validation", True), familiarity.parts(familiar.columns)]
    return {str(part): float(value) for part, value in held.std(ddof=0).replace(0, 1).items()}


def judge(judged: Judged, name: str, familiar: pd.DataFrame) -> pd.DataFrame | None:
    """How well each score tells messages of no known class from the others.

    One line a score: ``auroc, recall, kept, fpr95, n`` on test rows (the threshold of recall and
    kept comes from validation rows, that of fpr95 from the test rows themselves, as its name goes),
    ``in_scope`` as in ``turning_away`` at that ``threshold``, and ``validation_auroc``, by which a
    score is chosen. None where no row is out of scope.

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
        own = calibration.out_of_scope(values[held], values[held], values[beyond])
        threshold = calibration.scope_threshold(values[held])
        lines[score] = asdict(found) if found else {}
        lines[score] |= {
            "in_scope": turning_away(judged, name, values, threshold)["in_scope"],
            "validation_auroc": own.auroc if own else float("nan"),
            "threshold": threshold,
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("score")


def guard(
    judged: Judged, familiar: pd.DataFrame, found: pd.DataFrame | None
) -> dict[str, Any] | None:
    """What turns messages of no known class away in service: score, threshold, and its worth.

    The score with the highest ``validation_auroc``; of equals, the first. ``spread`` is what
    ``familiarity.joint`` needs beside the message. None where no row can choose.

    Args:
        judged: rows and predictions.
        familiar: what ``scores`` gives.
        found: what ``judge`` says of them.

    """
    if found is None or found["validation_auroc"].isna().all():
        return None
    chosen = str(found["validation_auroc"].idxmax())
    spread = _spread(judged, familiar) if "energy" in familiar else {}
    worth = {str(name): value for name, value in found.loc[chosen].items()}
    return {"score": chosen, "spread": spread} | worth


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
