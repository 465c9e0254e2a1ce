"""The README's tables, made from the records: ``python -m roadworthy readme [--check]``."""

from __future__ import annotations

import json
import re
from typing import Any

from roadworthy import benchmark_table, drafts, store
from roadworthy.config import recorded_tree, root
from roadworthy.errors import UserError
from roadworthy.markdown import ABSENT, find, interval, rows, text
from roadworthy.model_names import NAMES
from roadworthy.plots.style import plain
from roadworthy.readiness import verdict_on

STAGES = ("audit", "clean", "finetune", "evaluate", "cost", "readiness")
MARKS = "<!-- {} -->", "<!-- /{} -->"
RESULTS, BENCHMARKS = "results", "benchmarks"
RECORD = "reports/benchmarks/results.json"


def _ranked(models: dict[str, Any]) -> list[str]:
    """Names by test accuracy, best first; equals and unmeasured ones by name, the latter last."""
    values = {name: find(entry, "accuracy.value") for name, entry in models.items()}
    return sorted(models, key=lambda name: (values[name] is None, -(values[name] or 0.0), name))


def _line(
    evaluate: dict[str, Any], cost: dict[str, Any], readiness: dict[str, Any], data: dict[str, Any]
) -> str:
    """Say below the table what the verdict is and what the numbers hold for."""
    name = find(data, "name")
    verdict, reasons = verdict_on(name, readiness)
    because = f" because of {text(reasons)}" if reasons else ""
    counts, served = find(evaluate, "rows") or {}, find(evaluate, "served") or {}
    golden = find(evaluate, "models.lora.accuracy_gold")
    by_gold = f" By verified labels its accuracy is {interval(golden)}." if golden else ""
    machine = f"{text(find(cost, 'machine.cpu'))}, {text(find(cost, 'machine.cores'))} cores"
    return (
        f"Verdict on the fine-tuned model: **{text(verdict)}**{because}.{by_gold} At an accepted "
        f"error rate of {text(find(served, 'target_risk'))} {_automated(served)}. Data: "
        f"{text(find(data, 'title') or name)}, {text(find(counts, 'test'))} test and "
        f"{text(find(counts, 'validation'))} validation messages. Made by `make repro`; "
        f"latency measured on {machine}, with messages of "
        f"{text(find(cost, 'reference.data'))}."
    )


def _labels(audit: dict[str, Any], clean: dict[str, Any]) -> str:
    """Say how far the labels behind thresholds and scores are to be believed."""
    found = [(split, find(clean, f"{split}_noise")) for split in ("validation", "test")]
    doubted = [f"{text(find(one, 'flagged'))} of {text(find(one, 'rows'))}" for _, one in found]
    looked = [f"{text(find(one, 'looked_at'))} {split}" for split, one in found]
    wrong = find(audit, "gold.label_error_share")
    by_gold = "" if wrong is None else f" By verified labels {wrong:.1%} of all are wrong as filed."
    return (
        f"Labels: a model doubts {doubted[0]} validation and {doubted[1]} test labels that nobody "
        f"has looked at again; people have looked at {looked[0]} and {looked[1]} labels.{by_gold}"
    )


def _alone(finetune: dict[str, Any]) -> str:
    """Say what the network has without TF-IDF."""
    found = find(finetune, "network.test_accuracy")
    return "" if found is None else f" Without TF-IDF the fine-tuned encoder has {found:.3f}."


def _automated(served: dict[str, Any]) -> str:
    """Say what service would do without a person."""
    if not find(served, "automated"):
        return "no message would be answered without a person"
    return (
        f"it would answer {text(find(served, 'automated'))} of all test messages without a person, "
        f"{text(find(served, 'wrong'))} of them wrongly"
    )


def _name(model: str, best: object) -> str:
    """Name a model for readers: the fine-tuned one in bold, the best baseline marked as such."""
    spoken = text(NAMES.get(model, plain(model)))
    if model == "lora":
        return f"**{spoken}**"
    return f"{spoken} (best baseline)" if model == best else spoken


def _fixed(value: float | None, digits: int) -> str:
    """Show a number with ``digits`` decimals; what would round to nothing as "under" the least."""
    if value is None:
        return ABSENT
    least = 10.0**-digits
    return f"under {least:.{digits}f}" if 0 < value < least else f"{value:,.{digits}f}"


def block(records: dict[str, dict[str, Any]], data: dict[str, Any]) -> str:
    """Render what stands between the markers: one table, two paragraphs.

    ``records`` are those of ``STAGES``, ``data`` is the section of params.yaml that the run used.
    """
    audit, clean, finetune, evaluate, cost, readiness = (records[stage] for stage in STAGES)
    header = ["model", "test accuracy (interval)", "macro-F1", "ECE, calibrated", "p95 latency, ms"]
    cells = []
    for name in _ranked(evaluate["models"]):
        entry, money = evaluate["models"][name], find(cost, f"models.{name}")
        cells.append(
            [
                _name(name, find(evaluate, "best_baseline")),
                interval(find(entry, "accuracy")),
                _fixed(find(entry, "macro_f1.value"), 3),
                _fixed(find(entry, "ece_after"), 3),
                _fixed(find(money, "latency_ms_p95"), 1),
            ]
        )
    said = [_line(evaluate, cost, readiness, data) + _alone(finetune), "", _labels(audit, clean)]
    return "\n".join([*rows(header, cells), "", *said])


def replaced(page: str, name: str, new: str) -> str:
    """Put ``new`` between the two markers of that name.

    Raises:
        UserError: not exactly one pair of markers.

    """
    begin, end = (mark.format(name) for mark in MARKS)
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(page)) != 1 or page.count(begin) != 1 or page.count(end) != 1:
        raise UserError(
            f"README.md needs the markers {begin} and {end}, once each and in this order: "
            f"put them on lines of their own where the table of {name} belongs"
        )
    return pattern.sub(lambda _: f"{begin}\n{new}\n{end}", page)


def _benchmarks() -> str:
    """Read what ``make benchmark`` found.

    Raises:
        UserError: its record is missing or damaged.

    """
    path = root() / RECORD
    try:
        return "\n".join(benchmark_table.readme(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{RECORD} is missing or damaged ({error}): `git checkout {RECORD}`, or make it anew "
            f"by `make benchmark` (hours)"
        ) from error


def _data() -> dict[str, Any]:
    """Read the data section of params.yaml: the run's own, experiments included."""
    return dict(find(recorded_tree(), "data") or {})


def refresh(check: bool) -> tuple[str, int]:
    """Rewrite README.md (or only compare it); returns the message and the exit code.

    Raises:
        UserError: README.md, its markers or one of the records is missing.

    """
    path = root() / "README.md"
    if not path.exists():
        raise UserError("README.md is missing: restore it (`git checkout README.md`)")
    page = path.read_text(encoding="utf-8")
    records = {stage: store.read_metrics(stage) for stage in STAGES}
    new = replaced(page, RESULTS, block(records, _data()))
    new = replaced(new, BENCHMARKS, _benchmarks())
    if new == page:
        return "readme: the tables are up to date", 0
    if check:
        return "readme: a table differs from the records under reports/: run `make readme`", 1
    drafts.write_text(path, new)
    return "readme: tables written", 0
