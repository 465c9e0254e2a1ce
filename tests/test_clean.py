"""Only training rows change, no class is lost, and no claim is made without an interval."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from roadworthy.clean import (
    Arm,
    choose,
    compare,
    decisions,
    effect_of_review,
    review_queue,
    treat,
    with_made,
)
from roadworthy.intervals import resampled
from roadworthy.rows import Rows
from roadworthy.settings import Clean

LABELS = ["a", "b", "c"]


def test_treat_changes_only_flagged_rows(planted):
    _, _, y, _, issues = planted
    flagged = issues["is_label_issue"].to_numpy()
    for arm in ("none", "drop", "relabel"):
        labels, weights = treat(y, issues, arm)
        assert (labels[~flagged] == y[~flagged]).all()
        assert (weights[~flagged] == 1).all()
    assert (treat(y, issues, "none")[1] == 1).all()
    assert ((treat(y, issues, "drop")[1] == 0) == flagged).all()


def test_weights_are_what_is_thought_of_the_labels(planted):
    _, _, y, wrong, issues = planted
    labels, weights = treat(y, issues, "weight")
    assert (labels == y).all()
    assert weights.min() > 0
    assert weights.max() <= 1
    assert ((weights < 0.5) == issues["is_label_issue"]).all()
    assert weights[wrong].mean() < 0.3


@pytest.mark.parametrize("arm", ["drop", "relabel", "weight"])
@pytest.mark.parametrize(
    ("y", "flagged", "suggested"),
    [
        ([0, 0, 1], [False, False, True], [0, 0, 0]),
        # The last row of class 1 is given back, which takes that of class 0 away from it.
        ([0, 1, 2], [True, True, False], [1, 2, 2]),
    ],
)
def test_no_class_is_ever_lost(arm, y, flagged, suggested):
    right = np.where(flagged, 0.0, 1.0)
    issues = pd.DataFrame({"is_label_issue": flagged, "suggested": suggested, "right": right})
    issues["set_aside"] = False
    labels, weights = treat(np.array(y), issues, arm)
    assert set(labels[weights > 0]) == set(y)


def test_synthetic_rows_stand_behind_the_real_ones(planted):
    _, _, y, _, issues = planted
    train = pd.DataFrame({"id": range(240), "text": "t", "label": [LABELS[i] for i in y]})
    treated = decisions(train, issues, LABELS, "weight")
    assert (treated.loc[treated["weight"] < 0.5, "action"] == "weight").all()
    made = pd.DataFrame({"id": ["s1"], "text": ["new"], "label": ["a"]})
    final = with_made(treated, made)
    assert final.iloc[-1][["id", "action", "weight", "original"]].tolist() == [
        "s1",
        "add",
        1.0,
        "a",
    ]
    assert with_made(treated, made.head(0)) is treated


def test_compare_and_choose(planted, monkeypatch):
    X, truth, y, _, issues = planted
    rng = np.random.default_rng(2)
    held = np.eye(3)[truth] * 3 + rng.normal(size=X.shape) * 0.5
    vectors = {"train": X, "validation": held, "test": held}
    filed = {"train": y, "validation": truth, "test": truth}
    frame = pd.DataFrame({"cluster": np.arange(len(y))})
    rows = Rows(frame, frame, np.zeros(len(y), dtype=bool), LABELS, vectors, vectors, filed)
    arms = compare(rows, issues, Clean(resamples=200), seed=0)
    assert [arm.name for arm in arms] == ["none", "drop", "relabel", "weight"]
    copied, seen = replace(rows, held=np.arange(len(truth)) // 40), []
    monkeypatch.setattr(
        "roadworthy.clean.resampled",
        lambda clusters, *how: seen.append(clusters) or resampled(clusters, *how),
    )
    compare(copied, issues, Clean(resamples=200), seed=0)
    assert [clusters is copied.held for clusters in seen] == [True]  # copies are drawn together
    assert arms[0].gain == arms[0].gain_low == arms[0].gain_high == 0
    assert all(arm.gain_low <= arm.gain <= arm.gain_high for arm in arms)
    assert arms[1].train_rows == (~issues["is_label_issue"]).sum()


def arm(name, gain, low):
    return Arm(name, 10, 1, 0.8, gain, low, gain + 0.1, 0.8)


def test_an_interval_that_includes_zero_keeps_the_data():
    assert (
        choose([arm("none", 0, 0), arm("drop", 0.04, -0.01), arm("relabel", 0.02, 0.0)]).name
        == "none"
    )
    assert (
        choose([arm("none", 0, 0), arm("drop", 0.04, 0.02), arm("relabel", 0.05, 0.01)]).name
        == "drop"
    )


def test_every_row_has_a_decision_with_a_reason(planted):
    _, _, y, _, issues = planted
    train = pd.DataFrame(
        {"id": [f"r{i}" for i in range(240)], "text": "t", "label": [LABELS[i] for i in y]}
    )
    table = decisions(train, issues, LABELS, "relabel")
    assert len(table) == 240
    assert ((table["action"] == "relabel") == (table["label"] != table["original"])).all()
    assert (
        table.loc[table["action"] == "relabel", "reason"]
        .str.contains("likeliest other label")
        .all()
    )
    assert decisions(train, issues, LABELS, "none")["action"].eq("keep").all()


def test_review_queue_puts_the_most_doubtful_first(planted):
    _, _, y, _, issues = planted
    train = pd.DataFrame({"id": range(240), "text": "t", "label": [LABELS[i] for i in y]})
    every = review_queue(train, issues, LABELS, Clean(queue=15, sample=50), 0)
    queue, sampled = (every[every["part"] == part] for part in ("doubted", "sample"))
    assert (len(queue), len(sampled)) == (15, 50)
    assert every["id"].is_unique
    assert queue["flagged"].all()
    assert queue["label_score"].is_monotonic_increasing
    ranks = issues["label_score"].rank(method="first")[sampled["id"]]
    assert ranks.sort_values().diff().max() <= 6  # over the whole ranking
    assert ranks.max() > 230
    assert ranks.head(10).max() > 150  # from the start
    assert queue["value"].between(0, 1).all()
    assert (queue["label"] != queue["suggested"]).all()


def test_the_queue_keeps_rows_and_numbers_together_when_some_have_been_looked_at(planted):
    _, _, y, _, issues = planted
    train = pd.DataFrame({"id": range(240), "text": "t", "label": [LABELS[i] for i in y]})
    waiting = np.arange(240) % 3 != 0
    queue = review_queue(
        train[waiting], issues[waiting], LABELS, Clean(queue=20, sample=5), 0
    ).set_index("id")
    own = issues.loc[queue.index]
    assert (queue["confidence"] == own["confidence"].round(4)).all()
    assert (queue["flagged"] == own["is_label_issue"]).all()
    assert (queue["suggested"] == np.array(LABELS)[own["suggested"]]).all()


def test_a_reviewed_row_keeps_what_was_filed_and_says_who_decided(planted):
    _, _, y, _, issues = planted
    filed = pd.DataFrame({"id": range(240), "text": "t", "label": [LABELS[i] for i in y]})
    train = filed.assign(label=filed["label"].where(filed["id"] != 5, LABELS[(y[5] + 1) % 3]))
    kept = np.arange(240) == 7  # looked at, and left as it was
    table = decisions(train, issues.assign(is_label_issue=False), LABELS, "none", filed, kept)
    assert table.loc[7, "reason"] == "decided in a review"
    row = table.loc[5]
    assert (row["action"], row["reason"]) == ("relabel", "decided in a review")
    assert (row["original"], row["label"]) == (LABELS[y[5]], LABELS[(y[5] + 1) % 3])
    aside = issues.assign(is_label_issue=kept, set_aside=kept)
    row = decisions(train, aside, LABELS, "none", filed, kept).loc[7]
    assert (row["action"], row["reason"]) == ("drop", "decided in a review: fits none")
    assert row["label"] == row["original"]


@pytest.mark.parametrize(
    ("relabelled", "strange", "better"),
    [([], [], False), ([0, 1, 2, 3, 4, 5], [], True), ([], [0, 1, 2, 3, 4, 5], True)],
)
def test_what_people_changed_is_scored_on_validation_rows(relabelled, strange, better):
    truth = np.repeat([0, 1], 10)
    X = np.random.default_rng(0).normal(size=(20, 4)) * 0.1 + 3 * np.eye(4)[truth]
    filed = truth.copy()
    filed[:6] = 1  # of class 0, and filed as the other
    y = filed.copy()
    y[relabelled] = 0
    looked, aside = np.isin(np.arange(20), relabelled + strange), np.isin(np.arange(20), strange)
    names = np.array(["a", "b"])
    before, after = (pd.DataFrame({"label": names[one]}) for one in (filed, y))
    both, labels = {"train": X, "validation": X}, {"train": y, "validation": truth}
    rows = Rows(before, after, looked, ["a", "b"], both, both, labels, strange=aside)
    found = effect_of_review(rows, Clean(resamples=200), 0)
    assert found["looked_at"] == len(relabelled) + len(strange)
    assert (found["relabelled"], found["set_aside"]) == (len(relabelled), len(strange))
    assert (found["gain"] > 0.2) == better
