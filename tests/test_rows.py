"""The rows of the cleaning stage: in scope, by split; only training rows are decided here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from roadworthy.errors import UserError
from roadworthy.rows import prepare, reviewed

MESSAGES = pd.DataFrame(
    {
        "id": ["1", "2", "3", "4", "5"],
        "text": ["one lamp", "two lamps", "my parcel", "what", "parcel again"],
        "split": ["train", "train", "validation", "test", "test"],
        "label": ["a", "b", "a", "oos", "b"],
        "in_scope": [True, True, True, False, True],
        "cluster": [0, 1, 2, 3, 4],
    }
)
NOBODY = pd.DataFrame({"id": [], "label": [], "filed": []}, dtype="str")


def test_out_of_scope_rows_are_left_out_and_labels_are_numbers():
    rows = prepare(MESSAGES, np.arange(10.0).reshape(5, 2), NOBODY, ["a", "b"], 0)
    assert rows.y["train"].tolist() == [0, 1]
    assert rows.y["test"].tolist() == [1]
    assert rows.X["test"].tolist() == [[8.0, 9.0]]
    assert rows.J["train"].shape[0] == rows.views.n_classes == 2
    assert not rows.looked.any()


def test_decisions_change_training_rows_only_and_what_was_filed_is_kept():
    vectors = np.arange(10.0).reshape(5, 2)
    messages = MESSAGES.assign(
        label=["a", "b", "a", "oos", "b"], split=["train"] * 3 + ["test"] * 2
    )
    looked = pd.DataFrame({"id": ["3", "5"], "label": ["b", "b"], "filed": ["a", "a"]})
    rows = prepare(messages, vectors, looked, ["a", "b"], 0)
    assert rows.y["train"].tolist() == [0, 1, 1]
    assert rows.y_filed.tolist() == [0, 1, 0]
    assert rows.looked.tolist() == [False, False, True]
    assert rows.y["test"].tolist() == [1]
    assert rows.judged["test"].to_numpy().tolist() == [["5", "parcel again", "b", "a", True]]
    assert rows.judged["validation"].empty


def test_rows_to_judge_say_what_was_filed_and_who_looked():
    rows = prepare(MESSAGES, np.arange(10.0).reshape(5, 2), NOBODY, ["a", "b"], 0)
    columns = ["id", "text", "label", "filed", "looked"]
    assert rows.judged["validation"].columns.tolist() == columns
    assert rows.judged["validation"].to_numpy().tolist() == [["3", "my parcel", "a", "a", False]]
    assert rows.judged["test"]["id"].tolist() == ["5"]


def test_what_people_decided_is_applied_to_training_rows_only():
    train = pd.DataFrame({"id": ["1", "2", "3"], "label": ["a", "b", "b"]}, index=[4, 7, 9])
    looked = pd.DataFrame({"id": ["2", "3", "99"], "label": ["c", "b", "a"]})
    changed, seen, strange = reviewed(train, looked, ["a", "b", "c"])
    assert changed["label"].tolist() == ["a", "c", "b"]
    assert seen.tolist() == [False, True, True]
    assert not strange.any()
    nobody = reviewed(train, looked.head(0), ["a", "b", "c"])
    assert nobody[0]["label"].tolist() == ["a", "b", "b"]
    for label in ("b", "oos"):
        with pytest.raises(UserError, match="no training row of class 'a'"):
            reviewed(train, pd.DataFrame({"id": ["1"], "label": [label]}), ["a", "b"])


def test_a_row_that_fits_no_class_keeps_its_label_and_counts_as_wrong():
    messages = MESSAGES.assign(
        label=["a", "b", "b", "oos", "b"], split=["train"] * 3 + ["test"] * 2
    )
    looked = pd.DataFrame({"id": ["2", "3"], "label": ["oos", "b"], "filed": ["b", "b"]})
    rows = prepare(messages, np.arange(10.0).reshape(5, 2), looked, ["a", "b"], 0)
    assert rows.y["train"].tolist() == rows.y_filed.tolist() == [0, 1, 1]
    assert rows.y["test"].tolist() == [1]
    assert rows.looks.rows.tolist() == [False, True, True]
    assert rows.looks.strange.tolist() == rows.looks.wrong.tolist() == [False, True, False]
