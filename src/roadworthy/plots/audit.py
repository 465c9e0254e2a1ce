"""Figures of the audit: how many messages, of which class, how long, from when."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, GREY, ORANGE, RED, canvas, plain

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


def shape(messages: pd.DataFrame, edges: list[int]) -> Figure:
    """Messages per calendar month, and words per message with the edges of the length bands.

    ``messages`` has ``text, created_at``. The left panel says so where the data has no dates.
    """
    figure, (left, right) = canvas(width=9.0, height=3.0, columns=2)
    words = messages["text"].map(lambda text: len(text.split()))
    dates = messages["created_at"].dropna().dt.tz_localize(None).dt.to_period("M")
    if dates.empty:
        left.text(0.5, 0.5, "no dates in this data", ha="center", transform=left.transAxes)
        left.set_axis_off()
    else:
        every = pd.period_range(dates.min(), dates.max(), freq="M")
        counts = dates.value_counts().reindex(every, fill_value=0)
        left.bar(np.arange(len(every)), counts, color=BLUE)
        step = max(1, len(every) // 12)
        left.set_xticks(np.arange(len(every))[::step], [str(month) for month in every[::step]])
        left.tick_params(axis="x", rotation=60)
        left.set_ylabel("messages")
    top = max(int(words.max()), edges[-1])
    right.hist(words, bins=np.linspace(0, top, min(top, 60) + 1).tolist(), color=BLUE)
    for edge in edges:
        right.axvline(edge + 0.5, color=GREY, linestyle="--", linewidth=1)
    right.set_xlabel("words per message (dashed: length bands)")
    return figure


def drift(table: pd.DataFrame) -> Figure:
    """How far apart two groups are (dots), beside what chance does in 95 of 100 cases (bars).

    ``table`` is indexed by comparison and signal; one panel per comparison, a note for none.
    """
    names = list(dict.fromkeys(table.index.get_level_values("comparison")))
    if not names:
        figure, (axis,) = canvas(height=1.0)
        axis.text(0.5, 0.5, "too few rows to compare", ha="center", transform=axis.transAxes)
        axis.set_axis_off()
        return figure
    figure, axes = canvas(width=3.4 * len(names), height=2.8, columns=len(names))
    for axis, name in zip(axes, names, strict=True):
        part = table.loc[name][::-1]
        place = np.arange(len(part))
        axis.barh(place, part["by_chance"], color="#dddddd", label="chance, 95 %")
        for flag, colour, word in ((True, RED, "drift"), (False, BLUE, "no drift shown")):
            rows = (part["drift"] == flag).to_numpy()
            if rows.any():
                axis.plot(part["effect"][rows], place[rows], "o", color=colour, label=word)
        axis.set_yticks(place, list(part.index) if axis is axes[0] else [])
        axis.set_title(plain(str(name), 44), fontsize=8)
        axis.set_xlim(left=0)
        axis.set_xlabel("effect")
    parts = {
        name: part
        for axis in axes
        for part, name in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(parts.values(), parts.keys(), loc="outside lower center", ncol=3, frameon=False)
    return figure
