"""Behavioural tests: a model that behaves passes them, one that is broken does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from roadworthy import behaviour, checklist

LABELS = ["refund", "track"]
BLANK = dict.fromkeys(checklist.COLUMNS, "") | {"texts": []}
TEXTS = pd.Series(["Where is my parcel?", "Money back, please!", "parcel lost", "Refund me now."])
TESTS = pd.DataFrame(
    [
        BLANK | {"name": "lower", "kind": "invariance", "change": "lower", "at_most": 0.1},
        BLANK | {"name": "polite", "kind": "invariance", "after": " Thanks!", "at_most": 0.1},
        BLANK
        | {
            "name": "asks_for_money",
            "kind": "direction",
            "label": "refund",
            "after": " I want my money back.",
            "at_most": 0.1,
        },
        BLANK
        | {
            "name": "plain_track",
            "kind": "minimum",
            "label": "track",
            "texts": ["where is it, my parcel", "the parcel has not come"],
            "at_most": 0.0,
        },
    ]
)


def sound(texts: list[str]) -> np.ndarray:
    """Counts words of either label, whatever their case."""
    votes = [[sum(w in t.lower() for w in words) for words in WORDS] for t in texts]
    p = np.exp(np.array(votes, dtype=float))
    return p / p.sum(axis=1, keepdims=True)


WORDS = (("money", "refund"), ("parcel", "where"))


def broken(texts: list[str]) -> np.ndarray:
    """Goes by capitals and exclamation marks."""
    loud = np.array([any(c.isupper() or c == "!" for c in t) for t in texts], dtype=float)
    return np.stack([0.1 + 0.8 * loud, 0.9 - 0.8 * loud], axis=1)


def run(predict) -> pd.DataFrame:
    cases = behaviour.cases(TESTS, TEXTS, 10, seed=0)
    return behaviour.judge(TESTS, behaviour.answers(cases, LABELS, predict)).set_index("test")


def test_a_sound_model_passes():
    table = run(sound)
    assert table["passed"].all()
    assert (table["failures"] == 0).all()
    assert table.loc["lower", "cases"] == 3  # one text is lower case already: it makes no case
    assert behaviour.record(table.reset_index()) == {
        "tests": 4, "cases": 3 + 4 + 4 + 2, "failed": 0, "failing": []
    }  # fmt: skip


def test_a_broken_model_fails():
    table = run(broken)
    assert not table.loc["lower", "passed"]
    assert not table.loc["polite", "passed"]
    assert table.loc["lower", "low"] <= table.loc["lower", "share"] <= table.loc["lower", "high"]
    assert behaviour.record(table.reset_index())["failed"] >= 2
    cases = behaviour.cases(TESTS, TEXTS, 10, seed=0)
    shown = behaviour.failing(behaviour.answers(cases, LABELS, broken), most=1)
    assert shown["test"].is_unique
    assert set(shown["text"]) <= set(cases["text"])
    assert (shown["said"] != shown["was"]).any()


def test_each_kind_has_a_model_that_it_alone_catches():
    def never_refund(texts):
        return np.tile([0.2, 0.8], (len(texts), 1))

    def money_means_track(texts):
        money = np.array([t.lower().count("money") for t in texts])
        return np.stack([0.6 - 0.2 * money, 0.4 + 0.2 * money], axis=1)

    def always_refund(texts):
        return np.tile([0.9, 0.1], (len(texts), 1))

    assert run(never_refund)["passed"].all()  # says track, steadily: only a score shows it
    assert not run(money_means_track).loc["asks_for_money", "passed"]
    assert run(always_refund)["passed"].tolist() == [True, True, True, False]


def test_data_without_tests_gets_those_built_in():
    assert behaviour.of(TESTS) is TESTS
    tests = behaviour.of(TESTS.head(0))
    assert set(tests["name"]) == set(checklist.CHANGES)
    cases = behaviour.cases(tests, TEXTS, 10, seed=0)
    assert set(cases["test"]) == set(tests["name"])


def test_a_test_without_a_case_has_not_passed():
    only = TESTS.head(1)
    cases = behaviour.cases(only, pd.Series(["lower case"]), 10, seed=0)
    table = behaviour.judge(only, behaviour.answers(cases, LABELS, sound))
    assert table["cases"].tolist() == [0]
    assert not table["passed"].any()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_rows_drawn_depend_on_the_seed_alone(seed: int):
    one, two = (behaviour.cases(TESTS, TEXTS, 2, seed) for _ in range(2))
    assert one.equals(two)
    assert one.loc[one["test"] == "polite", "original"].nunique() == 2
