"""Figures of the audit: how many messages, of which class, how long, from when."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, GREY, ORANGE, canvas, plain

NAMED = 40
"""Most classes whose names fit under the bars."""


def class_balance(classes: pd.DataFrame, tail_rows: int) -> Figure:
    """Training rows of each class, largest first; the long tail in a second colour.

    ``classes`` has the label as index and the columns ``train`` and ``tail``.
    """
    figure, (axis,) = canvas(height=4.2)
    places = np.arange(len(classes))
    for tail, colour, name in ((False, BLUE, "other classes"), (True, ORANGE, "long tail")):
        part = (classes["tail"] == tail).to_numpy()
        if part.any():
            axis.bar(places[part], classes["train"][part], color=colour, label=name)
    axis.axhline(tail_rows, color=GREY, linestyle="--", linewidth=1)
    axis.set_ylabel("training rows")
    axis.set_xlabel(f"{len(classes)} classes by size (dashed: {tail_rows} rows)")
    named = [plain(str(label), 24) for label in classes.index] if len(classes) <= NAMED else []
    axis.set_xticks(places[: len(named)], named, rotation=60, ha="right", fontsize=8)
    axis.legend(frameon=False)
    return figure


def lengths(words: pd.Series, edges: list[int]) -> Figure:
    """Histogram of the words per message, with the edges of the length bands."""
    figure, (axis,) = canvas(height=3.2)
    top = max(int(words.max()), edges[-1])
    axis.hist(words, bins=np.linspace(0, top, min(top, 60) + 1).tolist(), color=BLUE)
    for edge in edges:
        axis.axvline(edge + 0.5, color=GREY, linestyle="--", linewidth=1)
    axis.set_xlabel("words per message (dashed: edges of the length bands)")
    axis.set_ylabel("messages")
    return figure


def slices(table: pd.DataFrame, most: int = 8) -> Figure:
    """Share of messages in the largest ``most`` values of each slice.

    ``table`` is indexed by slice and value and has the column ``share``.
    """
    names = list(dict.fromkeys(table.index.get_level_values("slice")))
    figure, axes = canvas(width=max(4.0, 3.2 * len(names)), height=3.2, columns=len(names))
    for axis, name in zip(axes, names, strict=True):
        part = table.loc[name].head(most)[::-1]
        axis.barh([plain(str(value), 16) for value in part.index], 100 * part["share"], color=BLUE)
        axis.set_title(plain(str(name), 30), fontsize=10)
        axis.set_xlabel("% of messages")
    return figure


def months(created_at: pd.Series) -> Figure:
    """Messages per calendar month; an empty frame with a note where the data has no dates."""
    figure, (axis,) = canvas(height=2.8)
    dates = created_at.dropna().dt.tz_localize(None).dt.to_period("M")
    if dates.empty:
        axis.text(0.5, 0.5, "no dates in this data", ha="center", transform=axis.transAxes)
        axis.set_axis_off()
        return figure
    every = pd.period_range(dates.min(), dates.max(), freq="M")
    counts = dates.value_counts().reindex(every, fill_value=0)
    axis.bar(np.arange(len(every)), counts, color=BLUE)
    step = max(1, len(every) // 12)
    axis.set_xticks(np.arange(len(every))[::step], [str(month) for month in every[::step]])
    axis.tick_params(axis="x", rotation=45)
    axis.set_ylabel("messages")
    return figure
