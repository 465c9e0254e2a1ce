"""Where people disagree and the model is unsure, one more label teaches most."""

from __future__ import annotations

import numpy as np
import pandas as pd

from roadworthy.active import COLUMNS, look_again

LABELS = ["a", "b"]


def votes(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "annotator", "label"])


def test_the_disputed_message_comes_first_and_the_majority_is_the_consensus():
    ids = pd.Series([f"m{n}" for n in range(8)])
    given = ["a", "b"] * 4
    rows = [(id, who, label) for id, label in zip(ids, given, strict=True) for who in "xyz"]
    rows = [("m0", "z", "b") if row[:2] == ("m0", "z") else row for row in rows]
    p = np.where(np.array(given)[:, None] == np.array(LABELS), 0.9, 0.1)
    p[0] = [0.55, 0.45]
    table = look_again(votes(rows), ids, LABELS, p)
    assert list(table.columns) == COLUMNS
    assert table["id"].iloc[0] == "m0"
    assert table["consensus"].iloc[0] == "a"
    assert table["labels"].iloc[0] == "a, a, b"
    assert table["active_score"].is_monotonic_increasing
    assert table["quality"].iloc[0] < table["quality"].iloc[1:].min()
    assert table[["quality", "active_score"]].stack().between(0, 1).all()


def test_one_label_a_message_says_nothing():
    ids = pd.Series(["m0", "m1"])
    table = look_again(
        votes([("m0", "x", "a"), ("m1", "x", "b")]), ids, LABELS, np.full((2, 2), 0.5)
    )
    assert table.empty
    assert list(table.columns) == COLUMNS


def test_labels_out_of_scope_and_strange_messages_are_left_aside():
    ids = pd.Series(["m0", "m1", "m2"])
    rows = [(id, who, "a" if id != "m1" else "b") for id in ids for who in "xy"]
    rows += [("m9", "x", "a"), ("m0", "z", "out_of_scope")]
    table = look_again(votes(rows), ids, LABELS, np.array([[0.8, 0.2], [0.2, 0.8], [0.7, 0.3]]))
    assert set(table["id"]) == set(ids)
    assert set(table["annotators"]) == {2}
