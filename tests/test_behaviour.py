"""Behavioural tests: a model that behaves passes them, one that is broken does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.feature_extraction.text import TfidfVectorizer

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


HOME = Path(__file__).resolve().parents[1] / "data" / "helpdesk"
Predict = Callable[[list[str]], np.ndarray]


class Helpdesk:
    """The shipped checklist, 100 messages that it changes, and a model of the other messages."""

    def __init__(self) -> None:
        self.tests = checklist.table(yaml.safe_load((HOME / "behaviour.yaml").read_text()))
        rows = pd.read_csv(HOME / "messages.csv", dtype=str, keep_default_na=False)
        rows = rows[rows["label"].isin(set(self.tests["label"]) - {""})]
        held = rows.sample(100, random_state=0)
        self.train = rows.drop(held.index)
        self.labels = sorted(rows["label"].unique())
        self.cases = behaviour.cases(self.tests, held["text"], 100, seed=0)
        self.sound = self.centroids(lowercase=True)

    def centroids(self, lowercase: bool) -> Predict:
        """The class whose mean of TF-IDF vectors is nearest: learnt in a second, not bad at all."""
        terms = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, min_df=2, lowercase=lowercase
        )
        X = terms.fit_transform(self.train["text"])
        means = [
            np.asarray(X[(self.train["label"] == label).to_numpy()].mean(axis=0))[0]
            for label in self.labels
        ]
        C = np.stack([mean / np.linalg.norm(mean) for mean in means])

        def predict(texts: list[str]) -> np.ndarray:
            p = np.exp(16 * (terms.transform(texts) @ C.T))
            return p / p.sum(axis=1, keepdims=True)

        return predict

    def always(self, label: str) -> Predict:
        row = np.full(len(self.labels), 0.5 / len(self.labels))
        row[self.labels.index(label)] += 0.5
        return lambda texts: np.tile(row, (len(texts), 1))

    def by_word(self, place: int) -> Predict:
        """Shares of the labels of the training messages with this word at that place."""
        prior = self.train["label"].value_counts(normalize=True)[self.labels].to_numpy()

        def word(text: str) -> str:
            return (text.split() or [""])[place]

        words = self.train["text"].map(word)
        table = pd.crosstab(words, self.train["label"]).reindex(columns=self.labels, fill_value=0)
        known = dict(zip(table.index, table.to_numpy(), strict=True))

        def predict(texts: list[str]) -> np.ndarray:
            p = np.array([known.get(word(text), 0) + prior for text in texts])
            return p / p.sum(axis=1, keepdims=True)

        return predict

    def swapped(self, one: str, other: str) -> Predict:
        """As if the two columns had changed places somewhere on the way."""
        order = list(range(len(self.labels)))
        a, b = self.labels.index(one), self.labels.index(other)
        order[a], order[b] = b, a
        return lambda texts: self.sound(texts)[:, order]

    def spelling(self) -> Predict:
        """Lost as soon as it meets a word that it has not learnt."""
        every = set(re.findall(r"\w+", " ".join(self.train["text"]).lower()))
        lost = self.always("wrong_item")

        def predict(texts: list[str]) -> np.ndarray:
            new = [bool(set(re.findall(r"\w+", text.lower())) - every) for text in texts]
            return np.where(np.array(new)[:, None], lost(texts), self.sound(texts))

        return predict

    def failing(self, predict: Predict) -> set[str]:
        """Names of the tests that a model does not pass."""
        answered = behaviour.answers(self.cases, self.labels, predict)
        return set(behaviour.record(behaviour.judge(self.tests, answered))["failing"])


@pytest.fixture(scope="module")
def helpdesk() -> Helpdesk:
    return Helpdesk()


def kinds(helpdesk: Helpdesk, names: set[str]) -> set[str]:
    tests = helpdesk.tests.set_index("name")
    return set(tests.loc[sorted(names), "kind"])


def test_a_simple_model_passes_most_of_the_shipped_tests(helpdesk: Helpdesk):
    """What any model must be able to do; so what fails below fails for the defect put in."""
    failing = helpdesk.failing(helpdesk.sound)
    assert len(failing) <= 2
    assert kinds(helpdesk, failing) <= {"invariance"}


def test_the_shipped_tests_catch_a_model_with_one_answer(helpdesk: Helpdesk):
    failing = helpdesk.failing(helpdesk.always("complaint"))
    plain = set(helpdesk.tests.loc[helpdesk.tests["kind"] == "minimum", "name"])
    assert failing == plain - {"plain_complaint"}


def test_the_shipped_tests_catch_a_model_that_reads_the_first_word(helpdesk: Helpdesk):
    failing = helpdesk.failing(helpdesk.by_word(0))
    assert failing >= {
        "withstands_lower_case",
        "withstands_upper_case",
        "withstands_greeting",
        "withstands_chat_prefix",
    }
    assert not failing & {"withstands_thanks", "withstands_phone_signature"}
    assert kinds(helpdesk, failing) == set(behaviour.KINDS)


def test_the_shipped_tests_catch_a_model_that_reads_the_last_word(helpdesk: Helpdesk):
    failing = helpdesk.failing(helpdesk.by_word(-1))
    assert failing >= {"withstands_thanks", "withstands_phone_signature"}
    assert not failing & {"withstands_greeting", "withstands_chat_prefix"}


def test_the_shipped_tests_catch_two_classes_that_changed_places(helpdesk: Helpdesk):
    failing = helpdesk.failing(helpdesk.swapped("refund_request", "track_order"))
    assert failing - helpdesk.failing(helpdesk.sound) == {
        "plain_refund_request",
        "plain_track_order",
        "asking_for_money_back_raises_refund_request",
        "asking_where_it_is_raises_track_order",
    }


def test_the_shipped_tests_catch_what_goes_by_capitals_or_spelling(helpdesk: Helpdesk):
    assert "withstands_upper_case" in helpdesk.failing(helpdesk.centroids(lowercase=False))
    failing = helpdesk.failing(helpdesk.spelling())
    assert "withstands_typo" in failing
    assert "withstands_upper_case" not in failing
