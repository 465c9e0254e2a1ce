"""The noise benchmark's cells as tables: means over draws with 95 % intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from roadworthy.clean import ARMS
from roadworthy.corruption import KINDS
from roadworthy.intervals import student
from roadworthy.markdown import table as table_of
from roadworthy.settings import Settings

Cell = dict[str, Any]
LEAST_GAP = 0.01
"""Recovery is told where oracle and noisy labels differ by at least this accuracy."""
FIRST = ["noise", "rate", "draws", "fine-tuned"]
"""What every line begins with; the last says whether that network was among the detectors."""


def mean_of(values: Iterable[float | None], digits: int = 3) -> str:
    """Mean and half width of Student's 95 % interval over the draws that have a value."""
    over = student([value for value in values if value is not None])
    if not over.n:
        return "–"
    half = f" ± {over.high - over.value:.{digits}f}" if over.n > 1 else ""
    return f"{over.value:.{digits}f}{half}"


def shortfall_left(cell: Cell) -> float:
    """What the chosen score leaves of the best stock score's 1 - average precision."""
    own, stock = (
        1 - cell["ranking"][cell[name]]["average_precision"] for name in ("chosen", "best_stock")
    )
    return float(own / max(stock, 1e-9))


def recovery(cell: Cell, arm: str, looked: bool = False) -> float | None:
    """Share of the accuracy lost to noise that an arm wins back, in per cent (oracle: 100).

    ``looked``: after a person's looks; the yardstick is the same.
    """
    accuracy, after = cell["accuracy"], (cell["looked"] if looked else cell)["accuracy"]
    gap = accuracy["oracle"] - accuracy["none"]
    return 100 * (after[arm] - accuracy["none"]) / gap if gap >= LEAST_GAP else None


def _chosen(name: str) -> Callable[[Cell], float]:
    return lambda cell: float(cell["ranking"][cell["chosen"]][name])


def _groups(cells: list[Cell]) -> list[tuple[list[str], list[Cell]]]:
    """Cells by rate, kind, and whether the fine-tuned network took part: first columns, cells."""
    keys = sorted({(cell["rate"], KINDS.index(cell["kind"]), cell["tuned"]) for cell in cells})
    out = []
    for rate, number, tuned in keys:
        group = (rate, KINDS[number], tuned)
        same = [cell for cell in cells if (cell["rate"], cell["kind"], cell["tuned"]) == group]
        word = "yes" if tuned else "no"
        out.append(([KINDS[number], f"{100 * rate:g} %", str(len(same)), word], same))
    return out


def _finding(cells: list[Cell]) -> str:
    head = [
        *FIRST, "best stock score", "chosen score", "share of its shortfall left",
        "stock on right labels", "precision at k errors", "recall at 10 %", "chosen",
    ]  # fmt: skip
    lines = [
        [
            *first,
            mean_of(cell["ranking"][cell["best_stock"]]["average_precision"] for cell in same),
            mean_of(map(_chosen("average_precision"), same)),
            mean_of(map(shortfall_left, same), 2),
            mean_of(cell["ceiling"] for cell in same),
            mean_of(map(_chosen("precision_at_errors"), same)),
            mean_of(map(_chosen("recall_at_budget"), same)),
            ", ".join(sorted({cell["chosen"] for cell in same})),
        ]
        for first, same in _groups(cells)
    ]
    return table_of(head, lines)


def _flags(cells: list[Cell]) -> str:
    head = [
        *FIRST, "flags", "precision", "recall", "confident learning: flags",
        "precision", "recall", "chosen score at as many flags: precision",
    ]  # fmt: skip
    lines = []
    for first, same in _groups(cells):
        own, stock = ([cell[who] for cell in same] for who in ("flags", "confident_learning"))
        hits = [
            text
            for who in (own, stock)
            for text in (
                mean_of((hit["flagged"] for hit in who), 0),
                mean_of(hit["precision"] for hit in who),
                mean_of(hit["recall"] for hit in who),
            )
        ]
        at = mean_of(cell["chosen_precision_at_stock_flags"] for cell in same)
        lines.append([*first, *hits, at])
    return table_of(head, lines)


def _recovering(cells: list[Cell]) -> str:
    arms = [arm for arm in ARMS if arm != "none"]
    head = [*FIRST, "accuracy noisy", *arms, "oracle"]
    head += [f"recovery {arm}, %" for arm in arms]
    lines = []
    for first, same in _groups(cells):
        means = [
            f"{100 * np.mean([cell['accuracy'][name] for cell in same]):.1f}"
            for name in ("none", *arms, "oracle")
        ]
        lines.append([*first, *means, *(mean_of((recovery(c, a) for c in same), 0) for a in arms)])
    return table_of(head, lines)


