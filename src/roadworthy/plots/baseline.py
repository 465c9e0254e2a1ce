"""Figures of the stage ``baseline``."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, canvas


def validation(table: pd.DataFrame) -> Figure:
    """Validation accuracy of each architecture (columns ``model, validation_accuracy``)."""
    figure, (axis,) = canvas(height=0.5 + 0.45 * len(table))
    position = np.arange(len(table))[::-1]
    values = 100 * table["validation_accuracy"].to_numpy()
    axis.barh(position, values, color=BLUE, height=0.6)
    for at, value in zip(position, values, strict=True):
        axis.text(value + 0.8, at, f"{value:.1f}", va="center", fontsize=9)
    axis.set_yticks(position, list(table["model"]))
    axis.set(xlabel="validation accuracy, %", xlim=(0, 108))
    axis.grid(visible=False, axis="y")
    return figure
