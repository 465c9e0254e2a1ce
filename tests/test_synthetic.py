"""The gate for synthetic rows: useful ones get in, harmful ones do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from roadworthy import synthetic
from roadworthy.rows import Rows
from roadworthy.settings import Clean

SETTINGS, LABELS = Clean(folds=3, resamples=200), ["a", "b", "c"]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Three classes that overlap, ten training rows each: more rows would help."""
    generator = np.random.default_rng(0)
    y = {"train": np.repeat([0, 1, 2], 10), "validation": np.repeat([0, 1, 2], 60)}
    y["test"] = y["validation"]
    X = {name: drawn(generator, part) for name, part in y.items()}
    names = np.array(LABELS)[y["train"]]
    frame = pd.DataFrame({"id": range(30), "text": "t", "label": names, "cluster": range(30)})
    return Rows(frame, frame, np.zeros(30, dtype=bool), LABELS, X, X, y)


def drawn(generator: np.random.Generator, y: np.ndarray) -> np.ndarray:
    return np.eye(3, 20)[y] + generator.normal(size=(len(y), 20)) * 0.45


def offered(y: np.ndarray, near: bool = False) -> pd.DataFrame:
    return pd.DataFrame({"label": np.array(LABELS)[y], "near_real": near})


def judge(rows: Rows, made: pd.DataFrame, vectors: np.ndarray) -> synthetic.Gate:
    treated = (rows.y["train"], np.ones(30))
    return synthetic.judge(rows, treated, made, vectors, SETTINGS, 0)


def test_rows_that_help_are_let_in(rows):
    y = np.repeat([0, 1, 2], 60)
    gate = judge(rows, offered(y), drawn(np.random.default_rng(5), y))
    assert gate.admitted
    assert gate.change > 0.03
    assert gate.low <= gate.change <= gate.high
    assert gate.held_out == 30 + 180


def test_rows_with_wrong_labels_are_kept_out(rows):
    """The negative control: the same messages, filed under the next class."""
    y = np.repeat([0, 1, 2], 60)
    gate = judge(rows, offered((y + 1) % 3), drawn(np.random.default_rng(5), y))
    assert not gate.admitted
    assert gate.high < 0
    assert gate.record()["admitted"] is False


def test_near_copies_of_real_messages_teach_nothing_and_none_opens_no_gate(rows):
    y = np.repeat([0, 1, 2], 60)
    gate = judge(rows, offered(y, near=True), drawn(np.random.default_rng(5), y))
    assert (gate.near_real, gate.held_out, gate.admitted) == (180, 0, False)
    assert not judge(rows, offered(y[:0]), np.zeros((0, 20))).admitted
