"""The stage ``readiness``: every gate is broken once and must turn red; no evidence is a no."""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from roadworthy import readiness
from roadworthy.config import conf, typed
from roadworthy.errors import UserError
from roadworthy.evidence import lookup, number, read_evidence
from roadworthy.plots import readiness as figures
from roadworthy.settings import Criterion, Outcome, Readiness

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "conf" / "readiness").glob("*.yaml"))


def criteria() -> list[Any]:
    """Every criterion of every file in conf/readiness, for parametrising."""
    import yaml

    return [
        pytest.param(path.stem, item["name"], id=f"{path.stem}-{item['name']}")
        for path in FILES
        for item in yaml.safe_load(path.read_text(encoding="utf-8"))["criteria"]
    ]


@functools.cache
def settings(option: str) -> Readiness:
    cfg: Readiness = typed(readiness=conf("readiness", f"readiness={option}")).readiness
    return cfg


def put(evidence: dict[str, Any], path: str, dotted: str, value: object) -> None:
    *parents, last = dotted.split(".")
    node = evidence.setdefault(path, {})
    for key in parents:
        node = node.setdefault(key, {})
    node[last] = value


def drop(evidence: dict[str, Any], path: str, dotted: str) -> None:
    *parents, last = dotted.split(".")
    node = evidence[path]
    for key in parents:
        node = node[key]
    del node[last]


OF = readiness.Timed("toy", {"sha256": "b" * 64, "max_length": 128})


def beyond(criterion: Criterion, sign: int) -> float:
    """A value one step to the good (+1) or to the bad (-1) side of the threshold."""
    step = sign * max(abs(criterion.threshold) * 0.1, 0.001)
    step = step if criterion.direction == "at_least" else -step
    base = 0.5 if criterion.baseline is not None else 0.0
    return base + criterion.threshold + step


def passing(cfg: Readiness) -> dict[str, Any]:
    evidence: dict[str, Any] = {}
    for path, dotted in readiness.FROZEN.items():
        put(evidence, path, dotted, "a" * 64)
    for path, prefix in readiness.TIMED.items():
        put(evidence, path, f"{prefix}data", OF.data)
        put(evidence, path, f"{prefix}encoder", OF.encoder)
    for criterion in cfg.criteria:
        put(evidence, criterion.evidence, criterion.metric, beyond(criterion, +1))
        if criterion.baseline is not None:
            put(evidence, criterion.evidence, criterion.baseline, 0.5)
    return evidence


def outcome(cfg: Readiness, evidence: dict[str, Any]) -> tuple[str, dict[str, str]]:
    result = readiness.record(cfg, readiness.judge_all(cfg, evidence, OF), "toy")
    return result["verdict"], {item["name"]: item["verdict"] for item in result["criteria"]}


@pytest.mark.parametrize("option", [path.stem for path in FILES])
def test_evidence_that_meets_every_criterion_is_a_go(option):
    cfg = settings(option)
    verdict, verdicts = outcome(cfg, passing(cfg))
    assert verdict == "go"
    assert set(verdicts.values()) == {"pass"}
    assert 8 <= len(cfg.criteria) <= 20
    assert len(set(verdicts)) == len(cfg.criteria) + 1


@pytest.mark.parametrize(("option", "name"), criteria())
def test_each_gate_fails_beyond_its_threshold(option, name):
    cfg = settings(option)
    evidence = passing(cfg)
    criterion = next(item for item in cfg.criteria if item.name == name)
    put(evidence, criterion.evidence, criterion.metric, beyond(criterion, -1))
    verdict, verdicts = outcome(cfg, evidence)
    assert verdict == "no-go"
    assert [key for key, value in verdicts.items() if value != "pass"] == [name]
    assert verdicts[name] == "fail"


