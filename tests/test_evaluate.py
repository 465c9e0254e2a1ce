"""The comparison of models, on synthetic frames whose truth is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import LABELS, frame, majority, messages, no_gold, record

from roadworthy import evaluate, store
from roadworthy.plots import evaluate as plots
from roadworthy.predictions import Judged, gather
from roadworthy.settings import Evaluate

SETTINGS = Evaluate(resamples=200, target_risk=0.1)
ROWS = messages(validation=300, test=400, outside=60)


def built(gold: pd.DataFrame | None = None) -> Judged:
    frames = {
        "majority": majority(ROWS),
        "probe": frame(ROWS, 0.80, 1),
        "lora": frame(ROWS, 0.92, 2),
    }
    return gather(frames, ROWS, no_gold() if gold is None else gold, record(ROWS))


@pytest.fixture(scope="module")
def judged() -> Judged:
    return built()


@pytest.fixture(scope="module")
def result(judged: Judged) -> dict[str, Any]:
    choice = evaluate.choose(judged)
    scored = evaluate.scores(judged, choice.best_baseline, SETTINGS, seed=0)
    calibrated = {name: evaluate.calibrate(judged, name, SETTINGS, 0) for name in judged.models}
    return evaluate.record(judged, choice, scored, calibrated, SETTINGS)


def test_choice_is_made_on_validation_rows_alone(judged: Judged):
    choice = evaluate.choose(judged)
    assert (choice.best_baseline, choice.champion) == ("probe", "lora")
    ruined = judged.models["lora"].copy()
    tested = (ruined["split"] == "test").to_numpy()
    ruined.loc[tested, "pred"] = "card"
    worse = Judged(judged.rows, judged.classes, judged.models | {"lora": ruined})
    assert evaluate.choose(worse) == choice


def test_of_equally_good_models_the_simpler_is_chosen(judged: Judged):
    same = judged.models["probe"]
    tied = Judged(judged.rows, judged.classes, {"tfidf": same, "probe": same, "lora": same})
    choice = evaluate.choose(tied)
    assert (choice.best_baseline, choice.champion) == ("tfidf", "tfidf")


def test_scores_are_of_in_scope_rows_and_near_the_planted_accuracy(result: dict[str, Any]):
    assert result["rows"] == {"validation": 300, "test": 400, "test_out_of_scope": 60}
    found = result["models"]["lora"]["accuracy"]
    assert found["n"] == 400
    assert found["low"] < found["value"] < found["high"]
    assert found["value"] == pytest.approx(0.92, abs=0.04)
    fresh = result["models"]["lora"]["accuracy_deduplicated"]
    tested = (ROWS["split"] == "test") & ROWS["label"].isin(LABELS)
    assert fresh["n"] == int((~ROWS["leaked"] & tested).sum()) < 400
    assert result["models"]["lora"]["accuracy_gold"] is None


def test_the_comparison_is_paired_with_the_best_baseline(result: dict[str, Any]):
    models = result["models"]
    assert models["probe"]["mcnemar"] is None
    test = models["lora"]["mcnemar"]
    assert test["against"] == "probe"
    gain = models["lora"]["accuracy"]["value"] - models["probe"]["accuracy"]["value"]
    assert test["difference"]["value"] == pytest.approx(gain)
    assert (test["wins"] - test["losses"]) / 400 == pytest.approx(gain)
    assert test["difference"]["low"] > 0
    assert test["p_value"] < 0.001


def test_copies_make_nothing_surer(judged: Judged):
    """Rows in fives: the same answers are worth a fifth."""
    rows = judged.rows.assign(cluster=np.arange(len(judged.rows)) // 5)
    copied = Judged(rows, judged.classes, judged.models)
    plain, wide = (evaluate.scores(one, "probe", SETTINGS, 0)["lora"] for one in (judged, copied))
    width, wider = (one["accuracy"]["high"] - one["accuracy"]["low"] for one in (plain, wide))
    assert wider == pytest.approx(5**0.5 * width, rel=0.1)
    assert wide["accuracy"]["value"] == plain["accuracy"]["value"]
    assert wide["macro_f1"]["low"] != plain["macro_f1"]["low"]
    discordant, fewer = (one["mcnemar"]["wins"] + one["mcnemar"]["losses"] for one in (plain, wide))
    assert fewer < discordant
    single, five = (evaluate.calibrate(one, "lora", SETTINGS, 0) for one in (judged, copied))
    assert single.selective.threshold is not None
    stricter = five.selective.threshold
    assert stricter is None or stricter > single.selective.threshold


def test_the_worst_class_is_the_one_with_the_lowest_recall():
    truth, right = np.array([0, 0, 1, 1, 1]), np.array([True, True, True, False, False])
    found = evaluate.worst_class(truth, right, ["a", "b"])
    assert (found["worst_class"], found["worst_class_rows"]) == ("b", 3)
    assert found["worst_class_recall"] == pytest.approx(1 / 3)
    untested = evaluate.worst_class(truth, right, ["a", "b", "c"])
    assert (untested["worst_class"], untested["worst_class_recall"]) == ("c", None)


def test_a_model_against_itself_is_not_better(judged: Judged):
    twin = judged.models["probe"]
    pair = Judged(judged.rows, judged.classes, {"probe": twin, "lora": twin})
    test = evaluate.scores(pair, "probe", SETTINGS, 0)["lora"]["mcnemar"]
    assert (test["wins"], test["losses"], test["p_value"]) == (0, 0, 1.0)
    assert test["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_shuffled_labels_give_chance_accuracy(judged: Judged):
    rows = judged.rows.copy()
    known = rows["label"].isin(LABELS)
    rows.loc[known, "label"] = np.random.default_rng(0).permutation(rows.loc[known, "label"])
    shuffled = Judged(rows, judged.classes, judged.models)
    found = evaluate.scores(shuffled, "probe", SETTINGS, 0)["lora"]
    assert found["accuracy"]["value"] == pytest.approx(1 / 3, abs=0.08)
    assert found["macro_f1"]["value"] == pytest.approx(1 / 3, abs=0.08)


def test_gold_is_a_second_column_and_never_the_headline(result: dict[str, Any]):
    test = ROWS[(ROWS["split"] == "test") & ROWS["label"].isin(LABELS)]
    gold = test[["id"]].assign(gold="card").head(100)
    against = evaluate.scores(built(gold), "probe", SETTINGS, 0)["lora"]
    assert against["accuracy"] == result["models"]["lora"]["accuracy"]
    assert against["accuracy_gold"]["n"] == 100
    assert against["accuracy_gold"]["value"] == pytest.approx(1 / 3, abs=0.15)


def test_calibration_is_fitted_on_validation_rows_alone(judged: Judged):
    before = evaluate.calibrate(judged, "lora", SETTINGS, 0)
    rows = judged.rows.copy()
    tested = (rows["split"] == "test") & rows["label"].isin(LABELS)
    rows.loc[tested, "label"] = "card"
    after = evaluate.calibrate(Judged(rows, judged.classes, judged.models), "lora", SETTINGS, 0)
    assert after.scale == before.scale
    assert after.selective.threshold == before.selective.threshold
    assert after.ece_after != before.ece_after


def test_the_automated_part_errs_less_and_the_promise_is_kept_roughly(result: dict[str, Any]):
    found = result["models"]["lora"]["selective"]
    assert found["target_risk"] == 0.1
    assert 0 < found["coverage"] <= 1
    assert found["risk"] <= 0.15
    assert result["models"]["majority"]["selective"]["threshold"] is None
    assert result["models"]["majority"]["selective"]["coverage"] == 0


def test_out_of_scope_rows_are_judged_apart_or_not_at_all(judged: Judged, result: dict[str, Any]):
    found = result["models"]["lora"]["out_of_scope"]
    assert found["n"] == 60
    assert found["kept"] == pytest.approx(0.95, abs=0.05)
    inside = judged.rows[judged.rows["label"].isin(LABELS)]
    frames = {name: part.loc[inside.index] for name, part in judged.models.items()}
    alone = gather(frames, inside.drop(columns="gold"), no_gold(), record(inside))
    assert evaluate.calibrate(alone, "lora", SETTINGS, 0).out_of_scope is None


def test_the_record_has_the_agreed_keys_and_is_json(result: dict[str, Any]):
    assert set(result["models"]["lora"]) == {
        "accuracy", "macro_f1", "accuracy_deduplicated", "accuracy_gold", "worst_class",
        "worst_class_recall", "worst_class_rows", "mcnemar", "temperature", "lapse", "ece_before",
        "ece_after", "ece_perfect", "aurc", "selective", "out_of_scope",
    }  # fmt: skip
    assert json.loads(json.dumps(store.plain(result)))["champion"] == "lora"


def test_the_same_seed_gives_the_same_record(judged: Judged, result: dict[str, Any]):
    again = evaluate.scores(judged, "probe", SETTINGS, 0)
    assert all(again[name].items() <= result["models"][name].items() for name in again)
    other = evaluate.scores(judged, "probe", SETTINGS, 1)
    assert other["lora"]["macro_f1"] != again["lora"]["macro_f1"]


def test_tables_have_a_line_a_model_in_per_cent(judged: Judged, result: dict[str, Any]):
    table = evaluate.summary(result, evaluate.choose(judged))
    assert table.index.tolist() == ["majority", "probe", "lora"]
    assert table.loc["lora", "accuracy %"] == 100 * result["models"]["lora"]["accuracy"]["value"]
    assert np.isnan(table.loc["probe", "gain, points"])
    assert np.isnan(table.loc["majority", "risk %"])
    calibrated = {name: evaluate.calibrate(judged, name, SETTINGS, 0) for name in judged.models}
    curves = evaluate.curves(calibrated)
    assert curves.groupby("model").size().max() <= 51
    assert (curves.groupby("model")["coverage"].max() == 1).all()


def test_figures_are_drawn_also_for_odd_results(judged: Judged, result: dict[str, Any]):
    calibrated = {name: evaluate.calibrate(judged, name, SETTINGS, 0) for name in judged.models}
    odd = result | {"champion": "majority"}
    shown = calibrated["majority"]
    errors = {"before": 0.5, "after": 0.1, "perfect": 0.02}
    for figure in (
        plots.accuracy(result),
        plots.reliability(shown.before, shown.after, errors),
        plots.risk_coverage(evaluate.curves(calibrated), odd),
        plots.confusions(pd.DataFrame([[3, 1], [0, 2]], index=["$a$", "b"], columns=["$a$", "b"])),
        plots.confusions(pd.DataFrame()),
    ):
        figure.canvas.draw()
        assert figure.axes
