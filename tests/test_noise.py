"""Planted label errors are found, clean labels are left alone, shuffled ones look noisy."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from roadworthy.errors import UserError
from roadworthy.noise import confident_learning, hit_rate, learnt, noise, out_of_fold
from roadworthy.rows import Rows, held_out
from roadworthy.settings import Clean


def test_planted_errors_are_found(planted):
    _, truth, _, wrong, issues = planted
    flagged = np.flatnonzero(issues["is_label_issue"])
    assert len(np.intersect1d(flagged, wrong)) >= 18
    assert len(flagged) <= 24
    assert (issues["suggested"].to_numpy()[wrong] == truth[wrong]).mean() >= 0.95
    places = issues["label_score"].rank(method="max")
    np.testing.assert_allclose(issues["label_score"], places / len(issues))
    assert issues["label_score"][wrong].max() < np.median(issues["label_score"])


def test_clean_labels_are_left_alone():
    truth = np.repeat([0, 1, 2], 40)
    X = np.eye(3)[truth] * 5
    p = out_of_fold(X, truth, np.arange(120), 3, Clean(folds=4), seed=0)
    assert not confident_learning(truth, p).any()
    assert noise(truth, p).flagged == 0


def test_a_row_and_its_near_duplicate_share_a_fold():
    """A probe that saw the twin would confirm its wrong label; grouped folds must not let it."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    X = np.eye(2)[y] * 2 + rng.normal(size=(60, 2)) * 0.3
    X[0], X[1], y[0], y[1] = [0, 40.0], [0, 40.0], 0, 0
    together = out_of_fold(X, y, np.array([0, 0, *range(2, 60)]), 2, Clean(folds=5), seed=3)
    assert together[0].argmax() == 1
    assert together[1].argmax() == 1


