"""Intervals and tests held against published values and simulations."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import f1_score

from roadworthy.intervals import (
    accuracy,
    difference,
    independent,
    macro_f1,
    mcnemar,
    resampled,
    wilson,
)


def test_each_resample_draws_as_many_rows_as_there_are_and_repeats_with_the_seed():
    alone = np.arange(50)
    weights = resampled(alone, 20, seed=1)
    assert weights.shape == (20, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert (weights == resampled(alone, 20, seed=1)).all()
    assert (weights != resampled(alone, 20, seed=2)).any()


def test_copies_are_drawn_together():
    clusters = np.array([7, 3, 7, 9, 3, 7])
    weights = resampled(clusters, 200, seed=0)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


@pytest.mark.parametrize(
    ("clusters", "worth"), [(range(40), 40), ([0] * 40, 1), ([0, 0, 1, 1], 2), ([], 0)]
)
def test_rows_of_one_cluster_are_worth_one(clusters: list[int], worth: float):
    assert independent(np.array(clusters, dtype=np.int64)) == pytest.approx(worth)


@pytest.mark.parametrize(("copies", "rate"), [(1, 0.8), (5, 0.8), (1, 0.97)])
def test_the_interval_covers_a_known_rate_as_often_as_it_says(copies: int, rate: float):
    """Also where five rows at a time have one answer; drawn row by row, 65 % would be covered."""
    generator, hits = np.random.default_rng(0), 0
    clusters = np.repeat(np.arange(200 // copies), copies)
    for _ in range(400):
        right = (generator.random(200 // copies) < rate)[clusters]
        found = accuracy(right, clusters, 0.95)
        hits += found.low <= rate <= found.high
    assert 0.9 <= hits / 400 <= 0.985


def test_copies_make_no_difference_surer_and_no_test_sharper():
    generator, alarms, held = np.random.default_rng(0), 0, 0
    clusters = np.repeat(np.arange(40), 5)
    weights = resampled(clusters, 200, seed=0)
    for _ in range(200):
        first, second = (generator.random((2, 40)) < 0.7)[:, clusters]
        alarms += mcnemar(first, second, clusters)[2] <= 0.05
        gain = difference(first, second, weights, 0.95)
        held += gain.low <= 0 <= gain.high
    assert alarms <= 0.05 * 200
    assert held >= 0.9 * 200


def test_all_right_on_a_few_rows_is_no_certainty():
    found = accuracy(np.ones(10, dtype=bool), np.arange(10), 0.95)
    assert (found.value, found.high) == (1, pytest.approx(1))
    assert found.low == pytest.approx(0.7225, abs=1e-4)  # 1 / (1 + z^2 / 10)


def test_accuracy_among_part_of_the_rows():
    correct = np.array([True, True, False, False])
    among = np.array([True, True, True, False])
    found = accuracy(correct, np.arange(4), 0.95, among)
    assert found.n == 3
    assert found.value == pytest.approx(2 / 3)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_no_row_is_no_score():
    none = np.zeros(4, dtype=bool)
    found = accuracy(none, np.arange(4), 0.95, none)
    assert found.n == 0
    assert np.isnan([found.value, found.low, found.high]).all()


def test_macro_f1_is_scikit_learns_also_in_every_resample():
    generator = np.random.default_rng(0)
    truth, predicted = generator.integers(0, 6, 40), generator.integers(0, 5, 40)
    weights = resampled(np.arange(40), 30, seed=5)
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
    weights, start = resampled(np.arange(3080), 1000, seed=0), time.perf_counter()
    macro_f1(truth, predicted, 77, weights, 0.95)
    assert time.perf_counter() - start < 8


def test_a_paired_difference_is_surer_than_an_unpaired_one():
    generator = np.random.default_rng(0)
    first = generator.random(400) < 0.8
    second = first.copy()
    second[:12] = False
    alone = np.arange(400)
    weights = resampled(alone, 500, seed=0)
    gain = difference(first, second, weights, 0.95)
    single = accuracy(first, alone, 0.95)
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
    found = mcnemar(first, second, np.arange(len(first)))
    assert found == (wins, losses, pytest.approx(p_value))


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
