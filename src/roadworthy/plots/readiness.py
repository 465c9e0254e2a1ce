"""Figures of the stage ``readiness``."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, GREY, RED, canvas, plain

CLIP = 2.0


def margins(judged: pd.DataFrame) -> Figure:
    """How far each criterion is from its threshold, in shares of the threshold; right is better.

    ``judged``: index name, columns verdict, value, baseline, threshold, direction, as
    ``readiness.table`` gives it. Bars end at -200 % and +200 %. Unknown criteria have no bar.
    """
    figure, (axis,) = canvas(7.6, 0.9 + 0.27 * len(judged))
    for place, (_, row) in enumerate(judged.iterrows()):
        if row["verdict"] == "unknown" or math.isnan(row["value"]):
            axis.annotate("unknown", (0, place), va="center", fontsize=8, color=RED)
            continue
        value = row["value"] - (0.0 if math.isnan(row["baseline"]) else row["baseline"])
        sign = 1 if row["direction"] == "at_least" else -1
        scale = abs(row["threshold"]) or 1.0
        margin = max(-CLIP, min(CLIP, sign * (value - row["threshold"]) / scale))
        passed = row["verdict"] == "pass"
        axis.barh(place, 100 * margin, color=BLUE if passed else RED, height=0.6)
        axis.plot(100 * margin, place, "o" if passed else "X", color=BLUE if passed else RED)
    names = [plain(f"{name}: {row['verdict']}", 40) for name, row in judged.iterrows()]
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.axvline(0, color=GREY, linewidth=1.2)
    axis.set_xlabel("distance from the threshold, % of it (right of the line passes)")
    return figure
