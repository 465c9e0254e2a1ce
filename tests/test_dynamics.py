"""A head stopped in time knows the classes and not the errors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from roadworthy import dynamics
from roadworthy.doubt import margin


@pytest.fixture(scope="module")
def sample():
    """Four classes in 40 dimensions, a fifth of the labels wrong: room to memorise them."""
    generator = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 100)
    X = np.eye(4, 40)[truth] * 2 + generator.normal(size=(400, 40)) * 0.5
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = truth.copy()
    wrong = generator.choice(400, 80, replace=False)
    y[wrong] = (truth[wrong] + generator.integers(1, 4, 80)) % 4
    order = generator.permutation(400)
    return X, truth, y, order[:300], order[300:]


def test_rows_never_learnt_from_get_their_true_class(sample):
    X, truth, y, learnt, held = sample
    best, mean = dynamics.learn(X, y, learnt, held, 4, seed=0)
    assert (best[held].argmax(axis=1) == truth[held]).mean() > 0.9
    np.testing.assert_allclose(best.sum(axis=1), 1)
    np.testing.assert_allclose(mean.sum(axis=1), 1)


def test_the_course_of_training_tells_wrong_labels_from_right_ones(sample):
    X, truth, y, learnt, held = sample
    _, mean = dynamics.learn(X, y, learnt, held, 4, seed=0)
    score, wrong = margin(mean, y)[learnt], (y != truth)[learnt]
    assert average_precision_score(wrong, 1 - score) > 0.9


def test_the_seed_decides_and_nothing_else(sample):
    X, _, y, learnt, held = sample
    one, two, other = (dynamics.learn(X, y, learnt, held, 4, seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_without_held_out_rows_all_epochs_are_run(sample):
    X, _, y, learnt, held = sample
    stopped, _ = dynamics.learn(X, y, learnt, held, 4, seed=0)
    full, _ = dynamics.learn(X, y, learnt, held[:0], 4, seed=0)
    confident = [p[learnt].max(axis=1).mean() for p in (stopped, full)]
    assert confident[1] >= confident[0]
