"""Injected noise is of its kind and rate."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy.corruption import KINDS, corrupt


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_rate_and_its_shape(noise_sample, kind):
    _, y, p = noise_sample
    noisy = corrupt(y, p, kind, 0.2, seed=1)
    wrong = noisy != y
    assert wrong.sum() == 60
    assert (corrupt(y, p, kind, 0.2, seed=1) == noisy).all()
    likeliest = np.where(np.eye(5, dtype=bool)[y], -1, p).argmax(axis=1)
    own = p[np.arange(300), y]
    if kind == "pair":
        assert (noisy[wrong] == (y[wrong] + 1) % 5).all()
    if kind == "instance":
        assert (noisy[wrong] == likeliest[wrong]).all()
        assert own[wrong].mean() < own[~wrong].mean() - 0.1
    if kind == "uniform":
        assert len(set(zip(y[wrong].tolist(), noisy[wrong].tolist(), strict=True))) > 10


def test_confusion_goes_where_the_class_is_confused():
    y = np.repeat([0, 1, 2], 200)
    p = np.eye(3)[y] * 0.7 + np.array([[0, 0.29, 0.01], [0.15, 0, 0.15], [0.01, 0.29, 0]])[y]
    noisy = corrupt(y, p, "confusion", 0.5, seed=0)
    wrong = noisy != y
    assert (noisy[wrong & (y == 0)] == 1).mean() > 0.9
    assert 0.3 < (noisy[wrong & (y == 1)] == 0).mean() < 0.7
