"""What people found at some rows, told of all: errors that no threshold finds are counted."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy.looks import ANCHORS, EITHER, calibrated, sample


@pytest.fixture(scope="module")
def hard():
    """Wrong labels stand low in the ranking, yet every score says that the label is right."""
    generator = np.random.default_rng(0)
    wrong = np.arange(1000) < 200
    logit = np.where(wrong, 1.0, 4.0) + generator.normal(size=1000) * 0.8
    return 1 / (1 + np.exp(-logit)), wrong


def looked_at(rows, n=1000):
    flags = np.zeros(n, dtype=bool)
    flags[rows] = True
    return flags


def test_a_sample_is_spread_evenly_over_the_ranking():
    score = np.random.default_rng(1).permutation(100) / 100
    np.testing.assert_allclose(score[sample(score, 5)], [0.1, 0.3, 0.5, 0.7, 0.9])
    assert len(sample(score, 500)) == 100
    assert len(sample(score[:0], 5)) == len(sample(score, 0)) == 0


def test_a_hundred_looks_count_errors_that_no_threshold_finds(hard):
    score, wrong = hard
    assert (score[wrong] < 0.5).mean() < 0.2
    right = calibrated(score, looked_at(sample(score, 100)), wrong)
    assert (1 - right).sum() == pytest.approx(wrong.sum(), rel=0.15)
    flag = right < 0.5
    assert wrong[flag].mean() > 0.85
    assert flag[wrong].mean() > 0.85
    assert (np.argsort(right, kind="stable") == np.argsort(score, kind="stable")).all()


def test_what_was_not_looked_at_is_not_read(hard):
    score, wrong = hard
    looked = looked_at(sample(score, 100))
    told = calibrated(score, looked, wrong & looked)
    np.testing.assert_array_equal(told, calibrated(score, looked, wrong))


@pytest.mark.parametrize("rows", ["worst", "few", "none", "all right"])
def test_too_little_is_told_of_nobody(hard, rows):
    """Looks at the worst rows alone would make every label doubtful."""
    score, wrong = hard
    order = np.argsort(score)
    picked = {
        "worst": order[:100],
        "few": sample(score, 2 * ANCHORS - 2),
        "none": order[:0],
        "all right": order[-100:],
    }[rows]
    looked = looked_at(picked)
    assert calibrated(score, looked, wrong) is None
    assert rows != "all right" or (wrong & looked).sum() < EITHER
