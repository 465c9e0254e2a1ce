"""Figure of the watch: what comes in, period by period, beside the test rows."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, GREEN, GREY, ORANGE, RED, canvas

Tree = dict[str, Any]
SHARES = {
    "automated": ("automated", GREEN, "s"),
    "unsure": ("to a person: unsure", ORANGE, "^"),
    "held": ("held back by the guard", BLUE, "o"),
    "beyond": ("of no known class,\nby the labels", RED, "D"),
}
"""Name, colour and marker of each share that is drawn."""


def _line(axis: Axes, record: Tree, share: str, shift: float, style: tuple[str, str, str]) -> None:
    """A share with its intervals by period, ``shift`` beside it; dashed: that of the test rows."""
    label, colour, marker = style
    groups = [group["shares"][share] for group in record["periods"].values()]
    known = [(at + shift, one) for at, one in enumerate(groups) if one["n"]]
    if not known:
        return
    at, scores = zip(*known, strict=True)
    value, low, high = ([100 * one[key] for one in scores] for key in ("value", "low", "high"))
    axis.vlines(at, low, high, color=colour, linewidth=5, alpha=0.3)
    axis.plot(at, value, color=colour, marker=marker, markersize=5, linewidth=1.4, label=label)
    test = record["test"]["shares"][share]
    if test["n"]:
        axis.axhline(100 * test["value"], color=colour, linewidth=1, linestyle="--", zorder=0)


def periods(record: Tree) -> Figure:
    """Accuracy on known classes, and what happens to the messages; dashed: the test rows."""
    figure, (left, right) = canvas(width=11.5, height=4.0, columns=2)
    test = record["test"]["shares"]["accuracy"]
    if record["labelled"]:
        _line(left, record, "accuracy", 0, ("accuracy", BLUE, "o"))
        if test["n"]:
            left.axhspan(100 * test["low"], 100 * test["high"], color=GREY, alpha=0.2, linewidth=0)
    else:
        left.text(0.5, 0.5, "no labels given", ha="center", transform=left.transAxes)
    for number, (share, style) in enumerate(SHARES.items()):
        _line(right, record, share, 0.06 * number, style)
    names = [name.replace(" to ", "\nto ") for name in record["periods"]]
    for axis in (left, right):
        axis.set_xticks(range(len(names)), names, fontsize=8.5)
        axis.set_xlim(-0.5, len(names) - 0.5)
        if len(names) > 5:
            axis.tick_params(axis="x", rotation=90)
    left.set_title("right among known classes, %", fontsize=10, loc="left")
    right.set_title("of all messages, %  (dashed: test rows)", fontsize=10, loc="left")
    right.set_ylim(-2, 102)
    right.legend(fontsize=8.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
