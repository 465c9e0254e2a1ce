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


def test_lengths_slices_and_months_count_every_message():
    figure = plots.lengths(pd.Series([1, 5, 5, 70]), [8, 25])
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 4
    index = pd.MultiIndex.from_tuples([("channel", "chat"), ("channel", "<b>"), ("length", "1-8")])
    table = pd.DataFrame({"share": [0.6, 0.4, 1.0]}, index=index.set_names(["slice", "value"]))
    assert len(plots.slices(table).axes) == 2
    dates = pd.Series(pd.to_datetime(["2026-01-31", "2026-03-01", "2026-03-02"], utc=True))
    bars = plots.months(dates).axes[0].patches
    assert [bar.get_height() for bar in bars] == [1, 0, 2]
    empty = plots.months(pd.Series(pd.NaT, index=[0], dtype="datetime64[us, UTC]"))
    assert "no dates" in empty.axes[0].texts[0].get_text()
    assert drawn(empty)