@pytest.mark.parametrize(("option", "name"), criteria())
def test_each_gate_is_unknown_without_its_evidence(option, name):
    cfg = settings(option)
    criterion = next(item for item in cfg.criteria if item.name == name)
    paths = [criterion.metric, *([criterion.baseline] if criterion.baseline else [])]
    for dotted in paths:
        evidence = passing(cfg)
        drop(evidence, criterion.evidence, dotted)
        verdict, verdicts = outcome(cfg, evidence)
        assert verdict == "no-go"
        assert verdicts[name] == "unknown"


@pytest.mark.parametrize(("option", "name"), criteria())
@pytest.mark.parametrize("junk", [None, float("nan"), float("inf"), True, "0.99", [1.0], {}])
def test_what_is_no_number_is_unknown(option, name, junk):
    cfg = settings(option)
    evidence = passing(cfg)
    criterion = next(item for item in cfg.criteria if item.name == name)
    put(evidence, criterion.evidence, criterion.metric, junk)
    verdict, verdicts = outcome(cfg, evidence)
    assert (verdict, verdicts[name]) == ("no-go", "unknown")


@pytest.mark.parametrize("option", [path.stem for path in FILES])
def test_a_missing_file_makes_all_its_criteria_unknown(option):
    cfg = settings(option)
    for path in {criterion.evidence for criterion in cfg.criteria}:
        evidence: dict[str, Any] = passing(cfg) | {path: None}
        verdict, verdicts = outcome(cfg, evidence)
        assert verdict == "no-go"
        touched = {item.name for item in cfg.criteria if item.evidence == path}
        assert {name for name in touched if verdicts[name] == "unknown"} == touched


@pytest.mark.parametrize("path", list(readiness.FROZEN))
@pytest.mark.parametrize("junk", ["b" * 64, "", None, 7])
def test_another_test_set_is_unknown_and_a_no(path, junk):
    cfg = settings("default")
    evidence = passing(cfg)
    put(evidence, path, readiness.FROZEN[path], junk)
    verdict, verdicts = outcome(cfg, evidence)
    assert (verdict, verdicts["same_test_set"]) == ("no-go", "unknown")
    drop(evidence, path, readiness.FROZEN[path])
    assert outcome(cfg, evidence)[1]["same_test_set"] == "unknown"


def test_no_test_set_named_anywhere_is_no_agreement():
    cfg = settings("default")
    evidence = passing(cfg)
    for path, dotted in readiness.FROZEN.items():
        put(evidence, path, dotted, None)
    assert outcome(cfg, evidence)[1]["same_test_set"] == "unknown"


CITED = "reports/metrics/cost.json"
RULE = Criterion("rule", "Good?", CITED, "a.b", "at_least", 0.1, None, "", "why", "who")


def judge(rule: Criterion, cited: dict[str, Any]) -> readiness.Judgement:
    return readiness.judge(rule, {CITED: {"reference": asdict(OF)} | cited}, OF)


@pytest.mark.parametrize("path", list(readiness.TIMED))
@pytest.mark.parametrize("what", ["data", "encoder"])
@pytest.mark.parametrize("there", [True, False])
def test_timings_of_another_model_are_no_evidence(path, what, there):
    cfg = settings("default")
    evidence = passing(cfg)
    dotted = f"{readiness.TIMED[path]}{what}"
    put(evidence, path, dotted, "another") if there else drop(evidence, path, dotted)
    verdict, verdicts = outcome(cfg, evidence)
    resting = {item.name for item in cfg.criteria if item.evidence == path}
    assert verdict == "no-go"
    assert resting == {name for name, one in verdicts.items() if one == "unknown"} != set()
    rule = replace(RULE, evidence=path)
    said = f"with other {what}: run `make timings`" if there else f"has no {dotted}"
    assert said in readiness.judge(rule, evidence, OF).note


@pytest.mark.parametrize(
    ("direction", "value", "expected"),
    [
        ("at_least", 0.1, "pass"),
        ("at_least", 0.0999, "fail"),
        ("at_most", 0.1, "pass"),
        ("at_most", 0.1001, "fail"),
    ],
)
def test_the_threshold_itself_passes(direction, value, expected):
    rule = replace(RULE, direction=direction)
    assert judge(rule, {"a": {"b": value}}).verdict == expected


