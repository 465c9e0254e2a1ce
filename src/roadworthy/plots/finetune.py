"""Figures of the stage ``finetune``."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, GREEN, GREY, RED, canvas


def learning_curve(curve: pd.DataFrame, best_epoch: int, probe_accuracy: float) -> Figure:
    """Training loss and validation accuracy by epoch.

    The frozen probe's accuracy as a dashed line.
    """
    figure, (left, right) = canvas(width=9, columns=2)
    left.plot(curve["step"], curve["train_loss"], color=RED, marker="o", markersize=3)
    left.set(xlabel="step", ylabel="training loss (with label smoothing)")
    right.plot(
        curve["step"],
        100 * curve["validation_accuracy"],
        color=BLUE,
        marker="o",
        markersize=3,
        label="LoRA",
    )
    right.axhline(100 * probe_accuracy, color=GREY, linestyle="--", label="frozen probe")
    best = curve[curve["epoch"] == best_epoch].iloc[0]
    right.scatter(
        [best["step"]],
        [100 * best["validation_accuracy"]],
        s=90,
        color=GREEN,
        zorder=3,
        label="kept",
    )
    right.set(xlabel="step", ylabel="validation accuracy, %")
    right.legend(frameon=False)
    return figure
