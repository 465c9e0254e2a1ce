"""The stage ``readiness``: may it go on the road.

Every criterion of conf/readiness is judged from its evidence file. What is not there, or is no
number, is unknown; and unknown is a no. ``python -m roadworthy readiness`` prints the verdict.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from roadworthy import store
from roadworthy.config import recorded_tree, root
from roadworthy.errors import UserError
from roadworthy.evidence import Evidence, lookup, number, read_evidence
from roadworthy.markdown import find
from roadworthy.settings import Criterion, Readiness

RECORD = "reports/metrics/readiness.json"
FROZEN = {
    "reports/metrics/audit.json": "split.test_id_sha256",
    "reports/metrics/clean.json": "test_id_sha256",
    "reports/metrics/baseline.json": "test_id_sha256",
    "reports/metrics/finetune.json": "test_id_sha256",
    "reports/metrics/evaluate.json": "test_id_sha256",
}
"""Evidence file -> where it names the test set that it was measured on."""
TIMED = {"reports/timings/reference.json": "", "reports/metrics/cost.json": "reference."}
"""Evidence that rests on a clock -> where it says what was timed, see ``Timed``."""
ALLOWED = (*FROZEN, *TIMED)
"""What a criterion may cite: the stage depends on each, so none is its own verdict."""
MARKS = {"pass": "pass   ", "fail": "FAIL   ", "unknown": "UNKNOWN"}


@dataclass(frozen=True)
class Judgement:
    """One criterion and its verdict; ``note`` says what is missing where the verdict is unknown."""

    name: str
    question: str
    value: float | None
    baseline: float | None
    threshold: float
    direction: str
    unit: str
    evidence: str
    metric: str
    verdict: str
    why: str
    owner: str
    against: str = ""
    """Where the evidence has the baseline; empty where the value itself is judged."""
    note: str = ""


@dataclass(frozen=True)
class Timed:
    """What decides how fast a model is; timings are measured on purpose, so they may be others'."""

    data: str
    encoder: dict[str, Any]
    """Section of params.yaml: weights, longest input, threads."""


def judge(criterion: Criterion, evidence: Evidence, of: Timed) -> Judgement:
    """Judge one criterion; the threshold itself passes, and timings of another model are none."""
    value: float | None = None
    baseline: float | None = None
    verdict, note = "unknown", ""
    try:
        if (path := criterion.evidence) in TIMED:
            for what, own in store.plain(asdict(of)).items():
                if lookup(evidence, path, f"{TIMED[path]}{what}") != own:
                    raise LookupError(
                        f"{path} times a model with other {what}: run `make timings`, then "
                        f"`dvc repro`"
                    )
        value = number(evidence, criterion.evidence, criterion.metric)
        judged = value
        if criterion.baseline is not None:
            baseline = number(evidence, criterion.evidence, criterion.baseline)
            # Six decimals, as in the evidence: no difference may fail by a rounding error.
            judged = round(value - baseline, 6)
        limit = criterion.threshold
        good = judged >= limit if criterion.direction == "at_least" else judged <= limit
        verdict = "pass" if good else "fail"
    except LookupError as error:
        note = str(error)
    stated = asdict(criterion) | {"baseline": baseline, "against": criterion.baseline or ""}
    return Judgement(**stated, value=value, verdict=verdict, note=note)


def same_test_set(evidence: Evidence) -> Judgement:
    """Judge whether all evidence is about one test set; unknown unless every file names it."""
    names: list[Any] = []
    notes = []
    for path, dotted in FROZEN.items():
        try:
            names.append(lookup(evidence, path, dotted))
        except LookupError as error:
            notes.append(str(error))
    if not notes and not all(isinstance(name, str) and name for name in names):
        notes.append("a test set is named by something else than its hash")
    count = len({str(name) for name in names})
    if not notes and count > 1:
        notes.append(f"{count} different test sets: run `dvc repro` from the audit on")
    return Judgement(
        name="same_test_set",
        question="Is all of this about one and the same test set?",
        value=float(count) if len(names) == len(FROZEN) else None,
        baseline=None,
        threshold=1.0,
        direction="at_most",
        unit="test sets",
        evidence=", ".join(FROZEN),
        metric="test_id_sha256",
        verdict="unknown" if notes else "pass",
        why="Scores on different messages cannot be set against each other.",
        owner="data science lead",
        note="; ".join(notes),
    )


