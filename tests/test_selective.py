"""Thresholds by hand and by simulation: the promise of a risk is kept as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy.selective import area, risk_coverage, selective, threshold_for


def test_a_constant_confidence_accepts_all_or_nothing():
    confidence, correct = np.full(40, 0.25), np.arange(40) % 4 == 0
    assert len(risk_coverage(confidence, correct)) == 1
    assert area(confidence, correct) == pytest.approx(0.75)


def test_risk_and_coverage_by_hand_ties_accepted_together():
    curve = risk_coverage(np.array([0.9, 0.8, 0.8, 0.4]), np.array([True, True, False, False]))
    assert curve["threshold"].tolist() == [0.9, 0.8, 0.4]
    assert curve["coverage"].tolist() == [0.25, 0.75, 1.0]
    assert curve["risk"].tolist() == pytest.approx([0, 1 / 3, 0.5])


def test_area_by_hand_and_under_any_order_of_tied_rows():
    confidence, correct = np.array([0.9, 0.8, 0.8, 0.4]), np.array([True, True, False, False])
    expected = (0 + 0.5 / 2 + 1 / 3 + 2 / 4) / 4
    assert area(confidence, correct) == pytest.approx(expected)
    swapped = [0, 2, 1, 3]
    assert area(confidence[swapped], correct[swapped]) == pytest.approx(expected)


def test_the_threshold_is_the_smallest_that_surely_keeps_the_promise():
    """By Clopper and Pearson at 0.9: no error in 22 rows is below 10 %, one in 38, two in 52."""
    confidence = np.linspace(0.99, 0.5, 60)
    correct = np.ones(60, dtype=bool)
    assert threshold_for(confidence[:21], correct[:21], 0.1) is None
    assert threshold_for(confidence[:22], correct[:22], 0.1) == pytest.approx(0.8156, abs=1e-4)
    correct[[30, 45]] = False
    assert threshold_for(confidence[:51], correct[:51], 0.1) == pytest.approx(
        confidence[44], abs=1e-6
    )
    assert threshold_for(confidence[:52], correct[:52], 0.1) == pytest.approx(
        confidence[51], abs=1e-6
    )
    assert threshold_for(confidence, np.zeros(60, dtype=bool), 0.5) is None
    assert threshold_for(np.empty(0), np.empty(0, dtype=bool), 0.5) is None


def test_the_promise_is_broken_about_once_in_ten_draws():
    generator, broken = np.random.default_rng(0), 0
    many = generator.beta(8, 1, 20_000)
    for _ in range(300):
        confidence = generator.beta(8, 1, 435)  # calibrated: right as often as it says
        limit = threshold_for(confidence, generator.random(435) < confidence, 0.05)
        broken += limit is not None and 1 - many[many >= limit].mean() > 0.05
    assert 0.05 <= broken / 300 <= 0.14


def test_copies_do_not_make_a_promise_surer():
    confidence, correct = np.repeat(np.linspace(0.99, 0.5, 22), 5), np.ones(110, dtype=bool)
    clusters = np.repeat(np.arange(22), 5)
    assert threshold_for(confidence, correct, 0.1, clusters) == pytest.approx(0.5, abs=1e-6)
    assert threshold_for(confidence[:105], correct[:105], 0.1, clusters[:105]) is None
    assert threshold_for(confidence[:105], correct[:105], 0.1) is not None
    # The sure rows are copies: 22 independent ones, however many unsure ones stand below them.
    sure, unsure = np.repeat(np.linspace(0.99, 0.9, 20), 5), np.linspace(0.5, 0.4, 300)
    many, right = np.concatenate([sure, unsure]), np.arange(400) < 100
    copied = np.concatenate([np.repeat(np.arange(20), 5), 20 + np.arange(300)])
    assert threshold_for(many, right, 0.05, copied) is None
    assert threshold_for(many, right, 0.05) is not None
    one = selective(0.0, confidence, correct, 0.1, clusters).risk_high
    assert one == selective(0.0, confidence[:22], correct[:22], 0.1).risk_high


def test_an_early_mistake_does_not_stop_the_search_for_the_largest_coverage():
    confidence = np.linspace(0.99, 0.5, 40)
    correct = np.ones(40, dtype=bool)
    correct[1] = False
    curve = risk_coverage(confidence, correct)
    assert curve["risk"].iloc[1] == 0.5
    assert threshold_for(confidence, correct, 0.1) == pytest.approx(0.5)
    correct[-1] = False
    assert threshold_for(confidence, correct, 0.1) == pytest.approx(confidence[-2], abs=1e-6)


def test_selective_uses_a_given_threshold_and_none_automates_nothing():
    confidence, correct = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    found = selective(0.8, confidence, correct, 0.05)
    assert (found.coverage, found.risk) == (pytest.approx(2 / 3), 0.5)
    nothing = selective(None, confidence, correct, 0.05)
    assert (nothing.threshold, nothing.coverage, nothing.risk) == (None, 0.0, None)
