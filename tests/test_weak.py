"""Labelling functions: who speaks, what they are worth by hand, and Dawid-Skene beats a tie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from roadworthy import weak
from roadworthy.rows import Rows

RULES = pd.DataFrame(
    [
        ("parcel", "track", r"\bparcel\b", ""),
        ("money", "refund", r"money|refund", r"no refund"),
        ("late", "track", "late", ""),
    ],
    columns=["name", "label", "pattern", "unless"],
)
TEXTS = pd.Series(
    ["Where is my PARCEL", "my money back", "no refund needed", "parcel late, refund?", "hello"]
)
LABELS = ["refund", "track"]


def test_rules_search_without_case_and_fall_silent_where_told():
    spoken = weak.fires(RULES, TEXTS)
    assert spoken.tolist() == [
        [True, False, False],
        [False, True, False],
        [False, False, False],
        [True, True, True],
        [False, False, False],
    ]
    assert weak.fires(RULES.head(0), TEXTS).shape == (5, 0)


def test_the_summary_by_hand():
    truth = pd.Series(["track", "refund", None, "track", None])
    table = weak.summary(RULES, weak.fires(RULES, TEXTS), truth).set_index("rule")
    assert table.loc["parcel", "coverage"] == pytest.approx(0.4)
    assert table.loc["parcel", "overlap"] == pytest.approx(0.2)
    assert table.loc["parcel", "conflict"] == pytest.approx(0.2)
    assert table.loc["late", "conflict"] == pytest.approx(0.2)
    assert table["accuracy"].tolist() == [1.0, 0.5, 1.0]
    assert table["verified"].tolist() == [2, 2, 1]
    assert table.loc["money", "low"] < 0.5 < table.loc["money", "high"]


def test_majority_by_hand():
    shares = weak.majority(RULES, weak.fires(RULES, TEXTS), LABELS)
    np.testing.assert_allclose(shares, [[0, 1], [1, 0], [0, 0], [1 / 3, 2 / 3], [0, 0]])


def noisy_rules(n: int = 600) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """One good rule for each class, and one for class b that speaks at random."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, n)
    good = [(truth == label) & (generator.random(n) < 0.8) for label in (0, 1)]
    spoken = np.stack([*good, generator.random(n) < 0.5], axis=1)
    rules = pd.DataFrame({"name": list("xyz"), "label": ["a", "b", "b"]})
    return rules, spoken, truth


def test_dawid_and_skene_learn_which_rule_to_trust_without_a_label():
    rules, spoken, truth = noisy_rules()
    on = spoken.any(axis=1)
    right = {
        made.__name__: (made(rules, spoken, ["a", "b"]).argmax(axis=1) == truth)[on].mean()
        for made in (weak.majority, weak.dawid_skene)
    }
    tie = spoken[:, 0] & spoken[:, 2]
    assert (weak.dawid_skene(rules, spoken, ["a", "b"])[tie].argmax(axis=1) == 0).all()
    assert right["dawid_skene"] >= right["majority"]
    assert right["dawid_skene"] > 0.8


def test_probabilities_are_given_where_a_rule_speaks_and_nowhere_else():
    rules, spoken, _ = noisy_rules()
    p = weak.dawid_skene(rules, spoken, ["a", "b"])
    np.testing.assert_allclose(p.sum(axis=1), spoken.any(axis=1).astype(float))
    assert weak.dawid_skene(rules, np.zeros((3, 3), dtype=bool), ["a", "b"]).sum() == 0


def sample_rows(y: np.ndarray) -> Rows:
    X = np.eye(2)[y] + np.random.default_rng(1).normal(size=(len(y), 2)) * 0.1
    frame = pd.DataFrame({"id": range(len(y)), "text": "t", "label": np.array(["a", "b"])[y]})
    parts = {"train": X, "validation": X, "test": X}
    same = dict.fromkeys(parts, y)
    return Rows(frame, frame, np.zeros(len(y), dtype=bool), ["a", "b"], parts, parts, same)


def test_labels_by_rules_are_held_against_those_on_file_and_the_truth():
    rules, spoken, truth = noisy_rules()
    rows = sample_rows(truth)
    table = weak.compare(rules, spoken, rows, pd.Series(np.array(["a", "b"])[truth]), 10.0)
    assert table.loc["on_file", "agree"] == table.loc["on_file", "accuracy"] == 1
    assert table.loc["dawid_skene", "accuracy"] >= table.loc["majority", "accuracy"]
    assert (table["covered"] == spoken.any(axis=1).sum()).all()
    assert table.loc["on_file", "validation"] > 0.95
    silent = weak.compare(rules, spoken & False, rows, pd.Series([None] * len(truth)), 10.0)
    assert silent["validation"].isna().all()
    assert (silent["covered"] == 0).all()


def test_without_rules_the_tables_are_empty_and_nothing_breaks():
    none, texts = RULES.head(0), pd.Series(["one", "two"])
    spoken = weak.fires(none, texts)
    assert weak.summary(none, spoken, pd.Series([None, None])).empty
    rows = sample_rows(np.array([0, 1]))
    table = weak.compare(none, spoken, rows, pd.Series([None, None]), 10.0)
    assert (table["covered"] == 0).all()
