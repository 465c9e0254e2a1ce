"""The scores by hand, and what each sees that the others do not."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy import doubt

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.4, 0.4, 0.2]])
Y = np.array([0, 2, 1])


def test_scores_by_hand():
    np.testing.assert_allclose(doubt.given(P, Y), [0.7, 0.3, 0.4])
    np.testing.assert_allclose(doubt.best_other(P, Y), [0.2, 0.6, 0.4])
    np.testing.assert_allclose(doubt.margin(P, Y), [0.75, 0.35, 0.5])
    np.testing.assert_allclose(doubt.log_ratio(P, Y), [7 / 9, 1 / 3, 1 / 2])


def test_every_score_lies_between_zero_and_one():
    generator = np.random.default_rng(0)
    p, y = generator.dirichlet([0.1] * 5, 300), generator.integers(0, 5, 300)
    for score in (doubt.margin, doubt.log_ratio, doubt.posterior):
        assert score(p, y).min() >= 0
        assert score(p, y).max() <= 1


def test_the_posterior_learns_which_class_is_filed_under_which():
    # Class 0 is filed under 1 in a third of its rows and under 2 never: the same probabilities
    # cast more doubt on a label 1 than on a label 2.
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 900)
    p = np.full((900, 3), 0.1)
    p[np.arange(900), truth] = 0.8
    y = np.where((truth == 0) & (generator.random(900) < 1 / 3), 1, truth)
    p[:2], y[:2] = [0.5, 0.25, 0.25], [1, 2]
    score = doubt.posterior(p, y)
    assert score[0] < score[1]
    wrong = y != truth
    assert (score[2:][wrong[2:]] < doubt.DOUBT).all()
    assert (score[2:][~wrong[2:]] >= doubt.DOUBT).all()


def test_right_labels_are_not_doubted_and_shuffled_ones_are():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, 400)
    p = np.full((400, 4), 0.02)
    p[np.arange(400), truth] = 0.94
    assert doubt.posterior(p, truth).min() == pytest.approx(1, abs=0.01)
    y = truth.copy()
    y[:100] = (truth[:100] + generator.integers(1, 4, 100)) % 4
    assert doubt.posterior(p, y)[:100].max() < 0.1


def test_a_consensus_is_a_mean_of_odds():
    """Odds of 9, 1 and 1/9 to one; certainty is finite, so that it can be outvoted."""
    scores = [np.array([0.9, 0.5, 0.0]), np.array([0.9, 0.1, 0.9])]
    found = doubt.consensus(scores)
    np.testing.assert_allclose(found[:2], [0.9, 0.25])
    assert 0 < found[2] < 0.01
    np.testing.assert_allclose(doubt.consensus([scores[0]] * 3)[:2], scores[0][:2])
