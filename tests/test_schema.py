"""The checks that stop the run, and the inventory of the sources."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from roadworthy import schema
from roadworthy.errors import UserError
from roadworthy.settings import Audit, Data, File

DATA = Data(name="x", owner="support lead", files=[File(path="one.csv"), File(path="two.csv")])
AUDIT = Audit(as_of="2026-03-31", min_rows=3)


def messages(labels: list[str], split: list[str] | str = "", oos: str = "oos") -> pd.DataFrame:
    frame = pd.DataFrame({"label": labels})
    frame["id"] = [f"m{number}" for number in range(len(labels))]
    frame["split"] = split
    frame["in_scope"] = frame["label"] != oos
    half = len(frame) // 2
    frame["file"] = ["one.csv" if number < half else "two.csv" for number in range(len(frame))]
    frame["row"] = [str(number + 1) for number in range(len(frame))]
    return frame.assign(created_at=pd.NaT)


def refused(frame: pd.DataFrame, *parts: str, data: Data = DATA, audit: Audit = AUDIT) -> None:
    with pytest.raises(UserError) as caught:
        schema.check_labels(frame, data, audit)
    for part in parts:
        assert part in str(caught.value)


def test_a_sound_label_set_is_counted_over_rows_to_learn_from():
    frame = messages(["a"] * 4 + ["b"] * 3 + ["oos", "a"], ["train"] * 8 + ["test"])
    data = Data(name="x", files=DATA.files, out_of_scope="oos")
    assert schema.check_labels(frame, data, AUDIT).to_dict() == {"a": 4, "b": 3}


def test_a_held_out_label_that_training_does_not_know():
    labels = ["refund", "track"] * 3 + ["refnd"]
    frame = messages(labels, ["train"] * 6 + ["test"])
    refused(frame, "two.csv, row 7", "'refnd'", "test", "typo for 'refund'", "out_of_scope")
    frame = messages([*labels[:-1], "refund"], ["train"] * 6 + ["test"])
    schema.check_labels(frame, DATA, AUDIT)


@pytest.mark.parametrize("split", ["", "train"])
def test_a_class_with_too_few_rows(split: str):
    frame = messages(["refund"] * 5 + ["track"] * 5 + ["refunds"], split)
    refused(frame, "two.csv, row 11", "'refunds' has 1 row", "min_rows is 3", "'refund'", "merge")


def test_copies_of_a_message_count_once():
    frame = messages(["a"] * 4 + ["b"] * 6 + ["oos"], ["train"] * 9 + ["test", "train"])
    clusters = pd.Series([0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8])
    assert schema.check_distinct(frame, clusters, AUDIT).to_dict() == {"a": 4, "b": 3}
    for copied in ([0, 1, 2, 3, 4, 4, 4, 5, 5, 7, 8], [0, 1, 2, 3, 4, 4, 4, 4, 5, 6, 7]):
        with pytest.raises(UserError) as caught:
            schema.check_distinct(frame, pd.Series(copied), AUDIT)
        for part in ("one.csv, row 5", "'b' has 2 distinct", "in 5 rows", "min_rows is 3", "Add"):
            assert part in str(caught.value)


def test_held_out_rows_do_not_make_a_class_large_enough():
    frame = messages(["a"] * 4 + ["b"] * 4, ["train"] * 6 + ["test"] * 2)
    refused(frame, "'b' has 2 row")


def test_one_class_is_no_classification():
    refused(messages(["a"] * 9), "1 class(es)", "data.label")


def test_an_out_of_scope_label_that_does_not_occur():
    data = Data(name="x", files=DATA.files, out_of_scope="refun")
    refused(messages(["refund", "track"] * 4), "data.out_of_scope", "'refund'", data=data)


def test_inventory_of_dated_and_undated_sources(project: Path):
    for name in ("one.csv", "two.csv"):
        (project / name).write_text(name)
    frame = messages(["a", "b"] * 3)
    sources = schema.inventory(frame, DATA, AUDIT)
    assert sources["rows"].to_dict() == {"one.csv": 3, "two.csv": 3}
    assert sources["sha256"].str.len().tolist() == [64, 64]
    assert schema.freshness(sources, AUDIT) == {
        "newest": None,
        "as_of": "2026-03-31",
        "age_days": None,
    }
    assert [row["age_days"] for row in schema.sources_record(sources)] == [None, None]
    dates = pd.to_datetime([f"2026-03-{day:02d}" for day in range(1, 7)], utc=True)
    sources = schema.inventory(frame.assign(created_at=dates), DATA, AUDIT)
    assert sources["newest"].tolist() == ["2026-03-03", "2026-03-06"]
    record = schema.sources_record(sources)
    assert [row["age_days"] for row in record] == [28, 25]
    assert json.dumps(record)
    assert schema.freshness(sources, AUDIT)["age_days"] == 25


def test_a_message_from_the_future_is_not_fresh(project: Path):
    for name in ("one.csv", "two.csv"):
        (project / name).write_text(name)
    frame = messages(["a", "b"] * 3)
    frame["created_at"] = pd.Timestamp("2026-03-01", tz="UTC")
    frame.loc[4, "created_at"] = pd.Timestamp("2062-03-01", tz="UTC")
    with pytest.raises(UserError, match=r"two\.csv, row 5: dated 2062-03-01.*as_of = 2026-03-31"):
        schema.inventory(frame, DATA, AUDIT)


def test_label_errors_are_a_share_of_the_verified_rows():
    frame = messages(["a", "a", "b", "b"])
    gold = pd.Series({"m0": "a", "m1": "b"})
    assert schema.label_errors(frame, gold) == {"rows": 2, "label_error_share": 0.5}
    assert schema.label_errors(frame, None) == {"rows": 0, "label_error_share": None}


def test_gold_frame_keeps_its_columns_when_there_is_none():
    assert schema.gold_frame(pd.Series({"m0": "a"})).to_dict("list") == {
        "id": ["m0"],
        "gold": ["a"],
    }
    none = schema.gold_frame(None)
    assert none.columns.tolist() == ["id", "gold"]
    assert none.empty
