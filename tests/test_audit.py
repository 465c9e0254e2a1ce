"""The audit's checks: one shape, each planted fault found, clean data left in peace."""

from __future__ import annotations

import pkgutil

import numpy as np
import pandas as pd
import pytest

from roadworthy import audit, checks, duplicates, personal
from roadworthy.checks import semantic_twin
from roadworthy.data import id_hash
from roadworthy.errors import UserError
from roadworthy.settings import Audit, Encoder, Split
from roadworthy.split import freeze

SETTINGS = Audit(as_of="2026-03-31", tail_rows=3, length_edges=[8, 20])
PARCEL = "my parcel was due on monday and it still has not come"
ROWS = [
    ("refund", "train", PARCEL),
    ("refund", "train", "Please send back my money for the broken lamp"),
    ("refund", "train", "how long until the refund is on my card"),
    ("track", "train", "where is it"),
    ("track", "train", "help"),
    ("refund", "validation", "i was told the money would come back by now"),
    ("track", "test", PARCEL.upper() + "!"),
    ("track", "test", "so " * 30 + "late"),
    ("oos", "test", "what is the weather like over there"),
]


def run(rows: list[tuple[str, str, str]]) -> tuple[pd.DataFrame, checks.Issues, dict]:
    frame = pd.DataFrame(rows, columns=["label", "split", "text"])
    frame["id"] = [f"m{number}" for number in range(len(frame))]
    frame = frame.assign(in_scope=frame["label"] != "oos", file="x.csv", row="1", created_at=pd.NaT)
    found = duplicates.find(frame["text"])
    frozen = freeze(frame, found.rows["cluster"], Split())
    messages = audit.annotate(frame, found.rows["cluster"], frozen.split, SETTINGS)
    private = personal.scan(messages)
    issues = checks.find_issues(checks.Inputs(messages, found.rows, private, None, SETTINGS))
    record = audit.record(messages, found, issues, frozen.record(messages, []), SETTINGS)
    return messages, issues, record


def flagged(issues: checks.Issues, check: str) -> list[str]:
    return issues.frame.loc[issues.frame[f"is_{check}"], "id"].tolist()


def test_every_check_has_the_one_shape():
    _, issues, _ = run(ROWS)
    frame, summary = issues.frame, issues.summary
    modules = {module.name for module in pkgutil.iter_modules(checks.__path__)}
    assert summary.index.tolist() == sorted(modules - {"semantic_twin"})  # it needs vectors
    assert frame.columns.tolist()[0] == "id"
    assert set(issues.info) == set(summary.index)
    for check in summary.index:
        flag, score = frame[f"is_{check}"], frame[f"{check}_score"]
        assert flag.dtype == bool
        assert score.between(0, 1).all()
        assert (score[~flag] == 1).all() or score[~flag].min() > score[flag].max()
        assert summary.loc[check, "rows"] == flag.sum()
        assert summary.loc[check, "share"] == pytest.approx(flag.mean())


def test_each_planted_fault_is_found():
    messages, issues, _ = run(ROWS)
    assert flagged(issues, "exact_duplicate") == ["m0", "m6"]
    assert flagged(issues, "near_duplicate") == []
    assert flagged(issues, "conflicting_label") == ["m0", "m6"]
    assert flagged(issues, "leaked") == ["m6"]
    assert flagged(issues, "short_text") == ["m4"]
    assert flagged(issues, "long_text") == ["m7"]
    assert flagged(issues, "rare_class") == ["m3", "m4", "m6", "m7"]
    assert issues.info["rare_class"]["classes"] == ["track"]
    assert messages["leaked"].sum() == 1
    assert {"file", "row", "gold"}.isdisjoint(messages.columns)


def test_a_clean_data_set_raises_no_flag():
    places = ["london", "paris", "rome", "madrid", "vienna", "lisbon", "oslo", "athens"]
    rows = [("refund", "train", f"i sent the shoes back from {place}") for place in places[:4]]
    rows += [("track", "train", f"the van was last seen near {place}") for place in places[4:]]
    rows += [("track", "validation", "no news"), ("refund", "test", "money please")]
    _, issues, record = run(rows)
    assert issues.summary["rows"].sum() == 0
    assert (issues.frame.filter(like="_score") == 1).all(axis=None)
    assert record["leakage"] == {"validation": 0, "test": 0, "test_share": 0}


