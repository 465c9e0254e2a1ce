"""Figure of the audit's growth with the number of rows."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from roadworthy.plots.style import BLUE, GREY, canvas


def curve(results: pd.DataFrame) -> Figure:
    """Seconds and peak memory by rows, both axes logarithmic; dashed: proportional growth.

    ``results`` has the columns ``rows, seconds, peak_gb``.
    """
    figure, axes = canvas(width=8.0, height=3.2, columns=2)
    for axis, column, name in zip(axes, ("seconds", "peak_gb"), ("seconds", "GB"), strict=True):
        axis.loglog(results["rows"], results[column], "o-", color=BLUE)
        last = results.iloc[-1]
        line = last[column] * results["rows"] / last["rows"]
        axis.loglog(results["rows"], line, "--", color=GREY, linewidth=1)
        axis.set_xlabel("rows")
        axis.set_ylabel(name)
    return figure
