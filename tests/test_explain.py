"""Explanations: the neighbours by hand, and the word that decides is the one that is named."""

from __future__ import annotations

import numpy as np
import pandas as pd

from roadworthy import explain

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