def test_near_duplicates_across_splits_leak():
    rows = [*ROWS[:6], ("refund", "test", PARCEL + " yet")]
    _, issues, record = run(rows)
    assert flagged(issues, "near_duplicate") == ["m0", "m6"]
    assert flagged(issues, "leaked") == ["m6"]
    assert flagged(issues, "conflicting_label") == []
    assert record["leakage"] == {"validation": 0, "test": 1, "test_share": 1.0}


def test_rows_out_of_scope_do_not_leak():
    outside = "what is the weather like over there on the coast"
    rows = [*ROWS[:8], ("oos", "train", outside), ("oos", "test", outside)]
    _, issues, record = run(rows)
    assert flagged(issues, "leaked") == ["m6"]
    assert record["leakage"] == {"validation": 0, "test": 1, "test_share": pytest.approx(1 / 2)}
    _, issues, _ = run([*rows[:8], ("oos", "train", outside), ("refund", "test", outside)])
    assert flagged(issues, "leaked") == ["m6"]
    _, issues, _ = run([*rows[:8], ("refund", "train", outside), ("refund", "test", outside)])
    assert flagged(issues, "leaked") == ["m6", "m9"]


def decided(**labels: str) -> pd.DataFrame:
    return pd.DataFrame({"id": [*labels], "label": [*labels.values()]}, dtype="str")


def test_decisions_change_held_out_labels_alone_and_the_filed_ones_stay_on_record():
    messages, _, _ = run(ROWS)
    said = decided(m5="track", m6="refund", m7="track", m0="track", m8="refund")
    settled, found = audit.settle(messages, said, "oos")
    labels = settled.set_index("id")["label"]
    assert labels[["m5", "m6", "m7", "m8"]].tolist() == ["track", "refund", "track", "refund"]
    assert labels["m0"] == "refund"  # a training row: the stage `clean` goes by the decision
    assert settled["in_scope"].all()
    same = ["id", "text", "split", "cluster", "leaked", "length"]
    pd.testing.assert_frame_equal(settled[same], messages[same])
    assert settled.columns.tolist() == messages.columns.tolist()
    assert found.set_index("id").loc["m6"].tolist() == ["refund", "track", "test"]
    counted = audit.looked_at(found, "oos")
    none = {"confirmed": 0, "no_class": 0}
    assert counted == {
        "train": {"looked_at": 1, "changed": 1} | none,
        "validation": {"looked_at": 1, "changed": 1} | none,
        "test": {"looked_at": 3, "changed": 2} | none | {"confirmed": 1},
    }


def test_nobody_decided_and_the_messages_are_the_same():
    messages, _, _ = run(ROWS)
    settled, found = audit.settle(messages, decided(), "oos")
    pd.testing.assert_frame_equal(settled, messages)
    assert found.columns.tolist() == ["id", "label", "filed", "split"]
    assert {kind for one in audit.looked_at(found, None).values() for kind in one.values()} == {0}


def test_a_held_out_row_that_fits_no_class_is_out_of_scope():
    messages, _, _ = run(ROWS)
    settled, found = audit.settle(messages, decided(m6="oos"), "oos")
    row = settled.set_index("id").loc["m6"]
    assert (row["label"], row["in_scope"], row["leaked"]) == ("oos", False, False)
    assert audit.looked_at(found, "oos")["test"]["no_class"] == 1
    with pytest.raises(UserError, match="no validation row of a class"):
        audit.settle(messages, decided(m5="oos"), "oos")


def test_the_frozen_test_set_is_made_by_filed_labels():
    """The same after decisions: a corrected label moves no row."""
    rows = [(name, "train", f"{name} {n} {'x' * n}") for name in ("a", "b") for n in range(30)]
    frame = pd.DataFrame(rows, columns=["label", "split", "text"]).assign(split="")
    frame = frame.assign(id=[f"m{n}" for n in range(60)], in_scope=True, file="x.csv", row="1")
    frame = frame.assign(created_at=pd.NaT)
    clusters = pd.Series(range(60))
    frozen = freeze(frame, clusters, Split())
    messages = audit.annotate(frame, clusters, frozen.split, SETTINGS)
    tests = messages.loc[messages["split"] == "test", "id"]
    settled, _ = audit.settle(messages, decided(**dict.fromkeys(tests, "a")), None)
    assert (settled.loc[settled["split"] == "test", "label"] == "a").all()
    assert id_hash(settled.loc[settled["split"] == "test", "id"]) == id_hash(tests)
    assert frozen.record(messages, [])["test_id_sha256"] == id_hash(tests)
    training = settled["split"] == "train"
    pd.testing.assert_frame_equal(settled[training], messages[training])


