"""The contract: what it refuses to promise, what it finds, and when a slip becomes a change."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import yaml

from roadworthy import admission, contract
from roadworthy.config import compose, validate
from roadworthy.errors import UserError
from roadworthy.settings import Audit, Data, File

ROOT = Path(__file__).resolve().parents[1]
LABELS = {
    "type": "library",
    "metric": "invalidValues",
    "arguments": {"validValues": ["refund", "track"]},
    "mustBe": 0,
}
PROPERTIES = [
    {"name": "id", "logicalType": "string", "required": True, "primaryKey": True},
    {"name": "text", "logicalType": "string", "logicalTypeOptions": {"maxLength": 12}},
    {"name": "label", "logicalType": "string", "required": True, "quality": [LABELS]},
    {"name": "stars", "logicalType": "integer", "logicalTypeOptions": {"minimum": 1, "maximum": 5}},
    {
        "name": "at",
        "logicalType": "timestamp",
        "logicalTypeOptions": {"minimum": "2026-01-01T00:00:00"},
    },
    {"name": "code", "logicalType": "string", "logicalTypeOptions": {"pattern": "[A-Z]{2}"}},
]
GOOD = "id,text,label,stars,at,code\na,hello,refund,3,2026-02-01T10:00:00,GB\n"
GOOD += "b,bye,track,,2026-02-02,\n"
DATA = Data(name="x", files=[File(path="data/x/m.csv")], id="id", contract="data/x/c.odcs.yaml")


def place(project: Path, rows: str, properties: list[dict[str, object]] | None = None) -> None:
    folder = project / "data" / "x"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.csv").write_text(rows)
    table = {"name": "m", "physicalName": "m.csv", "properties": properties or PROPERTIES}
    levels = [{"property": "freshness", "value": 30, "unit": "d"}]
    levels += [{"property": "retention", "value": 100, "unit": "d"}]
    content = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "toy", "version": "2"}
    content |= {"status": "active", "schema": [table], "slaProperties": levels}
    (folder / "c.odcs.yaml").write_text(yaml.safe_dump(content))


def found(project: Path, rows: str) -> list[tuple[str, ...]]:
    place(project, rows)
    read = contract.read(project / "data" / "x" / "c.odcs.yaml")
    frame = admission.breaches(DATA, read)
    return list(frame[["row", "column", "rule", "value"]].itertuples(index=False, name=None))


def test_rows_that_keep_the_contract_give_an_empty_table(project: Path):
    assert found(project, GOOD) == []


@pytest.mark.parametrize(
    ("line", "column", "rule", "value"),
    [
        ("c,hi,refnd,3,2026-02-01,GB", "label", "one of the allowed values", "refnd"),
        ("c,hi,refund,three,2026-02-01,GB", "stars", "is of type integer", "three"),
        ("c,hi,refund,3.0,2026-02-01,GB", "stars", "is of type integer", "3.0"),
        ("c,hi,refund,0,2026-02-01,GB", "stars", "at least 1", "0"),
        ("c,hi,refund,6,2026-02-01,GB", "stars", "at most 5", "6"),
        ("c,hi,refund,3,2025-12-31T23:59:59,GB", "at", "at least 2026-01-01T00:00:00", None),
        ("c,hi,refund,3,1.2.2026,GB", "at", "is of type timestamp", "1.2.2026"),
        ("c,hi,refund,3,2026-02-01,gb", "code", "[A-Z]{2}", "gb"),
        ("c,much too long,refund,3,2026-02-01,GB", "text", "0 to 12 characters", "much too long"),
        ("c,hi,,3,2026-02-01,GB", "label", "is required", None),
    ],
)
def test_each_rule_finds_the_row_that_breaks_it(
    project: Path, line: str, column: str, rule: str, value: str | None
):
    rows = found(project, f"{GOOD}{line}\n")
    assert [row[:3] for row in rows] == [("3", column, rule)]
    assert value is None or rows[0][3] == value


def test_a_repeated_key_lists_both_rows(project: Path):
    rows = found(project, GOOD + "a,hi,track,,2026-02-02,\n")
    assert [row[:3] for row in rows] == [("1", "id", "is unique"), ("3", "id", "is unique")]


def test_a_typo_comes_with_the_label_it_resembles(project: Path):
    place(project, GOOD + "c,hi,refnd,3,2026-02-01,GB\n")
    frame = admission.breaches(DATA, contract.read(project / "data" / "x" / "c.odcs.yaml"))
    assert frame["closest"].tolist() == ["refund"]
    assert frame["id"].tolist() == ["c"]
    assert list(frame.columns) == admission.COLUMNS


def test_a_vanished_label_and_a_missing_column_stop_the_run(project: Path):
    with pytest.raises(UserError, match=r"no row has the label 'track'.*renamed"):
        found(project, GOOD.replace("track", "refund"))
    with pytest.raises(UserError, match="no column 'stars'"):
        found(project, GOOD.replace("stars", "rating"))


def test_few_broken_rows_are_set_aside_and_many_stop_the_run():
    messages = pd.DataFrame({"id": [f"m{n}" for n in range(10)]})
    broken = pd.DataFrame([["f.csv", "4", "m3", "label", "rule", "refnd", "refund"]] * 2)
    broken.columns = pd.Index(admission.COLUMNS)
    broken = pd.concat([broken, broken.assign(id="m4")])
    audit = Audit(as_of="2026-03-31", max_breaches=0.2)
    kept = admission.quarantine(messages, broken, audit)
    assert kept["id"].tolist() == [f"m{n}" for n in range(10) if n not in (3, 4)]
    assert kept.index.tolist() == list(range(8))
    with pytest.raises(UserError, match=r"f.csv, row 4: label = 'refnd'.*max_breaches.*19\.9%"):
        admission.quarantine(messages, broken, replace(audit, max_breaches=0.199))


def test_one_wrong_value_in_many_rows_is_a_new_value_not_a_typo():
    messages = pd.DataFrame({"id": [f"m{n}" for n in range(1000)]})
    rows = [["f.csv", str(n), f"m{n}", "label", "rule", "reroute", ""] for n in range(4)]
    broken = pd.DataFrame(rows, columns=admission.COLUMNS)
    audit = Audit(as_of="2026-03-31", min_rows=4)
    with pytest.raises(UserError, match=r"4 rows have label = 'reroute'.*new or renamed"):
        admission.quarantine(messages, broken, audit)
    assert len(admission.quarantine(messages, broken[:3], audit)) == 997


def test_one_broken_row_never_stops_a_small_data_set():
    messages = pd.DataFrame({"id": ["a", "b", "c"]})
    broken = pd.DataFrame([["f.csv", "1", "a", "label", "rule", "x", ""]])
    broken.columns = pd.Index(admission.COLUMNS)
    assert len(admission.quarantine(messages, broken, Audit(as_of="2026-03-31"))) == 2


def test_a_blank_value_is_listed_and_a_fault_of_gold_takes_no_row(project: Path):
    verified = {"name": "gold", "logicalType": "string", "required": True}
    needed = [*PROPERTIES[:-1], PROPERTIES[-1] | {"required": True}, verified]
    rows = "id,text,label,stars,at,code,gold\na,hello,refund,3,2026-02-01,GB,\n"
    rows += "b,bye,track,,2026-02-02,,track\nc,hi,track,,2026-02-02,GB,track\n"
    place(project, rows, needed)
    data = replace(DATA, gold="gold")
    messages, broken, _ = admission.admit(data, Audit(as_of="2026-03-31", max_breaches=0.4))
    assert messages["id"].tolist() == ["a", "c"]
    assert broken[["id", "column", "value"]].to_numpy().tolist() == [
        ["a", "gold", ""],
        ["b", "code", ""],
    ]


def test_the_record_measures_age_against_the_promises(project: Path):
    place(project, GOOD)
    read = contract.read(project / "data" / "x" / "c.odcs.yaml")
    dates = pd.Series(pd.to_datetime(["2026-01-01", "2026-04-20"], utc=True))
    broken = pd.DataFrame({"id": ["a", "a"]})
    kept = admission.record(read, broken, dates, date(2026, 5, 1))
    assert kept is not None
    assert (kept["fresh"], kept["overdue_rows"]) == (True, 1)
    assert (kept["broken_rules"], kept["quarantined_rows"]) == (2, 1)
    undated = dates.where(dates.isna())
    unknown = admission.record(read, broken, undated, date(2026, 5, 1))
    assert unknown is not None
    assert (unknown["fresh"], unknown["overdue_rows"]) == (None, None)
    later = admission.record(read, broken, dates, date(2026, 5, 21))
    assert later is not None
    assert later["fresh"] is False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"logicalType": "object"}, "logicalType 'object' is not checked"),
        ({"logicalTypeOptions": {"multipleOf": 2}}, "logicalTypeOptions 'multipleOf'"),
        ({"logicalTypeOptions": {"format": "email"}}, "logicalTypeOptions 'format'"),
        ({"quality": [{"type": "library", "metric": "nullValues", "mustBe": 0}]}, "'nullValues'"),
        ({"quality": [LABELS | {"mustBe": 3}]}, "'invalidValues'"),
        ({"quality": [{"type": "sql", "query": "SELECT 1"}]}, "'sql'"),
        (
            {"logicalType": "integer", "logicalTypeOptions": {"minimum": 5.5}},
            r"minimum = '5\.5' cannot be checked in a column of type integer",
        ),
        (
            {"logicalType": "date", "logicalTypeOptions": {"maximum": "01.06.2026"}},
            "maximum = .* in a column of type date",
        ),
        (
            {"logicalTypeOptions": {"minimum": 5}},
            "minimum = '5' cannot be checked in a column of type string",
        ),
        ({"logicalTypeOptions": {"pattern": "("}}, r"pattern = '\('"),
    ],
)
def test_a_rule_that_is_not_checked_is_refused(
    project: Path, change: dict[str, object], words: str
):
    place(project, GOOD, [*PROPERTIES[:-1], PROPERTIES[-1] | change])
    with pytest.raises(UserError, match=words):
        contract.read(project / "data" / "x" / "c.odcs.yaml")


def test_what_is_no_contract_is_refused(project: Path):
    path = project / "c.odcs.yaml"
    with pytest.raises(UserError, match="is missing"):
        contract.read(path)
    (project / "data").mkdir()
    with pytest.raises(UserError, match=r"^data\.contract: data is a folder"):
        contract.read(project / "data")
    outside, link = project.parent / "outside.yaml", project / "link.yaml"
    outside.write_text("id: x")
    link.symlink_to(outside)
    with pytest.raises(UserError, match="leads out of the project"):
        contract.read(link)
    for text in ("a: [", "- 1", "colour: red"):
        path.write_text(text)
        with pytest.raises(UserError, match="no contract in the ODCS"):
            contract.read(path)
    place(project, GOOD)
    read = contract.read(project / "data" / "x" / "c.odcs.yaml")
    with pytest.raises(UserError, match=r"describes m\.csv, not other\.csv"):
        contract.table(read, "data/x/other.csv")


def test_without_a_contract_nothing_is_promised():
    data = Data(name="x", files=DATA.files)
    assert admission.of(data) is None
    broken = admission.breaches(data, None)
    assert (list(broken.columns), len(broken)) == (admission.COLUMNS, 0)
    assert (
        admission.record(None, broken, pd.Series(dtype="datetime64[us, UTC]"), date.today()) is None
    )


def test_a_contract_lives_below_data():
    settings = compose()
    for name in ("contract", "annotations", "planted"):
        changed = settings | {"data": settings["data"] | {name: "conf/c.csv"}}
        with pytest.raises(UserError, match=f"data.{name} = 'conf/c.csv': it belongs below data/"):
            validate(changed)


def test_the_helpdesk_contract_is_in_the_standard():
    content = yaml.safe_load((ROOT / "data/helpdesk/contract.odcs.yaml").read_text())
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())
    jsonschema.Draft201909Validator(schema).validate(content)
