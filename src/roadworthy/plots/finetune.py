"""Figures of the stage ``finetune``."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, GREEN, GREY, RED, canvas


def learning_curve(curve: pd.DataFrame, best_epochs: list[int], probe_accuracy: float) -> Figure:
    """Training loss and validation accuracy by epoch, a line a network, with the epoch kept.

    The frozen probe's accuracy as a dashed line.
    """
    figure, (left, right) = canvas(width=9, columns=2)
    for number, best_epoch in enumerate(best_epochs):
        own = curve[curve["network"] == number]
        accuracy, best = 100 * own["validation_accuracy"], own["epoch"] == best_epoch
        first = number == 0  # one entry of the legend for all networks
        left.plot(own["step"], own["train_loss"], color=RED, marker="o", markersize=3)
        right.plot(
            own["step"],
            accuracy,
            color=BLUE,
            marker="o",
            markersize=3,
            label="LoRA" if first else None,
        )
        right.scatter(
            own["step"][best],
            accuracy[best],
            s=90,
            color=GREEN,
            zorder=3,
            label="kept" if first else None,
        )
    left.set(xlabel="step", ylabel="training loss (with label smoothing)")
    right.axhline(100 * probe_accuracy, color=GREY, linestyle="--", label="frozen probe")
    right.set(xlabel="step", ylabel="validation accuracy, %")
    right.legend(frameon=False)
    return figure
