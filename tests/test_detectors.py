"""The detectors: planted errors of every kind are found, and the choice never reads the truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from roadworthy import dynamics, looks
from roadworthy.clean import ARMS, treat
from roadworthy.detectors import FEW, OWN, STOCK, detect, ensemble_scores, inject, stock
from roadworthy.looks import NO_CLASS, NOBODY, Looks
from roadworthy.looks import sample as spread
from roadworthy.settings import Clean
from roadworthy.views import Views

CLASSES, SETTINGS = 6, Clean(folds=3)


@pytest.fixture(autouse=True)
def _few_epochs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads on so few rows know after eight epochs what these tests ask; twelve where time is."""
    slow = request.node.get_closest_marker("slow")
    monkeypatch.setattr(dynamics, "EPOCHS", 12 if slow else 8)


@pytest.fixture(scope="module")
def sample():
    """Six classes that overlap a little: vectors and true classes."""
    generator = np.random.default_rng(0)
    truth = np.repeat(np.arange(CLASSES), 50)
    X = np.eye(CLASSES)[truth] * 2 + generator.normal(size=(len(truth), CLASSES)) * 0.7
    return X / np.linalg.norm(X, axis=1, keepdims=True), truth


def views(X):
    return Views(X, X, np.arange(len(X)), CLASSES)


@pytest.mark.parametrize("kind", [pytest.param("uniform", marks=pytest.mark.slow), "pair"])
def test_errors_are_ranked_better_than_by_the_stock_scores(sample, kind):
    X, truth = sample
    generator = np.random.default_rng(1)
    wrong = generator.random(len(truth)) < 0.2
    step = generator.integers(1, CLASSES, len(truth)) if kind == "uniform" else 1
    y = np.where(wrong, (truth + step) % CLASSES, truth)
    found = detect(views(X), y, SETTINGS, seed=0)
    plain, _ = stock(views(X), y, SETTINGS, seed=0)
    precision = {
        name: average_precision_score(wrong, 1 - score)
        for name, score in (found.scores | plain).items()
    }
    assert precision[found.chosen] > max(precision[name] for name in STOCK)
    assert found.chosen in OWN
    assert wrong[found.flag].mean() > 0.7
    assert found.flag[wrong].mean() > 0.6


@pytest.mark.slow
def test_right_labels_are_mostly_left_alone(sample):
    X, truth = sample
    assert detect(views(X), truth, SETTINGS, seed=0).flag.mean() < 0.08


@pytest.mark.slow
def test_a_handful_of_suspects_says_nothing_of_the_errors_shape():
    truth = np.repeat(np.arange(CLASSES), 30)
    X = np.eye(CLASSES)[truth] + np.random.default_rng(0).normal(size=(180, CLASSES)) * 0.1
    found = detect(views(X), truth, SETTINGS, seed=0)
    assert found.flag.mean() < FEW
    assert found.chosen == OWN[0] == "given_first"


@pytest.mark.slow
def test_shuffled_labels_do_not_look_clean(sample):
    X, truth = sample
    y = np.random.default_rng(3).permutation(truth)
    found = detect(views(X), y, SETTINGS, seed=0)
    assert found.scores["margin_last"].mean() < 0.5
    assert found.flag.mean() > 0.5


@pytest.mark.slow
def test_suggestions_differ_from_the_given_label(sample):
    X, truth = sample
    y = truth.copy()
    y[:5] = 1
    issues = detect(views(X), y, SETTINGS, seed=0).issues(y)
    assert (issues["suggested"] != y).all()
    assert issues["label_score"].between(0, 1).all()
    assert (issues["suggested"][:5] == 0).mean() >= 0.8


def test_injected_errors_hit_rows_that_are_not_suspects_and_take_their_shape():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 600)
    p = np.full((600, 3), 0.05)
    p[np.arange(600), truth] = 0.9
    y = np.where((truth == 0) & (np.arange(600) < 200), 2, truth)
    flag = y != truth
    labels, wrong = inject(y, p, flag, seed=0)
    assert not (wrong & flag).any()
    assert (labels[~wrong] == y[~wrong]).all()
    assert wrong.sum() == pytest.approx(flag.sum(), abs=2)
    from_zero = labels[wrong & (y == 0)]
    assert (from_zero == 2).mean() > 0.5
    _, one = inject(truth, p, np.zeros(600, dtype=bool), seed=0)
    assert one.sum() == 1


def test_trusted_rows_are_learnt_from_and_never_flagged(sample):
    X, truth = sample
    y = truth.copy()
    y[:12] = 1
    trusted = np.arange(len(y)) < 4
    found = detect(views(X), y, SETTINGS, 0, Looks(trusted, y, y))
    assert not found.flag[:4].any()
    assert (found.right[:4] == 1).all()
    assert found.flag[4:12].mean() > 0.6


