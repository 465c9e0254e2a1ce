"""What the watch has found, in words: the page in reports/watch/, and what the terminal shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roadworthy.alarms import ACCEPTED, RULES, TEST, TRAIN
from roadworthy.markdown import interval, page, rows, text
from roadworthy.selective import SURE

Tree = dict[str, Any]
NONE = "–"
SHOWN = {"automated": "automated", "unsure": "to a person: unsure", "held": "held back by guard"}
TOLD = {
    "accuracy": "accuracy, known classes",
    "risk": "errors among automated",
    "beyond": "of no known class",
    "recall": "of these held back",
}
SIGNALS = ("length", "vocabulary", "meaning", "mix")


def percent(score: Tree | None, count: bool = False) -> str:
    """A share in per cent with its interval, and among how many; – where there is none."""
    if not score or score["value"] is None or score["value"] != score["value"]:
        return NONE
    value, low, high = (100 * score[key] for key in ("value", "low", "high"))
    tail = f", n = {score['n']:,}" if count else ""
    if low != low:  # one message
        return f"{value:.1f}"
    return f"{value:.1f} ({low:.1f} to {high:.1f}{tail})"


def _groups(record: Tree) -> list[tuple[str, Tree]]:
    return [("test rows", record["test"]), *record["periods"].items()]


def alarm(lines: list[Tree]) -> Tree:
    """One alarm of one or more tests of a period: ``period, rules, says, todo``."""
    parts = []
    for line in lines:
        rule = RULES[line["rule"]]
        if rule.against == ACCEPTED:
            said = f"{interval(line['found'])}; accepted are {line['reference']['value']:g}"
        elif "low" in line["found"]:
            said = f"{interval(line['found'])}; {rule.against}: {interval(line['reference'])}"
        else:
            said = (
                f"effect {line['found']['value']:.3f} on {line['found']['n']:,} messages beside "
                f"the {rule.against}, by chance up to {line['reference']['value']:.3f}"
            )
        parts.append(f"{rule.says}: {said}")
    first = lines[0]
    return {
        "period": first["period"],
        "rules": [line["rule"] for line in lines],
        "says": "; ".join(parts),
        "todo": RULES[first["rule"]].todo,
    }


def ringing(tests: Iterable[Tree]) -> list[Tree]:
    """The alarms, in the order of the periods; those about the texts of a period are one."""
    found: dict[tuple[str, str], list[Tree]] = {}
    for line in tests:
        if line["alarm"]:
            rule = line["rule"]
            key = TRAIN if RULES[rule].against == TRAIN else rule
            found.setdefault((line["period"], key), []).append(line)
    order = list(dict.fromkeys(line["period"] for line in tests))
    return sorted(map(alarm, found.values()), key=lambda one: order.index(one["period"]))


def _table(record: Tree, names: dict[str, str], count: bool) -> list[list[str]]:
    return [
        [text(name), *(percent(group["shares"][key], count) for key in names)]
        for name, group in _groups(record)
    ]


def _served(record: Tree) -> list[str]:
    head = ["period", "messages", *(f"{name}, %" for name in SHOWN.values()), "mean confidence, %"]
    lines = _table(record, SHOWN, count=False)
    for line, (_, group) in zip(lines, _groups(record), strict=True):
        line.insert(1, f"{group['messages']:,}")
        line.append(percent(group["confidence"]))
    return rows(head, lines)


def _labelled(record: Tree) -> list[str]:
    head = ["period", *(f"{name}, %" for name in TOLD.values()), "ECE (by chance), %"]
    lines = _table(record, TOLD, count=True)
    for line, (_, group) in zip(lines, _groups(record), strict=True):
        ece = group["ece"]
        shown = f"{100 * ece['value']:.1f} ({100 * ece['perfect']:.1f})" if ece else NONE
        line.append(shown)
    return rows(head, lines)


def _drift(record: Tree) -> list[str]:
    cells = {
        (line["period"], line["rule"]): f"{line['found']['value']:.3f} "
        f"({line['reference']['value']:.3f}; q = {line['q_value']:.2g})"
        for line in record["tests"]
        if line["rule"] in SIGNALS
    }
    head = ["period", "length", "words", "subjects", "predicted classes, against test rows"]
    return rows(
        head,
        [
            [text(name), *(cells.get((name, one), NONE) for one in SIGNALS)]
            for name in record["periods"]
        ],
    )


def _about(record: Tree) -> str:
    """What was watched, against what."""
    told, unknown = record["labelled"], record["unknown_labels"]
    parts = [
        f"{record['messages']:,} messages of `{record['file']}`, judged as the model for "
        f"{text(record['data'])} is served, {len(record['periods'])} periods"
    ]
    if record["empty"]:
        parts.append(f"; {record['empty']:,} more are empty and went to a person")
    parts.append(f"; {told:,} have a label. " if told else "; no labels. ")
    if told and unknown:
        shown = ", ".join(f"{text(name[:60])} ({count:,})" for name, count in unknown.items())
        parts.append(f"Labels that the model does not know: {shown}. ")
    if record["threshold"] is None:
        parts.append(
            f"No threshold keeps the accepted error rate of {record['target_risk']:g}, so that "
            f"nothing is automated: what the guard lets pass goes to a person as unsure."
        )
    else:
        parts.append(
            f"Accepted error rate among the automated: {record['target_risk']:g}; automated from "
            f"a confidence of {record['threshold']:.4g} on."
        )
    return "".join(parts) + f" Made by `python -m roadworthy watch` at commit {record['commit']}."


def _reading(record: Tree) -> str:
    by = "verified" if record["verified"] else "given"
    return (
        f"Each period is held against the {TEST} (by {by} labels), the training rows (texts) and "
        f"the periods before it, in {len(record['tests']):,} tests. An alarm is a test with q < "
        f"{record['level']:g} (Benjamini and Hochberg): where nothing has changed, at most one "
        f"such file in twenty has any, but for errors above the accepted rate, which was promised "
        f"at a level of {SURE:.0%}. Intervals: {100 * record['confidence']:g} %, near-copies "
        f"count once; of the mean confidence, Student's. Of drift: effect (what random divisions "
        f"stay below in 95 of 100; q). Labels of a part speak for all only if the part was drawn "
        f"at random."
    )


def markdown(record: Tree, figure: str) -> str:
    """The page; no message is quoted."""
    alarms = [
        f"- **{text(one['period'])}**: {one['says']}. *Next:* {one['todo']}."
        for one in record["alarms"]
    ]
    labelled = [["## By the labels"], _labelled(record)] if record["labelled"] else []
    return page(
        f"# Watch: {text(record['name'])}",
        _about(record),
        f"![Accuracy and shares, period by period]({figure})",
        f"## Alarms: {len(alarms)}",
        alarms or "None.",
        "## As served",
        _served(record),
        *labelled,
        "## Drift",
        _drift(record),
        _reading(record),
    )


def spoken(record: Tree, path: str) -> str:
    """A short table and the alarms, for the terminal."""
    head = ["period", "messages", "automated", "unsure", "held back", "accuracy", "alarms"]
    lines = []
    for name, group in _groups(record):
        rung = sum(one["period"] == name for one in record["alarms"])
        keys = ("automated", "unsure", "held", "accuracy")
        shares = [group["shares"][key]["value"] for key in keys]
        shown = [
            NONE if value is None or value != value else f"{100 * value:.1f} %" for value in shares
        ]
        lines.append([name, f"{group['messages']:,}", *shown, str(rung or NONE)])
    widths = [max(len(line[at]) for line in [head, *lines]) for at in range(len(head))]
    table = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in [head, *lines]
    ]
    alarms = [
        f"ALARM {one['period']}: {one['says']}\n  next: {one['todo']}" for one in record["alarms"]
    ]
    return "\n".join([*table, *(alarms or ["no alarm"]), f"more: {path}"])