def test_with_a_baseline_the_difference_is_judged():
    rule = replace(RULE, baseline="c")
    judged = judge(rule, {"a": {"b": 0.9}, "c": 0.8})
    # 0.9 - 0.8 is 0.09999999999999998 in binary.
    assert (judged.verdict, judged.value, judged.baseline) == ("pass", 0.9, 0.8)
    assert judge(rule, {"a": {"b": 0.9}, "c": 0.81}).verdict == "fail"


def test_the_note_says_what_is_missing():
    assert f"no readable {CITED}" in readiness.judge(RULE, {}, OF).note
    assert "has no a.b" in judge(RULE, {"a": {}}).note
    with pytest.raises(LookupError, match=r"has no a\.b"):
        lookup({CITED: {"a": 3}}, CITED, "a.b")
    with pytest.raises(LookupError, match="True"):
        number({CITED: {"a": True}}, CITED, "a")


def test_every_record_that_names_its_test_set_is_compared():
    naming = {
        f"reports/metrics/{path.name}"
        for path in (ROOT / "reports" / "metrics").glob("*.json")
        if path.name != "readiness.json" and '"test_id_sha256"' in path.read_text()
    }
    assert "reports/metrics/clean.json" in readiness.FROZEN
    assert naming <= set(readiness.FROZEN)


def test_what_may_be_cited_is_what_the_stage_depends_on():
    import yaml

    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["readiness"]
    assert set(readiness.ALLOWED) == {dep for dep in stage["deps"] if dep.startswith("reports/")}


@pytest.mark.parametrize(
    "path",
    [
        readiness.RECORD,
        "reports/metrics/../metrics/readiness.json",
        "reports/metrics/none.json",
        "reports/x.json",
        "data/x.json",
        "",
    ],
)
def test_a_verdict_cannot_rest_on_itself_nor_on_what_nothing_watches(path):
    cfg = Readiness(Outcome("s", "m", "t", "t", "o"), [replace(RULE, evidence=path)])
    with pytest.raises(UserError, match="'rule' cites") as caught:
        readiness.judge_all(cfg, good(0.2) | {path: {"a": {"b": 0.2}}}, OF)
    assert all(allowed in str(caught.value) for allowed in readiness.ALLOWED)


def test_criteria_must_exist_and_differ():
    evidence: dict[str, Any] = {}
    empty = Readiness(Outcome("s", "m", "t", "t", "o"), [])
    with pytest.raises(UserError, match="empty"):
        readiness.judge_all(empty, evidence, OF)
    with pytest.raises(UserError, match="'rule'"):
        readiness.judge_all(replace(empty, criteria=[RULE, RULE]), evidence, OF)
    assert readiness.record(empty, [], "toy")["verdict"] == "no-go"


@pytest.mark.parametrize(
    "path",
    ["data/x.json", "reports/../data/x.json", "/etc/hostname", "../x.json", "reports-2/x.json"],
)
def test_evidence_stays_under_reports(project, path):
    with pytest.raises(UserError, match="not under reports/"):
        read_evidence([path])


def test_a_link_out_of_reports_is_refused(project):
    (project / "reports").mkdir()
    (project / "secret.json").write_text("{}")
    (project / "reports" / "x.json").symlink_to(project / "secret.json")
    with pytest.raises(UserError, match="not under reports/"):
        read_evidence(["reports/x.json"])


def test_unreadable_evidence_is_missing_evidence(project):
    (project / "reports").mkdir()
    (project / "reports" / "half.json").write_text('{"a": ')
    (project / "reports" / "good.json").write_text('{"a": 1}')
    found = read_evidence(["reports/half.json", "reports/none.json", "reports/good.json"])
    assert found == {
        "reports/half.json": None,
        "reports/none.json": None,
        "reports/good.json": {"a": 1},
    }


