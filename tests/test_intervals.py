"""Intervals and tests held against published values and simulations."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import f1_score

from roadworthy.intervals import accuracy, difference, macro_f1, mcnemar, resampled, wilson


def test_each_resample_draws_as_many_rows_as_there_are_and_repeats_with_the_seed():
    weights = resampled(50, 20, seed=1)
    assert weights.shape == (20, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert (weights == resampled(50, 20, seed=1)).all()
    assert (weights != resampled(50, 20, seed=2)).any()


def test_bootstrap_interval_covers_a_known_rate_about_as_often_as_it_says():
    generator, hits = np.random.default_rng(0), 0
    weights = resampled(200, 300, seed=3)
    for _ in range(200):
        found = accuracy(generator.random(200) < 0.8, weights, 0.95)
        hits += found.low <= 0.8 <= found.high
    assert 0.90 <= hits / 200 <= 0.985


def test_accuracy_among_part_of_the_rows():
    correct = np.array([True, True, False, False])
    among = np.array([True, True, True, False])
    found = accuracy(correct, resampled(4, 500, seed=0), 0.95, among)
    assert found.n == 3
    assert found.value == pytest.approx(2 / 3)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_no_row_is_no_score():
    none = np.zeros(4, dtype=bool)
    found = accuracy(none, resampled(4, 20, seed=0), 0.95, none)
    assert found.n == 0
    assert np.isnan([found.value, found.low, found.high]).all()


def test_macro_f1_is_scikit_learns_also_in_every_resample():
    generator = np.random.default_rng(0)
    truth, predicted = generator.integers(0, 6, 40), generator.integers(0, 5, 40)
    weights = resampled(40, 30, seed=5)
    found = macro_f1(truth, predicted, 7, weights, 0.9)
    expected = [
        f1_score(np.repeat(truth, row), np.repeat(predicted, row), average="macro", zero_division=0)
        for row in weights
    ]
    whole = f1_score(truth, predicted, average="macro", zero_division=0)
    assert found.value == pytest.approx(whole)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(expected, [0.05, 0.95])))


def test_a_thousand_resamples_of_a_large_test_set_take_seconds():
    generator = np.random.default_rng(0)
    truth, predicted = generator.integers(0, 77, 3080), generator.integers(0, 77, 3080)
    weights, start = resampled(3080, 1000, seed=0), time.perf_counter()
    macro_f1(truth, predicted, 77, weights, 0.95)
    assert time.perf_counter() - start < 8


def test_a_paired_difference_is_surer_than_an_unpaired_one():
    generator = np.random.default_rng(0)
    first = generator.random(400) < 0.8
    second = first.copy()
    second[:12] = False
    weights = resampled(400, 500, seed=0)
    gain = difference(first, second, weights, 0.95)
    single = accuracy(first, weights, 0.95)
    assert gain.value == pytest.approx(first.mean() - second.mean())
    assert 0 < gain.low < gain.value < gain.high
    assert gain.high - gain.low < single.high - single.low


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"),
    # Two-sided binomial tails by hand: 2 * (1 + 10 + 45) / 2**10; 2 * 1 / 2**5; symmetric; none.
    [(8, 2, 112 / 1024), (0, 5, 2 / 32), (3, 3, 1.0), (0, 0, 1.0)],
)
def test_mcnemar_by_hand(wins: int, losses: int, p_value: float):
    first = np.array([True] * wins + [False] * losses + [True] * 7 + [False] * 4)
    second = np.array([False] * wins + [True] * losses + [True] * 7 + [False] * 4)
    assert mcnemar(first, second) == (wins, losses, pytest.approx(p_value))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe (1998), table I, method 3 (score, no continuity correction).
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(successes: int, n: int, low: float, high: float):
    assert wilson(successes, n, 0.95) == pytest.approx((low, high), abs=5e-5)


def test_wilson_without_rows():
    assert np.isnan(wilson(0, 0, 0.95)).all()