def judge_all(settings: Readiness, evidence: Evidence, of: Timed) -> list[Judgement]:
    """Judge the test set's identity and every criterion, in the order of conf/readiness.

    ``of`` is what the evidence has to be about.

    Raises:
        UserError: no criterion, two of one name, or evidence that the stage does not depend on.

    """
    names = ["same_test_set", *(criterion.name for criterion in settings.criteria)]
    if len(names) == 1:
        raise UserError("config: readiness.criteria is empty: without a criterion there is no go")
    twice = [name for position, name in enumerate(names) if name in names[:position]]
    if twice:
        raise UserError(f"config: readiness.criteria: the name {twice[0]!r} is taken: rename one")
    for criterion in settings.criteria:
        if criterion.evidence not in ALLOWED:
            raise UserError(
                f"config: readiness.criteria: {criterion.name!r} cites {criterion.evidence!r}: "
                f"evidence has to be one of {', '.join(ALLOWED)}"
            )
    judged = (judge(item, evidence, of) for item in settings.criteria)
    return [same_test_set(evidence), *judged]


def record(settings: Readiness, judged: list[Judgement], data: str) -> dict[str, Any]:
    """readiness.json: go only if every criterion passes."""
    reasons = [item.name for item in judged if item.verdict != "pass"]
    return {
        "verdict": "no-go" if reasons or not judged else "go",
        "reasons": reasons,
        "dataset": data,
        "outcome": asdict(settings.outcome),
        "criteria": [asdict(item) for item in judged],
    }


def table(result: dict[str, Any]) -> pd.DataFrame:
    """One row per criterion of readiness.json, as shown to people."""
    columns = ["verdict", "question", "value", "baseline", "direction", "threshold", "unit"]
    columns += ["evidence", "metric", "owner", "note"]
    frame = pd.DataFrame(result["criteria"]).set_index("name")[columns]
    return frame.assign(**{name: frame[name].astype("float64") for name in ("value", "baseline")})


def verdict_on(data: object, result: Any) -> tuple[str, list[str]]:  # noqa: ANN401 - any JSON value
    """The verdict of readiness.json and its reasons; none is repeated for another data set."""
    if find(result, "verdict") is None or find(result, "dataset") != data:
        return "not judged yet", []
    return str(result["verdict"]), list(find(result, "reasons") or [])


def verdict() -> tuple[str, int]:
    """Read the last judgement: a list for people, and the exit code (0 go, 1 no-go).

    Raises:
        UserError: nothing was judged yet, the record cannot be read, or it is about another data
            set, other criteria or other evidence than what is there now.

    """
    if not (root() / RECORD).exists():
        raise UserError(f"{RECORD} is missing: run `dvc repro readiness` first (it judges)")
    result = read_evidence([RECORD])[RECORD]
    try:
        _up_to_date(result)
        lines = [_spoken(item) for item in result["criteria"]]
        passed = [item["verdict"] == "pass" for item in result["criteria"]]
        go = result["verdict"] == "go" and bool(passed) and all(passed)
        reasons = ", ".join(result["reasons"]) or "the record contradicts itself"
    except (KeyError, TypeError) as error:
        raise UserError(f"{RECORD} cannot be read: run `dvc repro readiness`") from error
    head = f"{result['dataset']}: " + ("GO: every criterion passes" if go else f"NO-GO: {reasons}")
    return "\n".join([head, *lines]), 0 if go else 1


def _up_to_date(result: dict[str, Any]) -> None:
    """Judge again, and refuse a record that says anything else.

    Raises:
        UserError: the record is about another data set, other criteria or other evidence.

    """
    of, tree = result["dataset"], recorded_tree()
    if (name := find(tree, "data.name")) != of:
        raise UserError(
            f"{RECORD} judges {of!r}, params.yaml is about {name!r}, which has not been judged: "
            f"run it to the end (`dvc repro`, or the same `dvc exp run -S ...`)"
        )
    stated = find(tree, "readiness.criteria") or []
    settings = Readiness(criteria=[Criterion(**item) for item in stated])
    evidence = read_evidence(ALLOWED)
    again = judge_all(settings, evidence, Timed(of, find(tree, "encoder") or {}))
    if store.plain([asdict(item) for item in again]) != result["criteria"]:
        raise UserError(
            f"{RECORD} was made by other criteria or from other evidence than what is there now: "
            f"run `dvc repro`"
        )


def _spoken(item: dict[str, Any]) -> str:
    """One criterion in a line of text."""
    if item["verdict"] == "unknown":
        return f"  {MARKS['unknown']} {item['name']}: {item['note']}"
    value = item["value"] if item["baseline"] is None else item["value"] - item["baseline"]
    limit = item["direction"].replace("_", " ")
    text = f"{value:.4g}, needs {limit} {item['threshold']:.4g} ({item['unit']})"
    return (
        f"  {MARKS[item['verdict']]} {item['name']}: {text}; {item['evidence']}: {item['metric']}"
    )
