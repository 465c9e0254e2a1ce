"""Figures of the stage ``clean``."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, GREY, ORANGE, RED, canvas


def scores(issues: pd.DataFrame) -> Figure:
    """Histogram of label scores, flagged rows on top of the rest."""
    figure, (axis,) = canvas()
    flagged = issues["is_label_issue"].to_numpy(dtype=bool)
    edges = np.linspace(0, 1, 41)
    parts = [issues["label_score"][~flagged], issues["label_score"][flagged]]
    axis.hist(
        parts, bins=list(edges), stacked=True, color=[GREY, RED], label=["not flagged", "flagged"]
    )
    axis.set(xlabel="label score: share of rows doubted as much or more", ylabel="training rows")
    figure.legend(loc="outside upper right", frameon=False, ncols=2)
    return figure


def detectors(injected: dict[str, float], chosen: str) -> Figure:
    """Average precision of each score on injected errors, best at the top, the chosen one blue."""
    figure, (axis,) = canvas(height=3.2)
    order = sorted(injected, key=lambda name: (np.nan_to_num(injected[name]), name))
    colours = [BLUE if name == chosen else GREY for name in order]
    axis.barh(
        [name.replace("_", " ") for name in order], [injected[n] for n in order], color=colours
    )
    axis.set(xlabel="average precision on injected errors", xlim=(0, 1))
    return figure


def rules(worth: pd.DataFrame) -> Figure:
    """Each labelling function: how much it speaks about, how often it is right (interval)."""
    figure, (axis,) = canvas(height=3.2)
    axis.set(
        xlabel="share of the training rows that a rule speaks about, %",
        ylabel="right, % of the verified",
        ylim=(0, 103),
    )
    if worth.empty or worth["verified"].sum() == 0:
        axis.text(
            0.5, 0.5, "no rules, or no verified labels", transform=axis.transAxes, ha="center"
        )
        return figure
    value = 100 * worth["accuracy"]
    error = np.vstack([value - 100 * worth["low"], 100 * worth["high"] - value])
    axis.errorbar(
        100 * worth["coverage"], value, yerr=np.maximum(error, 0), fmt="o", color=BLUE,
        ecolor="#dddddd", markersize=4,
    )  # fmt: skip
    return figure


def arms(table: pd.DataFrame) -> Figure:
    """Gain of each arm on validation with its interval; zero is no cleaning."""
    figure, (axis,) = canvas(height=2.4)
    position = np.arange(len(table))[::-1]
    gain = 100 * table["gain"].to_numpy()
    error = np.vstack(
        [gain - 100 * table["gain_low"].to_numpy(), 100 * table["gain_high"].to_numpy() - gain]
    )
    axis.axvline(0, color=GREY, linewidth=1)
    axis.errorbar(
        gain, position, xerr=np.maximum(error, 0), fmt="o", color=BLUE, ecolor=ORANGE, capsize=4
    )
    axis.set_yticks(position, list(table["name"]))
    axis.set(xlabel="validation accuracy minus that without cleaning, points (95 % interval)")
    axis.set_ylim(-0.6, len(table) - 0.4)
    return figure
