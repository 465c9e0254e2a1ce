"""Explanations: the neighbours by hand, and the word that decides is the one that is named."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from roadworthy import explain
from roadworthy.errors import UserError
from roadworthy.service import AUTOMATED, UNLIKE, UNSURE, Service

ROWS = pd.DataFrame({"text": ["one", "two", "three"], "label": ["a", "b", "a"], "more": 1})


def test_the_nearest_messages_come_first():
    train = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    table = explain.nearest(np.array([0.6, 0.8]), train, ROWS, 2)
    assert table["text"].tolist() == ["three", "two"]
    np.testing.assert_allclose(table["cosine"], [0.96, 0.8])
    assert list(table.columns) == ["text", "label", "cosine"]


def predict(texts: list[str]) -> np.ndarray:
    refund = np.array([0.9 if "refund" in text else 0.2 for text in texts])
    return np.stack([refund, 1 - refund], axis=1)


def test_the_word_that_decides_is_named_and_the_parts_are_the_text():
    text = "  I want a refund,  please"
    parts = explain.attributions(text, predict, 0)
    assert "".join(part for part, _ in parts) == text
    score = {part.strip(): value for part, value in parts}
    assert score["refund,"] == np.float64(0.7)
    assert score["please"] == 0
    against = {part.strip(): value for part, value in explain.attributions(text, predict, 1)}
    assert against["refund,"] < 0


def test_short_and_long_texts():
    assert explain.attributions("refund", predict, 0) == [("refund", 0.0)]
    assert explain.attributions("", predict, 0) == []
    asked: list[str] = []
    long = "word " * 200 + "refund"

    def counted(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return predict(texts)

    parts = explain.attributions(long, counted, 0)
    assert len(parts) == 201
    assert len(asked) == explain.WORDS + 1


class Model:
    """Network and pool in one: sure of a refund where the word is."""

    labels = ("refund", "track")

    def vectors(self, texts: list[str]) -> np.ndarray:
        return np.array([[1.0, 0.0] if "refund" in text else [0.0, 1.0] for text in texts])

    def head(self, vectors: np.ndarray) -> np.ndarray:
        return np.log(np.where(vectors > 0, 0.9, 0.1))

    def pooled(self, _: list[str], logits: np.ndarray) -> np.ndarray:
        return logits

    def predict_proba(self, texts: list[str]) -> np.ndarray:
        return np.exp(self.head(self.vectors(texts)))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trained model that decides from 0.8 on, and what it has learnt from."""
    fitted = {"temperature": 1.0, "lapse": 0.0, "threshold": 0.8, "guard": None}
    rows = pd.DataFrame(
        {
            "text": ["money back\x1b[2J, order 123456", "where is it", "a refund\u202e"],
            "label": ["refund", "track", "refund"],
        }
    )
    vectors = np.array([[0.8, 0.6], [0.0, 1.0], [1.0, 0.0]])
    monkeypatch.setattr(explain.service, "load", lambda: Service(Model(), Model(), fitted, None))
    monkeypatch.setattr(explain.embeddings, "read_tuned", lambda: (rows, vectors))


@pytest.mark.usefixtures("served")
def test_one_message_is_decided_and_explained():
    assert explain.run(" I want a refund ").splitlines() == [
        "refund: routed without a person (confidence 0.9000, 0.8000 is needed)",
        "",
        "Nearest training messages, by the cosine of their vectors:",
        "  1.00  refund: a refund",
        "  0.80  refund: money back [2J, order <number>",
        "  0.00  track: where is it",
        "",
        "What leaving a word out takes from the probability of refund, before calibration:",
        "  +0.000  I",
        "  +0.000  want",
        "  +0.000  a",
        "  +0.800  refund",
    ]


@pytest.mark.usefixtures("served")
def test_hostile_text_cannot_steer_the_terminal():
    said = explain.run("refund \x1b]0;pwned\x07 \u200b www.mail.example " + "x" * 500)
    assert all(one.isprintable() or one == "\n" for one in said)
    assert "  +0.000  (invisible)\n" in said
    assert "  +0.000  <link>\n" in said
    assert max(map(len, said.splitlines())) < 120


@pytest.mark.usefixtures("served")
def test_one_word_and_very_many():
    assert explain.run("refund").endswith("\n  nothing: it is the only word")
    said = explain.run("refund " * 100)
    assert said.endswith("\n  the 20 words after these were not tried")
    assert said.count("  +0.000  refund") == explain.WORDS


@pytest.mark.parametrize("text", ["", " \n "])
def test_no_message_is_a_user_error(text: str):
    with pytest.raises(UserError, match="the message is empty: give its text in quotes"):
        explain.run(text)


def test_bytes_that_are_no_text_are_a_user_error():
    with pytest.raises(UserError, match="no UTF-8"):
        explain.run(os.fsdecode(b"caf\xe9"))


def test_no_model_yet_is_a_user_error(project):
    with pytest.raises(UserError, match=r"artifacts/\S+ is missing: run `dvc repro"):
        explain.run("where is my parcel?")


@pytest.mark.parametrize(
    ("decision", "threshold", "words"),
    [
        (AUTOMATED, 0.8, "routed without a person (confidence 0.9000, 0.8000 is needed)"),
        (UNSURE, 0.95, "shown to a person first (confidence 0.9000, 0.9500 is needed)"),
        (UNSURE, None, "first (confidence 0.9000, no confidence keeps the accepted error rate)"),
        (UNLIKE, 0.8, "it looks like none of the known intents (confidence 0.9000)"),
    ],
)
def test_why_a_message_is_automated_or_not(decision: str, threshold: float | None, words: str):
    decided = pd.Series({"confidence": 0.9, "decision": decision})
    assert explain.action(decided, threshold).endswith(words)
