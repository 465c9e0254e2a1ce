"""Injected noise is of its kind and rate, and the table says what the cells say."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy import label_noise
from roadworthy.config import compose, parse
from roadworthy.detectors import Views
from roadworthy.settings import Clean


@pytest.fixture(scope="module")
def sample():
    """Five classes, 60 rows each: vectors, labels, what a model finds likely."""
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(5), 60)
    X = np.eye(5)[y] * 2 + generator.normal(size=(300, 5)) * 0.6
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    p = np.exp(4 * X)
    return X, y, p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", label_noise.KINDS)
def test_each_kind_has_its_rate_and_its_shape(sample, kind):
    _, y, p = sample
    noisy = label_noise.corrupt(y, p, kind, 0.2, seed=1)
    wrong = noisy != y
    assert wrong.sum() == 60
    assert (label_noise.corrupt(y, p, kind, 0.2, seed=1) == noisy).all()
    likeliest = np.where(np.eye(5, dtype=bool)[y], -1, p).argmax(axis=1)
    if kind == "pair":
        assert (noisy[wrong] == (y[wrong] + 1) % 5).all()
    if kind in ("confusion", "instance"):
        assert (noisy[wrong] == likeliest[wrong]).all()
    if kind == "instance":
        own = p[np.arange(300), y]
        assert own[wrong].mean() < own[~wrong].mean() - 0.1
    if kind == "uniform":
        assert len(set(zip(y[wrong].tolist(), noisy[wrong].tolist(), strict=True))) > 10


def test_a_cell_measures_detectors_and_recovery_and_the_table_shows_it(sample):
    X, y, p = sample
    noisy = label_noise.corrupt(y, p, "pair", 0.2, seed=0)
    views = Views(X, X, np.arange(300), 5)
    cell = label_noise.measure(views, X, (y, y), noisy, Clean(folds=3, rounds=1), seed=0)
    assert cell["base_rate"] == pytest.approx(0.2)
    assert cell["average_precision"][cell["chosen"]] > 0.8
    assert cell["flag_precision"] > 0.7
    assert 0.3 < cell["recall_at_budget"] <= 0.5
    assert cell["accuracy"]["clean"] >= cell["accuracy"]["noisy"]
    rows = [cell | {"kind": "pair", "rate": 0.2, "draw": n} for n in range(3)]
    text = label_noise.table(rows, parse(compose(["data=banking77"])))
    assert "| pair | 20 % | 3 |" in text
    assert text.count("\n| ") == 3
    assert "data=banking77" in text
