"""The audit's figures count every message and are byte-stable."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from matplotlib.figure import Figure

from roadworthy.plots import audit as plots


def drawn(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


@pytest.mark.parametrize("count", [2, 12, 150])
def test_class_balance_marks_the_tail(count: int):
    train = pd.Series(range(count, 0, -1), index=[f"${number}_x" for number in range(count)])
    classes = pd.DataFrame({"train": train, "tail": train < 2})
    figure = plots.class_balance(classes, 2)
    colours = [bar.get_facecolor() for bar in figure.axes[0].patches]
    assert len(colours) == count
    assert len(set(colours)) == 2
    assert drawn(figure) == drawn(plots.class_balance(classes, 2))


def test_slices_have_a_panel_each():
    index = pd.MultiIndex.from_tuples([("channel", "chat"), ("channel", "<b>"), ("length", "1-8")])
    table = pd.DataFrame({"share": [0.6, 0.4, 1.0]}, index=index.set_names(["slice", "value"]))
    assert len(plots.slices(table).axes) == 2


def test_the_shape_counts_every_message_in_both_panels():
    dates = pd.to_datetime(["2026-01-31", "2026-03-01", "2026-03-02"], utc=True)
    messages = pd.DataFrame({"created_at": dates, "text": ["one", "one two", "w " * 70]})
    left, right = plots.shape(messages, [8, 25]).axes
    assert [bar.get_height() for bar in left.patches] == [1, 0, 2]
    assert sum(bar.get_height() for bar in right.patches) == 3
    undated = messages.assign(created_at=pd.Series([pd.NaT] * 3, dtype="datetime64[us, UTC]"))
    empty = plots.shape(undated, [8, 25])
    assert "no dates" in empty.axes[0].texts[0].get_text()
    assert drawn(empty)


def test_drift_has_a_panel_per_comparison_and_a_colour_per_finding():
    index = pd.MultiIndex.from_product([["a, b", "c, d"], ["labels", "length"]])
    table = pd.DataFrame({"effect": [0.1, 0.2, 0.3, 0.1], "by_chance": [0.2] * 4}, index=index)
    table = table.assign(drift=[False, False, True, False]).rename_axis(["comparison", "signal"])
    figure = plots.drift(table)
    colours = [{line.get_color() for line in axis.lines} for axis in figure.axes]
    assert [len(found) for found in colours] == [1, 2]
    assert drawn(figure) == drawn(plots.drift(table))
    assert "too few" in plots.drift(table.head(0)).axes[0].texts[0].get_text()