def test_the_record():
    _, _, record = run(ROWS)
    assert record["rows"] == 9
    assert record["classes"] == 2
    assert record["out_of_scope_rows"] == 1
    assert record["duplicates"] == {"exact_rows": 2, "near_rows": 0, "clusters": 1}
    assert record["conflicting_clusters"] == 1
    assert record["leakage"] == {"validation": 0, "test": 1, "test_share": pytest.approx(1 / 2)}
    assert record["balance"] == {
        "largest": 3,
        "smallest": 2,
        "ratio": 1.5,
        "tail_classes": 1,
        "tail_share": pytest.approx(2 / 5),
    }
    assert record["length"]["max_words"] == 31
    assert record["split"]["brought"] is True
    assert (record["split"]["train"], record["split"]["test"]) == (5, 3)


def test_broken_characters_and_personal_data_are_flagged():
    rows = [
        *ROWS,
        ("refund", "train", "IÃ¢â‚¬â„¢d like my money, it was Â£40"),
        ("track", "train", "a caf\ufffd"),
    ]
    rows += [
        ("track", "train", "a café in Łódź, it’s £40"),
        ("refund", "train", "write to jo@x.example.org"),
    ]
    _, issues, record = run(rows)
    assert flagged(issues, "broken_encoding") == ["m9", "m10"]
    assert issues.info["broken_encoding"] == {"repairable": 1}
    assert flagged(issues, "personal_data") == ["m12"]
    assert record["personal_data"] == {"rows": 1, "email": 1}


def test_the_same_in_other_words_is_a_twin_but_no_duplicate():
    messages = pd.DataFrame({"id": list("abcd"), "text": ["x"] * 4, "cluster": [0, 0, 1, 2]})
    messages["split"] = ["train", "train", "test", "test"]
    vectors = np.array([[1, 0], [1, 0], [0.99, 0.14], [0, 1]], dtype=np.float32)
    settings = Audit(as_of="2026-03-31", twin=0.9)
    inputs = checks.Inputs(messages, pd.DataFrame(), pd.DataFrame(), vectors, settings)
    check = semantic_twin.run(inputs)
    assert check is not None
    assert check.flag.tolist() == [True, True, True, False]
    assert check.info == {"across_splits": 3}
    assert check.score.tolist() == pytest.approx([0.01, 0.01, 0.01, 1.0], abs=0.01)


def test_periods_compare_the_latest_part_with_what_came_before():
    dates = pd.Series(pd.date_range("2026-01-01", periods=120, freq="D", tz="UTC"))
    messages = pd.DataFrame({"created_at": dates, "split": ["train", "test"] * 60})
    groups = audit.periods(messages, Audit(as_of="2026-12-31", recent=0.25))
    sizes = [(int(one.sum()), int(other.sum())) for one, other in groups.values()]
    assert sizes == [(60, 60), (90, 30), (45, 45)]
    undated = messages.assign(created_at=pd.NaT)
    assert len(audit.periods(undated, SETTINGS)) == 1


def test_synthetic_rows_that_repeat_a_real_message_are_marked():
    messages = pd.DataFrame({"id": ["1"], "text": [PARCEL]})
    made = pd.DataFrame({"id": ["s1", "s2"], "text": [PARCEL + "!!", "an altogether new message"]})
    assert audit.offered(messages, made, SETTINGS)["near_real"].tolist() == [True, False]
    assert audit.offered(messages, made.head(0), SETTINGS).empty


def test_large_data_goes_without_vectors():
    texts = [pd.Series(["one", "two"]), pd.Series(["three"])]
    few = Audit(as_of="2026-03-31", embed_rows=1)
    assert audit.embedded(texts, few, Encoder()) == [None, None]
