"""The listings for people: masked text, bands, counts."""

from __future__ import annotations

import pandas as pd
import pytest

from roadworthy import census, personal
from roadworthy.errors import UserError
from roadworthy.settings import Audit

MESSAGES = pd.DataFrame(
    {
        "id": list("abcdef"),
        "text": ["one two", "one  two!", "refund", "parcel late", "parcel is late", "weather?"],
        "label": ["x", "x", "y", "x", "y", "oos"],
        "split": ["train", "train", "train", "test", "test", "test"],
        "in_scope": [True] * 5 + [False],
        "cluster": [0, 0, 1, 2, 2, 3],
        "channel": ["chat", "chat", "web", "chat", "web", "chat"],
    }
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\t c\u202e", "a b c"),
        ("mail me: jo.do@shop.example now", "mail me: <email> now"),
        ("order 4471-9920 is late", "order <number> is late"),
        ("see https://x.example/?a=1 please", "see <link> please"),
        ("12 items", "12 items"),
        ("x" * 90, "x" * 79 + "…"),
    ],
)
def test_shown_text_is_one_masked_line(text: str, line: str):
    assert census.shown(text) == line


def test_length_bands_have_no_gap_and_no_overlap():
    counts = pd.Series([1, 8, 9, 25, 26, 400])
    bands = census.length_bands(counts, [8, 25])
    assert bands.tolist() == ["1-8", "1-8", "9-25", "9-25", "26+", "26+"]


@pytest.mark.parametrize("edges", [[], [8, 8], [9, 3], [0, 4]])
def test_length_edges_must_rise(edges: list[int]):
    with pytest.raises(UserError, match=r"audit\.length_edges"):
        census.length_bands(pd.Series([1]), edges)


def test_class_table_counts_scope_only_and_marks_the_tail():
    table = census.class_table(MESSAGES, Audit(as_of="2026-01-01", tail_rows=2))
    assert table.index.tolist() == ["x", "y"]
    assert table[["train", "validation", "test", "rows"]].to_numpy().tolist() == [
        [2, 0, 1, 3],
        [1, 0, 1, 2],
    ]
    assert table["share"].sum() == pytest.approx(1.0)
    assert table["tail"].tolist() == [False, True]


def test_slice_table():
    table = census.slice_table(MESSAGES, ["channel"])
    assert table.loc[("channel", "chat"), "rows"] == 4
    assert table.loc[("channel", "chat"), "share"] == pytest.approx(4 / 6)
    assert table["test"].tolist() == [2, 1]


def test_duplicates_and_conflicts_are_listed():
    listed = census.duplicate_table(MESSAGES)
    assert listed["rows"].to_dict() == {0: 2, 2: 2}
    assert listed.loc[2, ["labels", "splits", "last"]].tolist() == [
        "x, y",
        "test",
        "parcel is late",
    ]
    conflicts = census.conflict_table(MESSAGES)
    assert conflicts["id"].tolist() == ["d", "e"]
    assert census.conflict_table(MESSAGES.iloc[:3]).empty
    assert census.duplicate_table(MESSAGES.iloc[1:3]).empty


def test_an_example_found_twice_as_different_kinds_is_masked_by_position():
    text = ["my card 4471234567890 and tracking 4471234567890-a"]
    messages = pd.DataFrame({"id": ["a"], "text": text})
    table = census.personal_table(messages, personal.scan(messages))
    assert set(table.index) <= {"card", "card_like", "phone", "number"}
    assert not table["example, masked"].str.contains("4471").any()