def _looked_flags(cells: list[Cell]) -> str:
    head = [*FIRST, "flags", "precision", "recall"]
    head += [f"with looks: {name}" for name in ("flags", "precision", "recall")]
    head += [
        "wrong labels",
        "expected",
        "draws whose interval holds them",
        "draws in which believed",
    ]
    lines = []
    for first, same in _groups(cells):
        looked, hits = [cell["looked"] for cell in same], []
        for flags in ([one[name] for one in looked] for name in ("before", "flags")):
            hits.append(mean_of((hit["flagged"] for hit in flags), 0))
            hits += [mean_of(hit[name] for hit in flags) for name in ("precision", "recall")]
        counted = [(cell["errors"], cell["looked"]["counted"]) for cell in same]
        known = [(errors, one) for errors, one in counted if one["expected"] is not None]
        held = sum(one["low"] <= errors <= one["high"] for errors, one in known)
        expected = mean_of((one["expected"] for _, one in known), 0)
        errors = mean_of((cell["errors"] for cell in same), 0)
        believed = sum(one["believed"] == "looks" for _, one in counted)
        of = [f"{held} of {len(known)}", f"{believed} of {len(same)}"]
        lines.append([*first, *hits, errors, expected, *of])
    return table_of(head, lines)


def _looked_recovery(cells: list[Cell]) -> str:
    after = ("worst", *ARMS)
    head = [*FIRST, *ARMS[1:], *(f"with looks: {arm}" for arm in after)]
    lines = []
    for first, same in _groups(cells):
        plain = [mean_of((recovery(cell, arm) for cell in same), 0) for arm in ARMS[1:]]
        looked = [mean_of((recovery(cell, arm, looked=True) for cell in same), 0) for arm in after]
        lines.append([*first, *plain, *looked])
    return table_of(head, lines)


def _detectors(cells: list[Cell]) -> str:
    """Average precision of every score by kind, where the fine-tuned network took part."""
    judged = [cell for cell in cells if cell["tuned"]] or cells
    groups = _groups(judged)
    names = list(judged[0]["ranking"])
    lines = [
        [name]
        + [mean_of(c["ranking"][name]["average_precision"] for c in same) for _, same in groups]
        for name in names
    ]
    return table_of(["score", *(f"{first[0]}, {first[1]}" for first, _ in groups)], lines)


def _natural(cells: list[Cell]) -> str:
    lines = [
        [arm, mean_of((100 * (c["accuracy"][arm] - c["accuracy"]["none"]) for c in cells), 2)]
        for arm in ARMS
        if arm != "none"
    ]
    return table_of(["arm", "points of test accuracy against doing nothing"], lines)


def table(results: list[Cell], settings: Settings, overrides: list[str]) -> str:
    """All cells as a Markdown page."""
    cells = [cell for cell in results if cell["kind"] in KINDS]
    natural = [cell for cell in results if cell["kind"] not in KINDS]
    clean, data = settings.clean, settings.data
    return f"""# Wrong labels, injected and found: {data.title or data.name}

Made by `python -m roadworthy noise_benchmark {" ".join(overrides)}`
at commit {", ".join(sorted({cell["commit"] for cell in cells}))};
rates and draws as in the tables: {clean.folds} folds, {clean.rounds} round(s), seed
{settings.seed}. Mean over draws ± half of Student's 95 % interval.
One detector for every kind of noise: which of its scores ranks the rows is chosen on injected
errors, without knowing the kind; test rows only judge. The fine-tuned network takes part where it
says so, with {clean.tuned.folds} folds and {clean.tuned.recipe.max_epochs} epochs.

*Stock scores* are what one has without this project: self-confidence, normalised margin and
disagreement of neighbours, from one probe. A score's *shortfall* is what its average precision
lacks of 1. `confusion` and `instance` are made by a probe like the stock scores' own; *stock on
right labels* is what these scores reach if their probe has learnt the right labels: about the most
that can be expected. The *oracle* drops exactly the wrong labels; *recovery* is the share of the
accuracy between noisy and oracle that a treatment wins back.

## Ranking: average precision

{_finding(cells)}
## Every score

{_detectors(cells)}
## Flags

{_flags(cells)}
## Recovery: a probe trained after each treatment, accuracy on untouched test rows

{_recovering(cells)}
## The natural labels: what cleaning costs where no noise was put in

{_natural(natural)}"""


def looks_table(results: list[Cell], settings: Settings, overrides: list[str]) -> str:
    """What a few looks of a person add, as a Markdown page."""
    cells = [cell for cell in results if cell["kind"] in KINDS]
    looked = cells[0]["looked"]
    name = settings.data.title or settings.data.name
    return f"""# Wrong labels and {looked["rows"]} looks: {name}

Made by `python -m roadworthy noise_benchmark {" ".join(overrides)}`
at commit {", ".join(sorted({cell["commit"] for cell in cells}))}; noise_benchmark.md says more of
the protocol. Mean over draws ± half of Student's 95 % interval.
A person looks at {looked["rows"]} of {looked["of"]:,} training rows, spread evenly over the ranking
by the chosen score, and corrects the wrong labels among them; then all detectors learn again. What
was found at each score says how many labels are wrong, if at least five were found wrong. Where the
detectors' own count is not in that interval, the looks are believed: they say how likely every
other label is wrong.

## Flags among the rows that nobody looked at, and how many labels are wrong

{_looked_flags(cells)}
## Recovery, %: a probe trained after each treatment, accuracy on untouched test rows

The yardstick, noisy and oracle's accuracy, is that without looks. `none`: only what was looked at
is corrected; `worst`: the same, had the looks gone to the worst rows of the ranking.

{_looked_recovery(cells)}"""
