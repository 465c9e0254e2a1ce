"""Figures of the stage ``cost``."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, GREEN, GREY, ORANGE, RED, canvas, plain

STYLES = ["-", "--", "-.", ":"]
ALIKE = 0.05
"""Lines that nowhere differ by more than this share cannot be told apart."""


def _alike(curves: pd.DataFrame) -> list[list[str]]:
    """Columns in groups, each within ``ALIKE`` of the first of its group; later columns first."""
    groups: list[list[str]] = []
    for name in reversed(curves.columns):
        near = (g for g in groups if (curves[name] / curves[g[0]] - 1).abs().max() < ALIKE)
        group = next(near, None)
        groups.append([name]) if group is None else group.append(name)
    return groups


def spend(curves: pd.DataFrame, volume: int, currency: str) -> Figure:
    """Monthly spend against volume, both on log scales.

    A line per column of ``curves``; those within ``ALIKE`` of one another share one.
    """
    figure, (axis,) = canvas(7.6, 4.0)
    colours = [BLUE, ORANGE, GREEN, RED, GREY]
    for number, names in enumerate(_alike(curves)):
        style = STYLES[number // len(colours) % len(STYLES)]
        label = plain(names[0], 30) + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        colour = colours[number % len(colours)]
        axis.plot(curves.index, curves[names[0]], style, color=colour, label=label)
    axis.axvline(volume, color=GREY, linewidth=0.8, linestyle=":")
    axis.annotate("as configured", (volume, 1.01), xycoords=("data", "axes fraction"), fontsize=8)
    axis.set(xscale="log", yscale="log", xlabel="messages a month", ylabel=f"{currency} a month")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def value_for_money(models: pd.DataFrame, currency: str) -> Figure:
    """Accuracy against monthly spend (left) and against spend plus errors (right), a dot a model.

    ``models``: index name, columns ``accuracy``, ``total``, ``with errors``; rows without a value
    are left out.
    """
    figure, axes = canvas(8.4, 3.8, columns=2)
    titles = {"total": "spend", "with errors": "spend and errors"}
    for axis, (column, title) in zip(axes, titles.items(), strict=True):
        shown = models.dropna(subset=["accuracy", column])
        axis.scatter(shown[column], shown["accuracy"], color=BLUE, zorder=3)
        for place, (name, row) in enumerate(shown.sort_values("accuracy").iterrows()):
            side = 1 if place % 2 else -1
            axis.annotate(
                plain(str(name), 24),
                (row[column], row["accuracy"]),
                xytext=(6 * side, 2),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                fontsize=8,
            )
        # From zero: cents of difference must not look like a spread.
        axis.set_xlim(0, 1.35 * float(shown[column].max()) if len(shown) else 1)
        axis.margins(y=0.1)
        axis.set(xlabel=f"{currency} a month, {title}", ylabel="test accuracy")
    return figure


def tornado(levers: pd.DataFrame, name: str, currency: str) -> Figure:
    """Change of one model's month when an assumption is multiplied, the longest bar on top.

    ``levers`` as ``sensitivity.sensitivity`` gives it. Left: spend; right: errors counted in.
    """
    own = levers[levers["model"] == name]
    figure, axes = canvas(8.4, 3.4, columns=2)
    titles = {"change": "spend", "change_with_errors": "spend and errors"}
    for axis, (column, title) in zip(axes, titles.items(), strict=True):
        reach = own.groupby("assumption", sort=False)[column].agg(lambda part: part.abs().max())
        order = [str(word) for word in reach.fillna(0).sort_values(kind="stable").index]
        for factor, part in own.groupby("factor"):
            colour = BLUE if float(str(factor)) < 1 else ORANGE
            places = [order.index(word) for word in part["assumption"]]
            axis.barh(places, part[column], color=colour, height=0.6, label=f"x {factor:g}")
        axis.axvline(0, color=GREY, linewidth=0.8)
        axis.set_yticks(range(len(order)), [word.replace("_", " ") for word in order])
        axis.set_xlabel(f"change in {currency} a month, {title}")
    if len(own):
        axes[-1].legend(frameon=False, fontsize=8, loc="lower right")
    return figure
