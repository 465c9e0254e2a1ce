"""The demo's router: what it says, and that hostile text stays text."""

import numpy as np
import pandas as pd

from roadworthy import store
from roadworthy.demo import LIMIT, explainer, introduction, router
from roadworthy.drafts import DRAFT
from roadworthy.service import Service


class Fixed:
    """Always the same probabilities; network and model in one, remembers what it was asked."""

    def __init__(self, labels, probabilities):
        self.labels, self.logits, self.asked = labels, np.log([probabilities]), []

    def vectors(self, texts):
        self.asked += texts
        return np.array([["weather" in text] for text in texts], dtype=float)

    def head(self, vectors):
        return np.repeat(self.logits, len(vectors), axis=0)

    def pooled(self, texts, logits):
        return logits


def routed(model, threshold, temperature=1.0, unlike=None):
    fitted = {"threshold": threshold, "temperature": temperature, "lapse": 0.0, "guard": None}
    return router(Service(model, model, fitted, unlike))


def test_a_sure_message_is_routed_and_an_unsure_one_is_not():
    model = Fixed(["a", "b"], [0.9, 0.1])
    scores, said = routed(model, 0.8)("hello")
    assert "routed without a person" in said
    assert scores["a"] > 0.89
    assert "shown to a person" in routed(model, 0.95)("hello")[1]
    assert "no confidence keeps the accepted error rate" in routed(model, None)("hello")[1]


def test_temperature_softens():
    model = Fixed(["a", "b"], [0.9, 0.1])
    assert routed(model, None, 2.0)("x")[0]["a"] < routed(model, None)("x")[0]["a"]


def test_empty_and_over_long_messages():
    model = Fixed(["a", "b"], [0.9, 0.1])
    assert routed(model, 0.5)("  ") == ({}, "Type a message first.")
    routed(model, 0.5)("x" * (LIMIT + 10))
    assert len(model.asked[-1]) == LIMIT
    assert len(model.asked) == 1  # one pass a message


def test_a_label_cannot_inject_markup():
    _, said = routed(Fixed(["<script>", "b"], [0.9, 0.1]), 0.5)("hi")
    assert "<script>" not in said
    _, said = routed(Fixed(["![x](//elsewhere.example/p.png)", "b"], [0.9, 0.1]), 0.5)("hi")
    assert "![x](" not in said


class Words:
    """Refund if the word is there; as its own network, two-dimensional vectors to match."""

    def vectors(self, texts):
        return np.array([[1.0, 0.0] if "refund" in text else [0.0, 1.0] for text in texts])

    def predict_proba(self, texts):
        return np.array([[0.9, 0.1] if "refund" in text else [0.3, 0.7] for text in texts])


def test_the_page_says_which_words_and_which_messages_speak_for_the_label():
    rows = pd.DataFrame({"text": ["<b>money</b>", "parcel"], "label": ["refund", "track"]})
    model = Words()
    why = explainer(model, model, rows, np.eye(2))
    words, near = why("please refund me")
    assert [word for word, _ in words] == ["please ", "refund ", "me"]
    assert max(words, key=lambda one: one[1]) == ("refund ", 1.0)
    assert near[0] == ["<b>money</b>", "refund", "1.00"]
    assert why("  ") == ([], [])


def test_a_message_unlike_the_training_rows_is_never_routed():
    route = routed(Fixed(["a", "b"], [0.9, 0.1]), 0.5, unlike=lambda v, p: v[:, 0] > 0)
    assert "routed without a person" in route("hello")[1]
    said = route("the weather")[1]
    assert "shown to a person first, it looks like none of the known intents" in said
    assert "routed without a person" not in said


def test_the_introduction_says_verdict_share_and_errors_of_this_data_set(project, monkeypatch):
    monkeypatch.setenv(DRAFT, str(project))
    selective = {"target_risk": 0.05, "coverage": 0.5, "risk": 0.0712}
    scored = {"served": selective}
    store.write_metrics("evaluate", scored)
    store.write_metrics("readiness", {"dataset": "toy", "verdict": "no-go", "reasons": ["<b>risk"]})
    said = introduction("toy", 3)
    assert "**toy** (3 intents)" in said
    assert "**no-go** because of" in said
    assert "<b>" not in said
    assert "errors stay below 5.0%" in said
    assert "50.0%, 7.1% of them wrongly" in said
    store.write_metrics("evaluate", {"served": selective | {"coverage": 0.4, "risk": None}})
    assert "these are 40.0%. What" in introduction("toy", 3)
    assert "**not judged yet**" in introduction("mine", 3)
