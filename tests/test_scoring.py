"""Scores of the checks: what was planted against what was found, moved rows included."""

from __future__ import annotations

import math

import pandas as pd

from roadworthy import scoring

ISSUES = pd.DataFrame({"id": list("abcd")})
for check in scoring.ROWS.values():
    ISSUES[f"is_{check}"] = [True, True, False, False]
NONE = pd.DataFrame(columns=["id", "kind", "value"])
BROKEN = pd.DataFrame({"id": ["e"], "column": ["label"], "closest": ["refund"]})


def planted(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "kind", "detail"])


def test_rows_flagged_against_rows_planted():
    record = planted(
        ("a", "near_duplicate", "b"), ("c", "near_duplicate", "a"), ("z", "near_duplicate", "a")
    )
    row = scoring.score(record, ISSUES, NONE, BROKEN).loc["near_duplicate"]
    assert (row["planted"], row["found"]) == (2, 2)  # z was set aside
    assert (row["precision"], row["recall"]) == (0.5, 0.5)


def test_values_count_where_they_overlap_in_the_same_row():
    record = planted(("a", "pii_phone", "+44 7700 900123"), ("b", "pii_phone", "07700 900124"))
    found = pd.DataFrame(
        [
            ("a", "phone", "7700 900123"),
            ("c", "phone", "07700 900124"),
            ("b", "email", "x@y.example"),
        ],
        columns=["id", "kind", "value"],
    )
    row = scoring.score(record, ISSUES, found, BROKEN).loc["pii_phone"]
    assert (row["precision"], row["recall"]) == (0.5, 0.5)


def test_defects_moved_to_other_rows_are_missed():
    record = planted(("c", "broken_encoding", ""), ("d", "broken_encoding", ""))
    row = scoring.score(record, ISSUES, NONE, BROKEN).loc["broken_encoding"]
    assert (row["precision"], row["recall"]) == (0, 0)


def test_typos_count_with_the_right_correction_only():
    right = planted(("e", "label_typo", "refund"))
    assert scoring.score(right, ISSUES, NONE, BROKEN).loc["label_typo", "recall"] == 1
    wrong = planted(("e", "label_typo", "track"))
    assert scoring.score(wrong, ISSUES, NONE, BROKEN).loc["label_typo", "recall"] == 0


def test_kinds_that_were_not_planted_are_left_out_and_nothing_found_is_no_precision():
    table = scoring.score(planted(("a", "pii_iban", "GB1")), ISSUES, NONE, BROKEN)
    assert list(table.index) == ["pii_iban"]
    assert math.isnan(table.loc["pii_iban", "precision"])
    assert table.loc["pii_iban", "recall"] == 0
    assert scoring.score(None, ISSUES, NONE, BROKEN).empty
