"""The served model: the weight against the likelihood, by hand, and from disk."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from scipy.special import log_softmax

from roadworthy.errors import UserError
from roadworthy.models import pooled
from roadworthy.models.architecture import Labelled

TEXTS = [f"where is my parcel {n}" for n in range(12)] + [f"refund please {n}" for n in range(12)]
ROWS = Labelled(TEXTS, np.repeat([0, 1], 12), 2)


class Network:
    """The same logits for every message."""

    labels = ("parcel", "refund")

    def logits(self, texts):
        return np.tile(np.float32([0.3, 0.0]), (len(texts), 1))


def opinions(rows: int, own: float, other: float, seed: int = 0):
    """Truth, and two independent noisy log-probabilities of it that are right so strongly."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 4, rows)
    said = (
        log_softmax(by * np.eye(4)[truth] + generator.normal(size=(rows, 4)), axis=1)
        for by in (own, other)
    )
    return truth, *said


def loss(network, tfidf, truth, weight: float) -> float:
    scales = np.linspace(0.05, 5, 200)
    rows = np.arange(len(truth))
    pools = (log_softmax(scale * (network + weight * tfidf), axis=1) for scale in scales)
    return min(-pool[rows, truth].mean() for pool in pools)


@pytest.mark.parametrize(("own", "other"), [(2.0, 1.0), (1.0, 2.0), (1.5, 1.5)])
def test_the_weight_has_the_highest_likelihood_at_any_temperature(own: float, other: float):
    truth, network, tfidf = opinions(3000, own, other)
    weight = pooled.fit_weight(network, tfidf, truth)
    # For normal noise of the same spread the best weights are as the signals.
    assert weight == pytest.approx(other / own, rel=0.15)
    best = loss(network, tfidf, truth, weight)
    assert best < loss(network, tfidf, truth, 0.0) - 0.01
    for other_weight in (0.7 * weight, 1.4 * weight):
        assert best < loss(network, tfidf, truth, other_weight)


def test_what_says_nothing_or_the_contrary_counts_nothing():
    truth, network, noise = opinions(3000, 2.0, 0.0)
    assert pooled.fit_weight(network, noise, truth) < 0.05
    assert pooled.fit_weight(network, -network, truth) == 0
    none = np.empty((0, 4))
    assert pooled.fit_weight(none, none, np.empty(0, dtype=np.int64)) == 0


def test_few_rows_move_the_weight_less():
    network, tfidf = np.log([[0.4, 0.6]] * 2), np.log([[0.9, 0.1]] * 2)
    truth = np.zeros(2, dtype=np.int64)
    few = pooled.fit_weight(network, tfidf, truth)
    many = pooled.fit_weight(
        np.tile(network, (500, 1)), np.tile(tfidf, (500, 1)), np.tile(truth, 500)
    )
    assert 0 < few < 2 < many <= 100


def test_shifted_logits_are_the_same_opinion():
    truth, network, tfidf = opinions(500, 1.5, 1.0)
    shift = np.random.default_rng(1).normal(size=(500, 1)) * 5
    assert pooled.fit_weight(network + shift, tfidf, truth) == pytest.approx(
        pooled.fit_weight(network, tfidf, truth), rel=1e-3
    )


def test_it_is_built_saved_and_read_back_as_the_same_model(tmp_path):
    built = pooled.build(Network(), ROWS, ROWS, 0, tmp_path)
    assert built.weight > 0.3  # the network always says the same
    assert (built.predict_proba(TEXTS).argmax(axis=1) == ROWS.y).all()
    by_hand = Network().logits(TEXTS) + built.weight * np.log(built.tfidf.predict_proba(TEXTS))
    np.testing.assert_allclose(built.logits(TEXTS), by_hand)
    again = pooled.load(Network(), tmp_path)
    np.testing.assert_array_equal(again.logits(TEXTS), built.logits(TEXTS))
    np.testing.assert_allclose(again.predict_proba(TEXTS).sum(axis=1), 1)


def test_without_weight_the_network_answers_alone():
    class Never:
        def predict_proba(self, texts):
            raise AssertionError("nobody asked")

    alone = pooled.Pooled(Network(), Never(), 0.0)
    np.testing.assert_allclose(alone.logits(["any"]), [[0.3, 0.0]], rtol=1e-6)


def test_a_damaged_or_missing_file_is_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    pooled.build(Network(), ROWS, ROWS, 0, folder)
    assert {path.name for path in folder.iterdir()} == {pooled.ABOUT, pooled.PIPELINE}
    for name in (pooled.ABOUT, pooled.PIPELINE):
        copy = shutil.copytree(folder, tmp_path / f"copy of {name}")
        damaged = bytearray((copy / name).read_bytes())
        damaged[len(damaged) // 2] ^= 1
        (copy / name).write_bytes(damaged)
        with pytest.raises(
            UserError, match=rf"{name} was changed or damaged.*`dvc repro finetune`"
        ):
            pooled.load(Network(), copy)
        (copy / name).unlink()
        with pytest.raises(UserError, match=rf"{name} is missing or unreadable.*: make it again"):
            pooled.load(Network(), copy, "make it again")
    about = json.loads((folder / pooled.ABOUT).read_text())
    (folder / pooled.ABOUT).write_text(json.dumps(about | {"weight": 0.0}))
    with pytest.raises(UserError, match=r"tfidf\.json was changed"):
        pooled.load(Network(), folder)
