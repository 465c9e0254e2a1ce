"""Figures of the benchmark on published data sets."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from roadworthy.model_names import NAMES
from roadworthy.plots.style import BLUE, GREEN, GREY, ORANGE, RED, canvas

COLOURS = {"network": BLUE, "probe": ORANGE, "tfidf": GREEN}


def few_labels(data: dict[str, Any]) -> Figure:
    """Test accuracy by labels a class, one panel a data set, with intervals over the seeds.

    ``data`` is that of results.json; the last point is all training rows. Data sets that were not
    learnt from few labels are left out, if there are others.
    """
    data = {name: result for name, result in data.items() if result["few"]} or data
    figure, axes = canvas(width=4.6 * len(data), height=3.6, columns=len(data))
    for axis, (name, result) in zip(axes, data.items(), strict=True):
        every = result["train_rows"] / result["classes"]
        points = {**result["few"], f"{every:.0f}": result["models"]}
        for model, colour in COLOURS.items():
            scores = [points[shots][model]["accuracy"] for shots in points]
            value, low, high = (
                100 * np.array([score[key] for score in scores], dtype=float)
                for key in ("value", "low", "high")
            )
            spread = np.nan_to_num(np.array([value - low, high - value]))
            axis.errorbar(
                [float(shots) for shots in points],
                value,
                spread,
                fmt="o-",
                color=colour,
                capsize=3,
                label=NAMES[model],
            )
        axis.set(xscale="log", xlabel="labels a class", ylabel="test accuracy, %", title=name)
        axis.set_xticks([float(shots) for shots in points], list(points))
        axis.minorticks_off()
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def trade_off(scores: dict[str, pd.DataFrame]) -> Figure:
    """In-scope accuracy against recall of messages of no known class, at every threshold.

    One curve (``in_scope, recall``) a score; shown where at most a fifth in scope is given up.
    """
    figure, (axis,) = canvas(width=5.6, height=4.0)
    colours = cycle((BLUE, GREEN, ORANGE, RED, GREY))
    best = max(float(curve["in_scope"].max()) for curve in scores.values())
    seen = [curve[curve["in_scope"] >= 0.8 * best] for curve in scores.values()]
    for (score, curve), colour in zip(scores.items(), colours, strict=False):
        axis.plot(100 * curve["recall"], 100 * curve["in_scope"], color=colour, label=score)
    axis.set(
        xlabel="messages of no known class turned away, %",
        ylabel="in-scope accuracy, %\n(those turned away count as wrong)",
        xlim=(100 * min(curve["recall"].quantile(0.1) for curve in seen), 101),
        ylim=(80 * best, 101),
    )
    axis.legend(frameon=False)
    return figure
