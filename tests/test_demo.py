"""The demo's router: what it says, and that hostile text stays text."""

import numpy as np
import pandas as pd
import pytest

from roadworthy import store
from roadworthy.demo import LIMIT, explainer, fitted, introduction, router
from roadworthy.drafts import DRAFT
from roadworthy.errors import UserError


class Fixed:
    """Always the same probabilities; remembers what it was asked."""

    def __init__(self, labels, probabilities):
        self.labels, self.probabilities, self.asked = labels, np.array([probabilities]), []

    def predict_proba(self, texts):
        self.asked += texts
        return self.probabilities


def test_a_sure_message_is_routed_and_an_unsure_one_is_not():
    model = Fixed(["a", "b"], [0.9, 0.1])
    scores, said = router(0.8, 1.0, model)("hello")
    assert "routed without a person" in said
    assert scores["a"] > 0.89
    assert "shown to a person" in router(0.95, 1.0, model)("hello")[1]
    assert "shown to a person" in router(None, 1.0, model)("hello")[1]


def test_temperature_softens():
    model = Fixed(["a", "b"], [0.9, 0.1])
    assert router(None, 2.0, model)("x")[0]["a"] < router(None, 1.0, model)("x")[0]["a"]


def test_empty_and_over_long_messages():
    model = Fixed(["a", "b"], [0.9, 0.1])
    assert router(0.5, 1.0, model)("  ") == ({}, "Type a message first.")
    router(0.5, 1.0, model)("x" * (LIMIT + 10))
    assert len(model.asked[-1]) == LIMIT


def test_a_label_cannot_inject_markup():
    _, said = router(0.5, 1.0, Fixed(["<script>", "b"], [0.9, 0.1]))("hi")
    assert "<script>" not in said
    _, said = router(0.5, 1.0, Fixed(["![x](//elsewhere.example/p.png)", "b"], [0.9, 0.1]))("hi")
    assert "![x](" not in said


def test_a_calibration_of_another_model_is_refused(project, monkeypatch):
    monkeypatch.setenv(DRAFT, str(project))
    store.write_frame("finetune", "predictions/lora", pd.DataFrame({"id": ["a"], "p_x": [0.9]}))
    lora = {"temperature": 0.8, "threshold": 0.7, "guard": None}
    lora["predictions_sha256"] = store.frame_sha256("finetune", "predictions/lora")
    store.write_json("artifacts/evaluate/calibration.json", {"lora": lora})
    assert fitted() == lora
    store.write_frame("finetune", "predictions/lora", pd.DataFrame({"id": ["a"], "p_x": [0.8]}))
    with pytest.raises(UserError, match="another model than the one in artifacts/finetune: run `d"):
        fitted()
    del lora["predictions_sha256"]  # from before it was written down
    store.write_json("artifacts/evaluate/calibration.json", {"lora": lora})
    with pytest.raises(UserError, match="another model"):
        fitted()


class Words(Fixed):
    """Refund if the word is there; as its own network, two-dimensional vectors to match."""

    def vectors(self, texts):
        return np.array([[1.0, 0.0] if "refund" in text else [0.0, 1.0] for text in texts])

    def predict_proba(self, texts):
        return np.array([[0.9, 0.1] if "refund" in text else [0.3, 0.7] for text in texts])


def test_the_page_says_which_words_and_which_messages_speak_for_the_label():
    rows = pd.DataFrame({"text": ["<b>money</b>", "parcel"], "label": ["refund", "track"]})
    model = Words(["refund", "track"], [0, 0])
    why = explainer(model, model, rows, np.eye(2))
    words, near = why("please refund me")
    assert [word for word, _ in words] == ["please ", "refund ", "me"]
    assert max(words, key=lambda one: one[1]) == ("refund ", 1.0)
    assert near[0] == ["<b>money</b>", "refund", "1.00"]
    assert why("  ") == ([], [])


def test_a_message_unlike_the_training_rows_is_never_routed():
    model = Fixed(["a", "b"], [0.9, 0.1])
    route = router(0.5, 1.0, model, lambda text: "weather" in text)
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
