"""The look of every figure: one palette, safe for colour-blind readers, and one set of axes."""

from __future__ import annotations

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#8c8c8c"


class Canvas(Figure):
    """A figure that a notebook shows by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        stream = BytesIO()
        self.savefig(stream, format="png", dpi=110, metadata={"Software": None})
        return stream.getvalue()


def canvas(width: float = 7.0, height: float = 3.6, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, side by side; sizes in inches."""
    figure = Canvas(figsize=(width, height), layout="constrained")
    axes = [figure.add_subplot(1, columns, number + 1) for number in range(columns)]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes


def plain(text: str, width: int = 60) -> str:
    """Message text as a label: one line, shortened, with matplotlib's mathtext switched off."""
    line = " ".join(text.split()).replace("$", r"\$")
    return line if len(line) <= width else line[: width - 1] + "…"
