"""Agreement: the known values, ties, and who errs how."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from roadworthy import agreement

# Krippendorff (2011), section C: nominal data, four observers, twelve units, some values missing.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def votes(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "annotator", "label"])


def test_alpha_of_the_published_example():
    rows = [
        (f"u{unit:02d}", f"o{observer}", str(value))
        for observer, line in enumerate(OBSERVERS)
        for unit, value in enumerate(line)
        if value is not None
    ]
    table = agreement.counts(votes(rows)).to_numpy()
    assert agreement.alpha(table) == pytest.approx(0.743, abs=0.001)
    low, high = agreement.alpha_interval(table, 100, 0)
    assert low < 0.743 < high


def test_perfect_agreement_chance_and_too_little_to_say():
    assert agreement.alpha(np.array([[3, 0], [0, 3]])) == 1
    generator = np.random.default_rng(0)
    random = np.stack([generator.multinomial(3, [0.5, 0.5]) for _ in range(3000)])
    assert agreement.alpha(random) == pytest.approx(0, abs=0.03)
    assert np.isnan(agreement.alpha(np.array([[1, 0], [0, 1]])))


def test_the_majority_rules_and_a_tie_says_nothing():
    rows = [("a", "1", "x"), ("a", "2", "x"), ("a", "3", "y"), ("b", "1", "x"), ("b", "2", "y")]
    assert agreement.consensus(votes(rows)).to_dict() == {"a": "x"}


def test_errors_by_annotator_with_the_habit_named():
    rows = [(f"m{n}", "ann", "track" if n < 3 else "slot") for n in range(10)]
    rows += [(f"m{n}", "bob", "slot") for n in range(10)]
    truth = pd.Series({f"m{n}": "slot" for n in range(9)})
    table = agreement.errors(votes(rows), truth)
    assert table["rows"].to_dict() == {"ann": 9, "bob": 9}
    assert table["error"].to_dict() == {"ann": pytest.approx(3 / 9), "bob": 0}
    assert table.loc["ann", "mostly"] == "slot → track (3)"
    assert table.loc["bob", "low"] == pytest.approx(0, abs=1e-9)
    assert 0 < table.loc["bob", "high"] < 0.4


def test_measure_with_everything_and_with_nothing():
    rows = [(f"m{n}", who, "x" if n or who == "1" else "y") for n in range(8) for who in "123"]
    messages = pd.DataFrame({"id": [f"m{n}" for n in range(8)], "label": ["x"] * 8})
    gold = pd.Series({f"m{n}": "x" for n in range(8)})
    filed = pd.Series({f"m{n}": "agent" for n in range(8)})
    found = agreement.measure(votes(rows), filed, messages, gold, 0)
    assert found.messages == 8
    assert found.unanimous == pytest.approx(7 / 8)
    assert found.consensus_right == pytest.approx(7 / 8)
    assert set(found.errors.index) == {
        ("filed", "agent"),
        ("read", "1"),
        ("read", "2"),
        ("read", "3"),
    }
    assert "errors" not in found.record()
    unverified = agreement.measure(votes(rows), filed, messages, None, 0)
    assert np.isnan(unverified.consensus_right)
    assert unverified.errors.empty
    nothing = agreement.measure(None, None, messages, None, 0)
    assert nothing.messages == 0
    assert np.isnan(nothing.alpha)
    assert nothing.errors.empty


def test_everyone_has_a_voice_those_on_file_included():
    messages = pd.DataFrame({"id": ["1", "2"], "label": ["a", "b"], "text": "t"})
    more = votes([("1", "r1", "b")])
    both = agreement.everyone(more, pd.Series({"1": "x", "2": "y"}), messages)
    assert both.to_dict("list") == {
        "id": ["1", "2", "1"], "annotator": ["x", "y", "r1"], "label": ["a", "b", "b"]
    }  # fmt: skip
    twice = agreement.everyone(more, pd.Series({"1": "r1", "2": "y"}), messages)
    assert twice["label"].tolist() == ["b", "b"]  # what was read later counts
    assert agreement.everyone(None, None, messages)["annotator"].tolist() == ["filed", "filed"]
