"""Which score tells messages of no known class apart, on synthetic frames whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frames import frame, messages, no_gold, record

from roadworthy import scope
from roadworthy.calibration import Scale
from roadworthy.predictions import Judged, gather

AS_IT_IS = Scale(1.0, 0.0)


@pytest.fixture(scope="module")
def judged() -> Judged:
    rows = messages(300, 400, outside=60)
    return gather({"lora": frame(rows, 0.9, 1)}, rows, no_gold(), record(rows))


@pytest.fixture(scope="module")
def familiar(judged: Judged) -> pd.DataFrame:
    """One score that tells all rows apart, one that sees nothing; in another order of rows."""
    generator = np.random.default_rng(0)
    outside = judged.mask("test", in_scope=False)
    good = np.where(outside, -1.0, 1.0) + generator.normal(size=len(outside)) * 0.1
    blind = generator.normal(size=len(outside))
    ids = judged.rows["id"].to_numpy()
    found = pd.DataFrame({"id": ids, "energy": good, "nearness": blind}).sample(
        frac=1, random_state=0
    )
    return scope.scores(judged, "lora", AS_IT_IS, found)


def test_every_score_is_judged_like_the_confidence(judged: Judged, familiar: pd.DataFrame):
    table = scope.judge(judged, "lora", familiar)
    assert table is not None
    assert list(table.index) == ["confidence", "energy", "nearness", "joint"]
    assert table.loc["energy", "auroc"] == 1
    assert table.loc["energy", "fpr95"] == 0
    assert 0.4 < table.loc["nearness", "auroc"] < 0.6
    assert table.loc["nearness", "fpr95"] > 0.8
    assert (table["n"] == 60).all()
    assert table["validation_auroc"].isna().all()  # no validation row is out of scope here


def test_turning_away_costs_what_it_turns_away(judged: Judged, familiar: pd.DataFrame):
    accuracy = judged.correct("lora", "test").mean()
    good = familiar["energy"].to_numpy()
    assert scope.turning_away(judged, "lora", good, 0.0) == {"in_scope": accuracy, "recall": 1.0}
    assert scope.turning_away(judged, "lora", good, 9.0) == {"in_scope": 0.0, "recall": 1.0}
    table = scope.judge(judged, "lora", familiar)
    assert table is not None
    assert table.loc["energy", "in_scope"] == pytest.approx(0.95 * accuracy, abs=0.03)
    curve = scope.trade_off(judged, "lora", familiar["nearness"].to_numpy())
    assert curve["recall"].is_monotonic_increasing
    assert curve["in_scope"].is_monotonic_decreasing


@pytest.fixture(scope="module")
def held() -> tuple[Judged, pd.DataFrame]:
    """Contrast tells the validation rows apart, energy the test rows, and neither the others."""
    rows = messages(300, 400, outside=60, held=30)
    judged = gather({"lora": frame(rows, 0.9, 1)}, rows, no_gold(), record(rows))
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(3, len(judged.rows))) * 0.1
    beyond = {split: judged.mask(split, in_scope=False) for split in ("validation", "test")}
    parts = {
        "energy": np.where(beyond["test"], -1.0, 1.0) + noise[0],
        "nearness": noise[1],
        "contrast": np.where(beyond["validation"], -1.0, 1.0) + noise[2],
    }
    found = pd.DataFrame({"id": judged.rows["id"]} | parts)
    return judged, scope.scores(judged, "lora", AS_IT_IS, found)


def test_validation_rows_choose_the_guard_and_set_its_threshold(held):
    judged, familiar = held
    table = scope.judge(judged, "lora", familiar)
    assert table["auroc"].idxmax() == "energy"
    assert table.loc["contrast", "validation_auroc"] == 1
    guard = scope.guard(judged, "lora", familiar)
    assert guard["score"] == "contrast"  # what the test rows would choose is not asked
    assert (guard["validation_auroc"], guard["validation_n"], guard["n"]) == (1, 30, 60)
    assert guard["auroc"] == table.loc["contrast", "auroc"] < 0.7
    inside = familiar["contrast"][judged.mask("validation")]
    assert (inside >= guard["threshold"]).mean() == pytest.approx(0.95, abs=0.01)
    assert guard["threshold"] == round(guard["threshold"], 6) <= inside.quantile(0.06)


def test_service_counts_messages_of_no_known_class_as_misrouted(held):
    judged, familiar = held
    guard = scope.guard(judged, "lora", familiar)
    kept = familiar["contrast"] >= guard["threshold"]
    inside, outside = judged.mask("test"), judged.mask("test", in_scope=False)
    assert guard["kept"] == kept[inside].mean()
    assert guard["recall"] == pytest.approx(1 - kept[outside].mean())
    served = scope.served(judged, "lora", familiar, guard, 0.1)
    assert served.threshold is not None
    sure = kept & (familiar["confidence"] >= served.threshold)
    assert served.automated == sure[inside | outside].sum()
    assert served.coverage == pytest.approx(sure[inside | outside].mean())
    wrong = (~judged.correct("lora", "test")[sure[inside]]).sum()
    assert served.wrong == wrong + sure[outside].sum()
    assert sure[outside].sum() > 0  # the guard of this sample is blind to the test rows' strangers


def test_the_threshold_is_chosen_behind_the_guard_on_both_kinds_of_validation_messages(held):
    judged, familiar = held
    guard = scope.guard(judged, "lora", familiar)
    behind = scope.served(judged, "lora", familiar, guard, 0.1)
    without = scope.served(judged, "lora", familiar, None, 0.1)
    # Thirty strangers among 330 validation messages alone are nearly a tenth of errors.
    assert without.threshold is None or without.threshold > behind.threshold
    closed = scope.served(judged, "lora", familiar, guard | {"threshold": np.inf}, 0.1)
    assert (closed.threshold, closed.coverage, closed.risk) == (None, 0, None)


def test_copies_do_not_make_service_surer(held):
    judged, familiar = held
    guard = scope.guard(judged, "lora", familiar)
    copied = Judged(
        judged.rows.assign(cluster=np.arange(len(judged.rows)) // 5), judged.classes, judged.models
    )
    one, five = (scope.served(j, "lora", familiar, guard, 0.1) for j in (judged, copied))
    assert one.threshold is not None
    assert five.threshold is None or five.threshold > one.threshold


def test_few_rows_or_no_better_than_chance_choose_no_guard(held, judged, familiar):
    assert scope.guard(judged, "lora", familiar) is None  # no validation row can choose
    held_rows, scores = held
    backwards = (
        -scores.abs() * np.where(held_rows.mask("validation", in_scope=False), 0, 1)[:, None]
    )
    assert scope.guard(held_rows, "lora", backwards) is None
    rows = messages(300, 400, held=30)  # no test row is out of scope: the guard is there, unjudged
    alone = gather({"lora": frame(rows, 0.9, 1)}, rows, no_gold(), record(rows))
    found = scope.scores(alone, "lora", AS_IT_IS, None)
    found["confidence"] = np.where(alone.mask("validation", in_scope=False), 0.1, 0.9)
    guard = scope.guard(alone, "lora", found)
    assert (guard["score"], guard["n"], guard["auroc"]) == ("confidence", 0, None)


def test_without_rows_out_of_scope_there_is_nothing_to_judge(judged: Judged):
    rows = judged.rows.assign(label="card")
    known = Judged(rows, judged.classes, judged.models)
    assert scope.judge(known, "lora", scope.scores(known, "lora", AS_IT_IS, None)) is None


def test_joint_adds_energy_and_contrast_in_deviations_of_the_validation_rows(judged: Judged):
    generator = np.random.default_rng(1)
    wide, narrow = generator.normal(size=(2, len(judged.rows)))
    parts = {"energy": 3 + 20 * wide, "nearness": 5.0, "contrast": 0.01 * narrow}
    found = pd.DataFrame({"id": judged.rows["id"]} | parts)
    held = judged.mask("validation")
    joint = scope.scores(judged, "lora", AS_IT_IS, found)["joint"]
    expected = sum(found[name] / found[name][held].std(ddof=0) for name in ("energy", "contrast"))
    np.testing.assert_allclose(joint, expected, atol=1e-3)  # its units are rounded
    same = scope.scores(judged, "lora", AS_IT_IS, found.assign(energy=9.0, contrast=0.0))
    assert np.isfinite(same["joint"]).all()
