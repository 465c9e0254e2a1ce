"""A cascade by hand: its threshold from validation rows, its loss from test rows, controls."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from frames import LABELS, frame, majority, messages, no_gold, record

from roadworthy import cascade, intervals, store
from roadworthy.calibration import Scale
from roadworthy.plots import evaluate as plots
from roadworthy.predictions import Judged, gather
from roadworthy.settings import Evaluate

AS_IT_IS = Scale(1.0, 0.0)
SETTINGS = Evaluate(resamples=200, cascade_loss=0.003)


def said(rows: pd.DataFrame, right: np.ndarray, confidence: np.ndarray) -> pd.DataFrame:
    """Predictions that are right where told, each with its confidence (above one half)."""
    truth = pd.Index(LABELS).get_indexer(rows["label"])
    guess = np.where(right, truth, (truth + 1) % 3)
    values = np.tile(((1 - confidence) / 2)[:, None], (1, 3))
    values[np.arange(len(rows)), guess] = confidence
    columns = {f"p_{label}": values[:, n] for n, label in enumerate(LABELS)}
    pred = np.array(LABELS, dtype=object)[guess]
    return rows[["id", "split", "label"]].reset_index(drop=True).assign(pred=pred, **columns)


def by_hand() -> Judged:
    """1,000 validation and 100 test rows; the tuned model errs on test row 0 alone."""
    rows = messages(validation=1000, test=100)
    rows = rows[rows["split"] != "train"]
    confidence, right = (
        np.repeat([0.9, 0.7, 0.55, 0.9, 0.7], [600, 200, 200, 50, 50]),
        np.ones(1100),
    )
    right[[0, 1, 2]] = 0  # three of 1,000 lost at 0.9
    right[600] = 0  # one more at 0.7
    right[800:900] = 0
    right[[1001, 1002]] = 0  # test: two lost at 0.9, where one is gained
    right[1050:1060] = 0  # below the threshold: the tuned model answers
    tuned = np.ones(1100)
    tuned[1000] = 0
    models = {
        "tfidf": said(rows, right > 0, confidence),
        "lora": said(rows, tuned > 0, np.full(1100, 0.8)),
    }
    return gather(models, rows, no_gold(), record(rows))


def judge(judged: Judged, **settings) -> cascade.Cascade:
    own = replace(SETTINGS, **settings)
    return cascade.judge(judged, "lora", {"tfidf": AS_IT_IS, "lora": AS_IT_IS}, own, seed=0)[
        "tfidf"
    ]


def test_every_threshold_by_hand():
    cheap = np.array([True, False, True, False, True])
    tuned = np.array([True, True, False, False, True])
    curve = cascade.trade_off(np.array([0.9, 0.8, 0.7, 0.6, 0.6]), cheap, tuned)
    assert curve["threshold"].tolist() == [math.inf, 0.9, 0.8, 0.7, 0.6]
    assert curve["share"].tolist() == [0, 0.2, 0.4, 0.6, 1]
    assert curve["loss"].tolist() == [0, 0, 0.2, 0, 0]
    assert curve["accuracy"].tolist() == [0.6, 0.6, 0.4, 0.6, 0.6]
    assert [cascade.loss_at(curve, share) for share in (0.0, 0.3, 0.4, 0.9)] == [0, 0.2, 0.2, 0]


def test_the_largest_share_within_the_accepted_loss_is_chosen_on_validation_rows():
    one = judge(by_hand())
    # Exactly 3 of 1,000 is accepted; 4 of 1,000 is not.
    assert one.threshold == pytest.approx(0.9, abs=2e-6)
    assert (one.validation_share, one.validation_loss) == (0.6, 0.003)
    more = judge(by_hand(), cascade_loss=0.004)
    assert (more.threshold, more.validation_share) == (pytest.approx(0.7, abs=2e-6), 0.8)
    assert judge(by_hand(), cascade_loss=0.2).share == 1.0
    assert judge(by_hand(), cascade_loss=0.0).share == 0.0


def test_test_rows_tell_what_is_lost():
    judged = by_hand()
    one = judge(judged)
    assert one.share == 0.5
    assert one.accuracy.value == pytest.approx(0.98)
    assert one.loss.value == pytest.approx(0.01)
    assert one.loss.low <= 0.01 <= one.loss.high
    # Paired: half of the rows are answered by the same model and cannot differ.
    mixed, alone = np.ones(100, bool), np.ones(100, bool)
    mixed[[1, 2]], alone[0] = False, False
    weights = intervals.resampled(np.arange(100), 200, 0)
    assert one.loss == intervals.difference(alone, mixed, weights, SETTINGS.confidence)


def test_test_rows_choose_nothing():
    judged = by_hand()
    other = judged.models["tfidf"].copy()
    test = other["split"] == "test"
    other.loc[test, "pred"] = np.roll(other.loc[test, "pred"], 1)
    shuffled = Judged(judged.rows, judged.classes, judged.models | {"tfidf": other})
    first, second = judge(judged), judge(shuffled)
    assert (first.threshold, first.share) == (second.threshold, second.share)
    assert first.loss != second.loss


@pytest.mark.parametrize("worthless", ["wrong", "constant"])
def test_a_worthless_model_answers_nothing(worthless):
    rows = messages(validation=300, test=100)
    cheap = frame(rows, 0.0, 1) if worthless == "wrong" else majority(rows)
    models = {"tfidf": cheap, "lora": frame(rows, 1.0, 2)}
    one = judge(gather(models, rows, no_gold(), record(rows)))
    assert (one.threshold, one.share, one.validation_share) == (math.inf, 0, 0)
    assert (one.loss.low, one.loss.value, one.loss.high) == (0, 0, 0)
    assert one.accuracy.value == 1.0


def test_a_model_as_good_as_the_tuned_one_answers_everything():
    rows = messages(validation=300, test=100)
    same = frame(rows, 0.8, 1)
    one = judge(gather({"tfidf": same, "lora": same}, rows, no_gold(), record(rows)))
    assert (one.share, one.loss.value, one.loss.high) == (1, 0, 0)


def test_a_run_without_cheap_models_has_no_cascade():
    judged = by_hand()
    alone = Judged(judged.rows, judged.classes, {"lora": judged.models["lora"]})
    assert cascade.judge(alone, "lora", {"lora": 1.0}, SETTINGS, 0) == {}


def test_table_record_and_figure(project):
    alone = {"value": 0.99, "low": 0.97, "high": 1.0}
    found = {"tfidf": judge(by_hand()), "static": judge(by_hand(), cascade_loss=0.0)}
    table = cascade.table(found, "lora", alone)
    assert table.index.tolist() == ["lora", "tfidf", "static"]
    assert table.loc["lora", "accuracy %"] == pytest.approx(99.0)
    assert np.isnan(table.loc["lora", "share %"])
    assert table.loc["tfidf", "share %"] == pytest.approx(50.0)
    assert table.loc["tfidf", "loss, points"] == pytest.approx(1.0)
    kept = store.write_metrics("evaluate", {name: one.record() for name, one in found.items()})
    content = json.loads(kept.read_text(encoding="utf-8"))
    assert content["tfidf"]["threshold"] == found["tfidf"].threshold
    assert content["static"]["threshold"] is None
    assert "curve" not in content["tfidf"]
    for shown in (found, {}):
        (axis,) = plots.cascade(shown, "lora", 0.99).axes
        assert len(axis.lines) == 1 + 2 * len(shown)
