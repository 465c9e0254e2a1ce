"""Calibration held against hand-computed values and planted truths."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy.calibration import (
    Scale,
    calibrated,
    calibration_error,
    fit,
    log_tempered,
    out_of_scope,
    perfect_error,
    reliability,
    top,
)


def drawn(rows: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels that are drawn from them: perfectly calibrated."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.4), rows)
    cut = generator.random((rows, 1))
    return probabilities, np.minimum((probabilities.cumsum(axis=1) < cut).sum(axis=1), classes - 1)


def test_calibration_error_of_four_rows_by_hand():
    confidence = np.array([0.95, 0.85, 0.65, 0.35])
    correct = np.array([True, False, True, False])
    # Bin (0, .5]: 0.35 and wrong, gap .35. Bin (.5, 1]: mean .81667, 2/3 right, gap .15.
    assert calibration_error(confidence, correct, 2) == pytest.approx(0.25 * 0.35 + 0.75 * 0.15)
    # Ten bins: every row alone.
    alone = (0.05 + 0.85 + 0.35 + 0.35) / 4
    assert calibration_error(confidence, correct, 10) == pytest.approx(alone)


def test_bins_are_closed_on_the_right_and_certainty_has_one():
    table = reliability(np.array([0.5, 1.0, 0.51, 0.0]), np.array([True] * 4), 2)
    assert table["rows"].tolist() == [2, 2]
    assert table["high"].tolist() == [0.5, 1.0]


@pytest.mark.parametrize("planted", [0.4, 1.0, 2.5])
def test_temperature_recovers_a_planted_one(planted: float):
    probabilities, truth = drawn(6000, 5, seed=1)
    # Sharpened by 1/T: scaling by T gives the calibrated probabilities back.
    distorted = np.exp(log_tempered(probabilities, 1 / planted))
    found = fit(distorted, truth)
    assert found.temperature == pytest.approx(planted, rel=0.08)
    assert found.lapse < 0.01


def test_wrong_labels_are_a_lapse_and_no_reason_to_doubt_every_answer():
    probabilities, truth = drawn(6000, 5, seed=5)
    sharp = np.exp(log_tempered(probabilities, 0.2))  # a model that is hardly ever in doubt
    generator = np.random.default_rng(6)
    truth = np.array([generator.choice(5, p=row) for row in sharp])
    wrong = generator.random(len(truth)) < 0.1
    noisy = np.where(wrong, generator.integers(0, 5, len(truth)), truth)
    clean, found = fit(sharp, truth), fit(sharp, noisy)
    assert clean.lapse < 0.01
    assert found.lapse == pytest.approx(0.1, abs=0.02)
    assert found.temperature == pytest.approx(clean.temperature, rel=0.1)
    right = sharp.argmax(axis=1) == noisy
    without = [Scale(at, 0.0) for at in np.linspace(0.5, 5, 46)]
    alone = min(without, key=lambda one: loss(one, sharp, noisy))
    errors = [calibration_error(top(sharp, one), right, 15) for one in (alone, found)]
    assert errors[1] < 0.02 < 0.03 < errors[0]


def loss(scale: Scale, probabilities: np.ndarray, truth: np.ndarray) -> float:
    return float(-np.log(calibrated(probabilities, scale)[np.arange(len(truth)), truth]).mean())


def test_calibrated_probabilities_sum_to_one_and_keep_their_ranking():
    probabilities, _ = drawn(50, 4, seed=7)
    found = calibrated(probabilities, Scale(1.7, 0.2))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argsort(axis=1) == probabilities.argsort(axis=1)).all()
    assert found.min() >= 0.05
    np.testing.assert_allclose(calibrated(probabilities, Scale(1.0, 0.0)), probabilities)


def test_an_overconfident_model_is_worse_before_than_after():
    probabilities, truth = drawn(3000, 5, seed=2)
    sharp = np.exp(log_tempered(probabilities, 1 / 3))
    correct = sharp.argmax(axis=1) == truth
    scale = fit(sharp, truth)
    before = calibration_error(sharp.max(axis=1), correct, 15)
    after = calibration_error(top(sharp, scale), correct, 15)
    assert scale.temperature > 2
    assert after < 0.03 < 0.1 < before


def test_a_perfect_model_still_shows_an_error_of_the_simulated_size():
    probabilities, truth = drawn(400, 5, seed=3)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    expected = perfect_error(confidence, 15, seed=0)
    assert 0.01 < expected < 0.08
    assert calibration_error(confidence, correct, 15) < 2 * expected
    assert perfect_error(np.tile(confidence, 50), 15, seed=0) < expected / 4


def test_certain_and_constant_predictors_break_nothing():
    certain = np.zeros((40, 4))
    certain[:, 0] = 1.0
    truth = np.arange(40) % 4
    confidence = top(certain, fit(certain, truth))
    assert np.isfinite(confidence).all()
    assert len(set(confidence)) == 1
    # A quarter of the rows is right, and that is what a fitted scale comes to say.
    assert confidence[0] == pytest.approx(0.25, abs=0.05)
    assert calibration_error(confidence, truth == 0, 15) < 0.05


def test_out_of_scope_by_hand():
    validation = np.linspace(0.01, 1.0, 100)
    found = out_of_scope(validation, np.array([0.9, 0.5, 0.02]), np.array([0.03, 0.6]))
    assert found is not None
    # Of the six pairs, 0.9 beats both and 0.5 beats one.
    assert found.auroc == pytest.approx(3 / 6)
    assert (found.recall, found.kept, found.n) == (0.5, pytest.approx(2 / 3), 2)
    assert (validation >= 0.05).mean() >= 0.95
    assert out_of_scope(validation, np.array([0.9]), np.array([])) is None
