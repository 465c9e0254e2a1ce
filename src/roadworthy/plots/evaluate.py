"""Figures of the stage ``evaluate``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from roadworthy.cascade import Cascade
from roadworthy.model_names import NAMES
from roadworthy.plots.style import BLUE, GREEN, GREY, ORANGE, RED, canvas, plain

SHADES = ("#c4c4c4", "#a6a6a6", "#cc79a7", "#009e73", "#882255", "#999933", "#56b4e9", "#e69f00")


def _accuracy_row(axis: Axes, at: int, score: dict[str, Any], colour: str, left: float) -> None:
    """One model: its interval and point, or an arrow where the score lies left of the axis."""
    value, low, high = (100 * score[key] for key in ("value", "low", "high"))
    if value < left:
        axis.annotate(
            "off this scale",
            (0, at),
            (0.07, at),
            xycoords=("axes fraction", "data"),
            arrowprops={"arrowstyle": "->", "color": colour},
            color=colour,
            va="center",
            fontsize=9,
        )
    else:
        axis.plot(
            [low, high], [at, at], color=colour, linewidth=7, alpha=0.35, solid_capstyle="butt"
        )
        axis.plot(value, at, "o", color=colour, markersize=8)
    axis.text(
        1.02,
        at,
        f"{value:.1f}  ({low:.1f} – {high:.1f})",
        transform=axis.get_yaxis_transform(),
        va="center",
        fontsize=9.5,
        color="black" if colour == BLUE else "#444444",
        weight="bold" if colour == BLUE else "normal",
    )


def accuracy(result: dict[str, Any]) -> Figure:
    """Test accuracy of every model with its interval, best on top; the fine-tuned one highlighted.

    Models far below the rest are named at the left edge, so that the others stay apart.
    """
    models = result["models"]
    order = sorted(models, key=lambda name: models[name]["accuracy"]["value"])
    best = models[order[-1]]["accuracy"]["value"]
    shown = [models[name]["accuracy"]["low"] for name in order]
    lows = [low for low in shown if low > best - 0.3] or shown
    left = max(0.0, 5 * np.floor(20 * min(lows) - 0.4))
    figure, (axis,) = canvas(width=9.0, height=1.5 + 0.42 * len(order))
    for at, name in enumerate(order):
        _accuracy_row(axis, at, models[name]["accuracy"], BLUE if name == "lora" else GREY, left)
    against = 100 * models[result["best_baseline"]]["accuracy"]["value"]
    axis.axvline(against, color=ORANGE, linewidth=1.4, linestyle="--", zorder=0)
    axis.text(
        against,
        len(order) - 0.4,
        "best baseline",
        color="#a86f00",
        ha="center",
        va="bottom",
        fontsize=9,
    )
    axis.set_yticks(
        range(len(order)), [NAMES.get(name, plain(name)) for name in order], fontsize=10
    )
    axis.set(xlim=(left, 100), ylim=(-0.6, len(order) - 0.4), xlabel=_caption(result))
    axis.set_title(_headline(result), fontsize=11, loc="left", pad=18)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    return figure


def _headline(result: dict[str, Any]) -> str:
    """The fine-tuned model's paired gain over the best baseline, in words."""
    test = result["models"].get("lora", {}).get("mcnemar")
    if not test:
        return ""
    gain, low, high = (100 * test["difference"][key] for key in ("value", "low", "high"))
    return f"Fine-tuned against the best baseline: {gain:+.1f} points ({low:+.1f} to {high:+.1f})"


def _caption(result: dict[str, Any]) -> str:
    rows, level = result["rows"]["test"], 100 * result["confidence"]
    return f"accuracy on {rows:,} frozen test messages, %  ({level:g} % interval)"


def reliability(before: pd.DataFrame, after: pd.DataFrame, errors: dict[str, float]) -> Figure:
    """Accuracy against stated confidence, before and after calibration.

    Point areas grow with the rows of the bin; ``errors`` holds ``before, after, perfect`` (0-1).
    """
    figure, axes = canvas(width=8.0, height=4.2, columns=2)
    for axis, table, word in zip(axes, (before, after), ("before", "after"), strict=True):
        axis.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle="--")
        area = 20 + 600 * table["rows"] / table["rows"].sum()
        x, y = 100 * table["confidence"], 100 * table["accuracy"]
        axis.scatter(x, y, s=area, color=BLUE, alpha=0.75, linewidth=0, zorder=3, clip_on=False)
        axis.set(xlim=(0, 103), ylim=(0, 103), aspect="equal", xlabel="stated confidence, %")
        note = f" (perfect model: {100 * errors['perfect']:.1f} %)" if word == "after" else ""
        title = f"{word}: ECE {100 * errors[word]:.1f} %{note}"
        axis.set_title(title, fontsize=9.5, loc="left")
    axes[0].set_ylabel("right, %")
    return figure