def written(project: Path, evidence: dict[str, Any]) -> dict[str, Any]:
    cfg = Readiness(Outcome("s", "m", "t", "t", "o"), [RULE])
    result = readiness.record(cfg, readiness.judge_all(cfg, evidence, OF), "toy")
    path = project / readiness.RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    for name in readiness.ALLOWED:
        (project / name).unlink(missing_ok=True)
    for name, content in evidence.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(json.dumps(content))
    run_of(project, "toy", RULE)
    return result


def run_of(project: Path, data: str, *rules: Criterion) -> None:
    """params.yaml as the last run left it."""
    criteria = [asdict(rule) for rule in rules]
    tree = {"data": {"name": data}, "encoder": OF.encoder, "readiness": {"criteria": criteria}}
    (project / "params.yaml").write_text(json.dumps(tree))


def good(value: float) -> dict[str, Any]:
    evidence: dict[str, Any] = {CITED: {"a": {"b": value}, "reference": asdict(OF)}}
    for path, dotted in readiness.FROZEN.items():
        put(evidence, path, dotted, "a" * 64)
    return evidence


def test_verdict_codes(project):
    written(project, good(0.2))
    message, code = readiness.verdict()
    assert code == 0
    assert message.startswith("toy: GO")
    written(project, good(0.05))
    message, code = readiness.verdict()
    assert code == 1
    assert "toy: NO-GO: rule" in message
    assert "0.05, needs at least 0.1" in message
    written(project, {})
    message, code = readiness.verdict()
    assert code == 1
    assert f"UNKNOWN rule: no readable {CITED}" in message


def test_a_verdict_on_other_data_or_by_other_criteria_is_not_repeated(project):
    written(project, good(0.2))
    run_of(project, "mine", RULE)
    with pytest.raises(UserError, match=r"judges 'toy', params\.yaml is about 'mine'"):
        readiness.verdict()
    run_of(project, "toy", replace(RULE, threshold=0.5))
    with pytest.raises(UserError, match="other criteria"):
        readiness.verdict()
    run_of(project, "toy", RULE)
    assert readiness.verdict()[1] == 0


def test_a_go_is_not_repeated_once_its_evidence_has_changed(project):
    written(project, good(0.2))
    record = (project / readiness.RECORD).read_text()
    written(project, good(0.05))
    (project / readiness.RECORD).write_text(record)
    with pytest.raises(
        UserError, match=r"from other evidence than what is there now: run `dvc repro`"
    ):
        readiness.verdict()
    (project / CITED).unlink()
    with pytest.raises(UserError, match="other evidence"):
        readiness.verdict()


def test_verdict_without_a_record_is_a_user_error(project):
    with pytest.raises(UserError, match="dvc repro readiness"):
        readiness.verdict()
    path = project / readiness.RECORD
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        readiness.verdict()


def test_a_record_that_contradicts_itself_is_a_no(project):
    result = written(project, good(0.2))
    (project / readiness.RECORD).write_text(json.dumps(result | {"verdict": "no-go"}))
    assert readiness.verdict()[1] == 1
    (project / readiness.RECORD).write_text(json.dumps(result | {"criteria": []}))
    with pytest.raises(UserError, match="other criteria"):
        readiness.verdict()
    forged = copy.deepcopy(result)
    forged["criteria"][1]["verdict"] = "fail"
    (project / readiness.RECORD).write_text(json.dumps(forged))
    with pytest.raises(UserError, match="other evidence"):
        readiness.verdict()


def test_table_and_figure_show_every_criterion():
    cfg = settings("default")
    evidence = passing(cfg)
    drop(evidence, cfg.criteria[0].evidence, cfg.criteria[0].metric)
    result = readiness.record(cfg, readiness.judge_all(cfg, evidence, OF), "toy")
    table = readiness.table(result)
    assert list(table.index) == ["same_test_set", *(item.name for item in cfg.criteria)]
    axis = figures.margins(table).axes[0]
    assert len(axis.patches) == len(table) - 1
    assert [text.get_text() for text in axis.texts] == ["unknown"]
    assert all(bar.get_width() >= 0 for bar in axis.patches)