def test_noise_of_clean_and_of_shuffled_labels():
    """Negative control: labels that say nothing must look noisy, clean ones must not."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 100)
    p = np.full((300, 3), 0.02)
    p[np.arange(300), truth] = 0.96
    assert noise(truth, p).estimate == 0
    shuffled = noise(rng.permutation(truth), p)
    assert 0.5 < shuffled.low < shuffled.estimate < shuffled.high


def test_hit_rate_by_hand():
    ids, labels = pd.Series(["1", "2", "3", "4"]), pd.Series(["a", "a", "b", "b"])
    gold = pd.DataFrame({"id": ["1", "2", "3", "4"], "gold": ["a", "b", "b", "a"]})
    rate = hit_rate(ids, labels, np.array([False, True, True, False]), gold)
    assert rate == {"verified": 4, "errors": 2, "flagged": 2, "precision": 0.5, "recall": 0.5}
    assert hit_rate(ids, labels, np.ones(4, dtype=bool), gold.head(0)) is None


def test_rows_without_a_verified_label_are_not_errors():
    ids, labels = pd.Series(["1", "2", "3", "4"]), pd.Series(["a", "a", "b", "b"])
    gold = pd.DataFrame({"id": ["2"], "gold": ["b"]})
    rate = hit_rate(ids, labels, np.array([True, True, False, False]), gold)
    assert rate == {"verified": 1, "errors": 1, "flagged": 1, "precision": 1.0, "recall": 1.0}


def test_what_an_arm_learns_is_counted_by_weight_and_by_the_verified_labels():
    truth = pd.Series(["a", "b", None, "b"])
    given, relabelled = np.array([0, 0, 0, 1]), np.array([0, 1, 0, 0])
    arms = {"weight": (given, np.array([1.0, 0.25, 1.0, 0.5])), "relabel": (relabelled, np.ones(4))}
    table = learnt(arms, truth, ["a", "b"])
    assert table.loc["weight"].to_dict() == {"right": 1.5, "wrong": 0.25}
    assert table.loc["relabel"].to_dict() == {"right": 2.0, "wrong": 1.0}
    assert learnt(arms, pd.Series([None] * 4), ["a", "b"]).empty


def test_tiny_data_uses_fewer_folds_and_says_when_there_is_too_little():
    y = np.array([0, 0, 1, 1, 2])
    p = out_of_fold(np.eye(3)[y], y, np.arange(5), 3, Clean(folds=5), seed=0)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    with pytest.raises(UserError, match="3 training rows are too few"):
        out_of_fold(np.eye(3), np.arange(3), np.arange(3), 3, Clean(folds=5), seed=0)


def held_rows(looked: list[int], label: dict[int, int]) -> Rows:
    """Forty rows, the first eight filed wrong; those ``looked`` at have the ``label`` stated."""
    y = np.repeat([0, 1], 20)
    X = np.eye(2)[y] * 3.0
    given, names = y.copy(), np.array(["a", "b"])
    given[:8] = 1
    now = np.array([label.get(n, one) for n, one in enumerate(given)])
    frame = pd.DataFrame({"id": [f"m{n}" for n in range(40)], "text": "mail jo@shop.example"})
    train, held = frame.assign(label=names[given]), frame.assign(label=names[now])
    held = held.assign(filed=names[given], looked=np.isin(np.arange(40), looked))
    splits = ("train", "validation", "test")
    both, labels = dict.fromkeys(splits, X), {"train": given, "validation": now, "test": now}
    judged = {"validation": held, "test": held}
    return Rows(train, train, np.zeros(40, dtype=bool), ["a", "b"], both, both, labels, judged)


BELIEVED = np.arange(40) >= 8


def test_the_noise_of_held_out_labels_comes_from_rows_believed_right_and_is_listed():
    found = held_out(held_rows([], {}), BELIEVED, Clean(sample=20))
    assert set(found) == {"validation", "test"}
    for one in found.values():
        noise, doubted = one.noise, one.doubted
        assert noise.flagged == len(doubted) == 8
        assert doubted.columns.tolist() == ["id", "label", "suggested", "right", "text"]
        assert sorted(doubted["id"]) == [f"m{n}" for n in range(8)]
        assert set(doubted["suggested"]) == {"a"}
        assert (doubted["right"] < 0.5).all()
        assert set(doubted["text"]) == {"mail <email>"}
        assert (noise.estimate, noise.looked_at) == (0.2, 0)
        assert (one.queue["part"] == "doubted").tolist() == [n < 8 for n in range(len(one.queue))]
        assert 20 <= len(one.queue) <= 28  # a doubted row may be among those drawn
        assert one.queue["id"].is_unique


def test_what_a_person_has_decided_about_is_doubted_no_more():
    """Of those filed wrong, two are corrected and one is confirmed; 20 and 21 nobody doubted."""
    found = held_out(held_rows([0, 1, 2, 20, 21], {0: 0, 1: 0, 21: 0}), BELIEVED, Clean())
    noise, queue = found["test"].noise, found["test"].queue
    assert sorted(found["test"].doubted["id"]) == [f"m{n}" for n in range(3, 8)]
    assert {"m0", "m1", "m2", "m20", "m21"}.isdisjoint(queue["id"])
    assert len(queue) == 35
    assert (noise.rows, noise.flagged, noise.looked_at) == (40, 5, 5)
    # Nobody has looked at rows drawn at random: all seven that the model doubts still count.
    assert noise.low < noise.estimate == 7 / 40 < noise.high


def test_rows_at_random_count_as_far_as_people_looked_at_all_of_them():
    """The order goes by the ids alone: whoever looks at doubted rows only has no sample."""
    every = held_out(held_rows([*range(40)], {}), BELIEVED, Clean())["test"]
    assert (every.noise.sampled, every.noise.sampled_wrong, len(every.queue)) == (40, 0, 0)
    first = held_out(held_rows([], {}), BELIEVED, Clean())["test"].queue
    drawn = [int(id[1:]) for id in first.loc[first["part"] == "sample", "id"]]
    ids = sorted(range(40), key=lambda n: hashlib.sha256(f"m{n}".encode()).hexdigest())
    assert drawn == [n for n in ids if n >= 8]
    wrong = {n: 0 for n in ids[:10] if n < 8} | {ids[9]: 0}
    noise = held_out(held_rows([*ids[:10], *ids[11:13]], wrong), BELIEVED, Clean())["test"].noise
    filed_wrong = sum(n < 8 or n == ids[9] >= 20 for n in ids[:10])
    assert (noise.looked_at, noise.sampled, noise.sampled_wrong) == (12, 10, filed_wrong)
    assert held_out(held_rows(ids[1:], {}), BELIEVED, Clean())["test"].noise.sampled == 0


def test_the_estimate_is_low_once_people_have_looked_at_a_sample_too():
    right, everyone = dict.fromkeys(range(8), 0), [*range(40)]
    ids = sorted(everyone, key=lambda n: hashlib.sha256(f"m{n}".encode()).hexdigest())
    some = [*range(8), *ids[:30]]
    found = held_out(held_rows(some, right), BELIEVED, Clean())["test"]
    assert found.doubted.empty
    assert found.noise.sampled >= 30
    left = max(0.0, found.noise.sampled_wrong / found.noise.sampled - 8 / 40)
    assert found.noise.estimate == pytest.approx(left)
    assert found.noise.estimate <= 0.02
    # Who keeps every label as it was filed leaves no doubt, but a sample without a gap tells more:
    # of those filed, as many are wrong as it has changed.
    kept = held_out(held_rows(some, {}), BELIEVED, Clean())["test"].noise
    assert (kept.flagged, kept.estimate) == (0, 0)
    # Looks at doubted rows alone settle nothing.
    doubted = held_out(held_rows([*range(8)], {}), BELIEVED, Clean())["test"].noise
    assert (doubted.flagged, doubted.estimate) == (0, 0.2)
    # Rows that nobody doubts turn out wrong in the sample: their share is what is left.
    other = {n: 1 - (n >= 20) for n in ids[:30] if n >= 8}
    found = held_out(held_rows(some, {**right, **other}), BELIEVED, Clean())["test"].noise
    expected = found.sampled_wrong / found.sampled - (8 + len(other)) / 40
    assert found.estimate == pytest.approx(expected)
    assert expected > 0.15


def test_decisions_about_held_out_rows_change_no_doubt_about_the_others():
    before, after = (
        held_out(held_rows(looked, right), BELIEVED, Clean())["test"].queue.set_index("id")
        for looked, right in (([], {}), ([30], {30: 1}))
    )
    shared = after.index
    assert "m30" not in shared
    pd.testing.assert_series_equal(after["right"], before.loc[shared, "right"])


def test_noise_of_a_single_class_is_unknown():
    judged = noise(np.zeros(5, dtype=np.int64), np.full((5, 2), 0.5))
    assert np.isnan(judged.estimate)