def risk_coverage(curves: pd.DataFrame, result: dict[str, Any]) -> Figure:
    """Errors among the automated messages against the share automated, one line a model.

    The dot is the champion's operating point: its threshold was fixed on validation rows.
    """
    figure, (axis,) = canvas(width=8.0, height=4.2)
    target = result["models"][result["champion"]]["selective"]
    shades = iter(SHADES * len(result["models"]))
    for name, part in curves.groupby("model", sort=False):
        champion = name == result["champion"]
        axis.plot(
            100 * part["coverage"],
            100 * part["risk"],
            color=BLUE if champion else next(shades),
            linewidth=2.6 if champion else 1.4,
            marker="." if len(part) < 3 else None,
            label=NAMES.get(str(name), plain(str(name))),
            zorder=3 if champion else 2,
        )
    if target["risk"] is not None:
        axis.plot(100 * target["coverage"], 100 * target["risk"], "o", color=BLUE, markersize=9)
    accepted = 100 * target["target_risk"]
    axis.axhline(accepted, color="black", linewidth=1, linestyle=":")
    axis.text(100.5, accepted, f"accepted: {accepted:g} %", ha="right", va="bottom", fontsize=9)
    axis.set(xlim=(0, 101), xlabel="messages automated, %", ylabel="errors among them, %")
    axis.set_ylim(0, min(100, max(4 * accepted, 30)))
    axis.legend(fontsize=8.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def cascade(cascades: dict[str, Cascade], tuned: str, alone: float) -> Figure:
    """Accuracy on test rows against the share that a cheap model answers first, a line a model.

    The dots are the thresholds in use, fixed on validation rows; ``alone`` is the accuracy (0-1) of
    the model ``tuned`` alone.
    """
    figure, (axis,) = canvas(width=8.0, height=3.6)
    label = f"{NAMES.get(tuned, plain(tuned))} alone"
    axis.axhline(100 * alone, color=BLUE, linewidth=1.4, linestyle="--", label=label)
    colours = (ORANGE, GREEN, RED) * len(cascades)
    for (name, one), colour in zip(cascades.items(), colours, strict=False):
        share, accuracy = 100 * one.curve["share"], 100 * one.curve["accuracy"]
        label = f"{NAMES.get(name, plain(name))} first: {100 * one.share:.0f} % answered"
        axis.plot(share, accuracy, color=colour, linewidth=1.6, label=label)
        axis.plot(100 * one.share, 100 * one.accuracy.value, "o", color=colour, markersize=8)
    axis.set(xlim=(-1, 101), xlabel="answered by the cheap model, %", ylabel="accuracy, %")
    axis.legend(fontsize=8.5, frameon=False, loc="lower left")
    return figure


def confusions(matrix: pd.DataFrame) -> Figure:
    """True class by predicted class of the most confused classes; the diagonal is greyed out."""
    if matrix.empty:
        figure, (axis,) = canvas(height=1.2)
        axis.text(0.5, 0.5, "no test message was confused", ha="center", va="center")
        axis.set_axis_off()
        return figure
    counts = matrix.to_numpy(dtype=float)
    size = max(4.0, 1.8 + 0.42 * len(matrix))
    figure, (axis,) = canvas(width=size + 0.7, height=size)
    mistakes = np.where(np.eye(len(counts), dtype=bool), np.nan, counts)
    axis.imshow(np.ones_like(counts), cmap="Greys", vmin=0, vmax=8)
    top = max(3.0, float(np.nanmax(mistakes, initial=0.0)))
    axis.imshow(mistakes, cmap="Oranges", vmin=0, vmax=top)
    for row, column in np.argwhere(counts > 0):
        hit = row == column
        dark = not hit and counts[row, column] > 0.6 * top
        shade = GREY if hit else "white" if dark else "black"
        axis.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=shade)
    labels = [plain(str(label), 28) for label in matrix.index]
    axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right", fontsize=9)
    axis.set_yticks(range(len(labels)), labels, fontsize=9)
    axis.set(xlabel="predicted", ylabel="true")
    axis.grid(visible=False)
    return figure