def test_rows_that_fit_no_class_teach_nothing_and_are_flagged(sample):
    X, truth = sample
    decided = truth.copy()
    decided[:8] = NO_CLASS
    asked: list[np.ndarray] = []

    def expert(keep: np.ndarray) -> np.ndarray:
        asked.append(keep)
        return np.full((len(truth), CLASSES), 1 / CLASSES)

    told = Looks(np.arange(len(truth)) < 12, truth, decided)
    found = detect(views(X), truth, SETTINGS, 0, told, expert)
    assert not any(keep[:8].any() for keep in asked)
    assert asked[0][8:12].all()
    assert found.flag[:12].tolist() == [True] * 8 + [False] * 4
    assert found.right[:12].tolist() == [0.0] * 8 + [1.0] * 4
    assert found.counted["wrong"] == 8
    issues = found.issues(truth)
    assert issues["set_aside"].sum() == 8
    for arm in ARMS:
        labels, weights = treat(truth, issues, arm)
        assert (weights[:8] == 0).all()
        assert (weights[8:12] == 1).all()
        assert (labels[:8] == truth[:8]).all()


def test_looks_say_what_no_model_doubts(sample_of_hard, monkeypatch):
    """Labels of messages between two classes: enough looks flag what none did, few change none."""
    monkeypatch.setattr(looks, "DRAWS", 50)
    X, truth, filed = sample_of_hard
    wrong = filed != truth
    before = detect(views(X), filed, SETTINGS, 0)
    assert before.counted == NOBODY
    looked = np.zeros(len(filed), dtype=bool)
    looked[spread(before.scores[before.chosen], 100)] = True
    y = np.where(looked, truth, filed)
    found = detect(views(X), y, SETTINGS, 0, Looks(looked, filed, y))
    hidden = wrong & ~looked
    assert found.flag[hidden].mean() > before.flag[hidden].mean() + 0.2
    assert not found.flag[looked].any()
    assert (found.right[looked] == 1).all()
    assert found.counted["wrong"] == (wrong & looked).sum()
    assert found.counted["expected"] == pytest.approx(wrong.sum(), rel=0.2)
    assert found.counted["low"] < wrong.sum() < found.counted["high"]
    few = looked & (np.cumsum(looked) <= 10)
    y = np.where(few, truth, filed)
    same = detect(views(X), y, SETTINGS, 0, Looks(few, filed, y))
    assert same.flag[hidden].mean() < before.flag[hidden].mean() + 0.1
    assert not same.flag[few].any()
    assert same.counted["expected"] is None


@pytest.fixture(scope="module")
def sample_of_hard(sample):
    """The sixth of the rows that lies nearest to another class is filed under that class."""
    X, truth = sample
    centres = np.stack([X[truth == label].mean(axis=0) for label in range(CLASSES)])
    likely = X @ centres.T
    own = likely[np.arange(len(truth)), truth].copy()
    likely[np.arange(len(truth)), truth] = -np.inf
    hard = np.argsort(own - likely.max(axis=1))[: len(truth) // 6]
    filed = truth.copy()
    filed[hard] = likely[hard].argmax(axis=1)
    return X, truth, filed


@pytest.mark.slow
def test_a_fine_tuned_networks_opinion_counts_once_it_is_asked(sample):
    """An oracle's opinion: what it says moves the flags, and it is asked without doubted rows."""
    X, truth = sample
    y, asked = truth.copy(), []
    y[:12] = 1
    opinion = np.full((len(y), CLASSES), 0.01)
    opinion[np.arange(len(y)), truth] = 0.95

    def tuned(keep):
        asked.append(keep)
        return opinion

    found = detect(views(X), y, SETTINGS, 0, None, tuned)
    assert len(asked) == 1
    assert asked[0][:12].mean() < asked[0][12:].mean() - 0.3
    assert found.flag[:12].all()
    np.testing.assert_allclose(found.scores["tuned_loss"][:12], 0.01)


def test_every_score_that_can_be_chosen_can_be_asked_for_again(sample):
    """As ``Found.learnt`` does, whichever was chosen."""
    _, truth = sample
    rounds = np.random.default_rng(0).dirichlet(np.ones(CLASSES), (2, len(truth)))
    found = ensemble_scores({"first": rounds[0], "last": rounds[1]}, truth)
    assert set(found) == set(OWN)
    assert all(((score >= 0) & (score <= 1)).all() for score in found.values())
    assert not np.array_equal(found["margin_first"], found["margin_last"])
