"""What people found at some rows, told of all: errors that no threshold finds are counted."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy import looks
from roadworthy.looks import NOBODY, Looks, calibrated, enough, sample, tell


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    """An interval from fewer draws, in a quarter of the time."""
    monkeypatch.setattr(looks, "DRAWS", 50)


@pytest.fixture(scope="module")
def hard():
    """Wrong labels have the lowest scores, yet by most scores the label is right."""
    generator = np.random.default_rng(0)
    wrong = np.arange(1000) < 200
    logit = np.where(wrong, 1.0, 4.0) + generator.normal(size=1000) * 0.8
    return 1 / (1 + np.exp(-logit)), wrong


def looks_at(rows, wrong):
    """All labels are on file as 0; where a wrong one is looked at, it becomes 1."""
    flags = np.zeros(len(wrong), dtype=bool)
    flags[rows] = True
    return Looks(flags, np.zeros(len(wrong), dtype=int), (wrong & flags).astype(int))


def test_a_sample_is_spread_evenly_over_the_ranking():
    score = np.random.default_rng(1).permutation(100) / 100
    np.testing.assert_allclose(score[sample(score, 5)], [0.1, 0.3, 0.5, 0.7, 0.9])
    assert len(sample(score, 500)) == 100
    assert len(sample(score[:0], 5)) == len(sample(score, 0)) == 0


def test_a_hundred_looks_flag_errors_that_no_threshold_finds(hard):
    score, wrong = hard
    assert (score[wrong] < 0.5).mean() < 0.2
    right = calibrated(score, looks_at(sample(score, 100), wrong))
    flag = right < 0.5
    assert wrong[flag].mean() > 0.85
    assert flag[wrong].mean() > 0.85
    assert (np.argsort(right, kind="stable") == np.argsort(score, kind="stable")).all()


def test_the_count_has_an_interval_that_holds_the_truth(hard):
    score, wrong = hard
    _, found = tell(score, score, looks_at(sample(score, 100), wrong), 0)
    assert (found["rows"], found["wrong"]) == (100, 19)
    assert found["expected"] == pytest.approx(200, rel=0.1)
    assert found["low"] < 200 < found["high"]
    _, more = tell(score, score, looks_at(sample(score, 400), wrong), 0)
    assert more["high"] - more["low"] < 0.7 * (found["high"] - found["low"])
    _, none = tell(score, score, looks_at([], wrong), 0)
    assert none == NOBODY | {"by_detectors": (1 - score).sum(), "believed": "detectors"}


def test_the_detectors_are_believed_if_they_count_as_many(hard):
    """Their own probabilities know more of single rows than a curve through a hundred looks."""
    score, wrong = hard
    seen = looks_at(sample(score, 100), wrong)
    right, found = tell(score, score, seen, 0)
    assert found["by_detectors"] < found["low"]  # no threshold of theirs reaches these errors
    assert found["believed"] == "looks"
    np.testing.assert_array_equal(right, calibrated(score, seen))
    sharp = np.where(wrong, 0.1, 0.99)
    right, found = tell(score, sharp, seen, 0)
    assert found["low"] < found["by_detectors"] < found["high"]
    assert found["believed"] == "detectors"
    np.testing.assert_array_equal(right, sharp)
    right, found = tell(score, np.full(1000, 0.4), seen, 0)
    assert found["by_detectors"] > found["high"]
    assert found["believed"] == "looks"


@pytest.mark.parametrize("rows", ["worst", "few", "half", "none", "all right"])
def test_too_little_is_told_of_nobody(hard, rows):
    """Looks at the worst rows alone would make every label doubtful."""
    score, wrong = hard
    order = np.argsort(score)
    picked = {
        "worst": order[:200],
        "few": sample(score, 20),
        "half": order[:500],
        "none": order[:0],
        "all right": order[300:],
    }[rows]
    seen = looks_at(picked, wrong)
    assert not enough(score, seen)
    assert calibrated(score, seen) is None
    own, found = tell(score, score, seen, 0)
    assert own is score
    assert found["expected"] is None
    assert enough(score, looks_at(sample(score, 100), wrong))


def test_a_ranking_that_is_upside_down_is_told_of_nobody(hard):
    score, wrong = hard
    assert calibrated(1 - score, looks_at(sample(score, 100), wrong)) is None
