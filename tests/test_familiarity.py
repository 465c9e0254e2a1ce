"""Familiarity: by hand, and what is far from all training rows is unfamiliar."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from roadworthy import familiarity


def test_energy_by_hand():
    logits = np.array([[0.0, 0.0], [np.log(3), np.log(5)]])
    np.testing.assert_allclose(familiarity.energy(logits), [np.log(2), np.log(8)])


def test_nearness_is_the_cosine_with_the_kth_neighbour():
    train = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    vectors = np.array([[1.0, 0.0], [0.0, -1.0]])
    np.testing.assert_allclose(familiarity.nearness(vectors, train, 1), [1.0, 0.0])
    np.testing.assert_allclose(familiarity.nearness(vectors, train, 2), [0.8, -0.6])
    np.testing.assert_allclose(familiarity.nearness(vectors, train, 99), [0.0, -1.0])
    assert len(familiarity.nearness(vectors[:0], train)) == 0


def test_strange_rows_are_less_familiar_whatever_the_block():
    generator = np.random.default_rng(0)
    train = generator.normal(size=(60, 5)) + np.array([4, 0, 0, 0, 0])
    train /= np.linalg.norm(train, axis=1, keepdims=True)
    inside, outside = train[:20], -train[:20]
    ids = pd.Series([f"m{n}" for n in range(40)])
    vectors = np.vstack([inside, outside])
    frame = familiarity.frame(ids, 20 * vectors[:, :2], vectors, train, train[:0])
    assert list(frame.columns) == ["id", "energy", "nearness"]
    assert frame["nearness"][:20].min() > frame["nearness"][20:].max()
    assert frame["energy"][:20].mean() > frame["energy"][20:].mean()
    one = familiarity.nearness(np.repeat(vectors, 60, axis=0), train)
    assert one[::60] == pytest.approx(frame["nearness"].to_numpy())


def test_contrast_tells_strangers_that_lie_among_known_rows():
    generator = np.random.default_rng(0)

    def around(*centre: float) -> np.ndarray:
        rows = np.array(centre) + 0.1 * generator.normal(size=(30, 3))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    train, strangers = np.vstack([around(1, 0, 0), around(0, 1, 0)]), around(1, 0.5, 0)
    inside, outside = around(1, 0, 0), around(1, 0.5, 0)
    ids, vectors = pd.Series(range(60)), np.vstack([inside, outside])
    frame = familiarity.frame(ids, vectors, vectors, train, strangers)
    assert list(frame.columns) == ["id", "energy", "nearness", "contrast"]
    assert frame["contrast"][:30].min() > 0 > frame["contrast"][30:].max()
    by_hand = familiarity.contrast(vectors[:1], vectors[:3], vectors[:1])
    assert by_hand == pytest.approx(min(vectors[:3] @ vectors[0]) - 1)
