"""Which score tells messages of no known class apart, on synthetic frames whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frames import frame, messages, no_gold, record

from roadworthy import familiarity, scope
from roadworthy.predictions import Judged, gather


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
    return scope.scores(judged, "lora", 1.0, found)


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


def test_validation_rows_choose_the_guard_and_set_its_threshold(judged: Judged, familiar):
    table = scope.judge(judged, "lora", familiar)
    assert table is not None
    assert scope.guard(judged, familiar, table) is None  # no validation row is out of scope here
    assert scope.guard(judged, familiar, None) is None
    table["validation_auroc"] = [0.7, 0.8, 0.9, 0.6]  # whatever the test rows say
    guard = scope.guard(judged, familiar, table)
    assert guard is not None
    assert guard["score"] == "nearness"
    held = familiar["nearness"][judged.mask("validation")]
    assert (held >= guard["threshold"]).mean() == pytest.approx(0.95, abs=0.01)
    assert guard["auroc"] == table.loc["nearness", "auroc"]
    assert set(guard["spread"]) == {"energy", "nearness"}
    joint = familiarity.joint(familiar, guard["spread"])  # what serving makes of it
    np.testing.assert_allclose(joint, familiar["joint"])


def test_without_rows_out_of_scope_there_is_nothing_to_judge(judged: Judged):
    rows = judged.rows.assign(label="card")
    known = Judged(rows, judged.classes, judged.models)
    assert scope.judge(known, "lora", scope.scores(known, "lora", 1.0, None)) is None


def test_joint_adds_energy_and_contrast_in_deviations_of_the_validation_rows(judged: Judged):
    generator = np.random.default_rng(1)
    wide, narrow = generator.normal(size=(2, len(judged.rows)))
    parts = {"energy": 3 + 20 * wide, "nearness": 5.0, "contrast": 0.01 * narrow}
    found = pd.DataFrame({"id": judged.rows["id"]} | parts)
    held = judged.mask("validation")
    joint = scope.scores(judged, "lora", 1.0, found)["joint"]
    expected = sum(found[name] / found[name][held].std(ddof=0) for name in ("energy", "contrast"))
    np.testing.assert_allclose(joint, expected)
    same = scope.scores(judged, "lora", 1.0, found.assign(energy=9.0, contrast=0.0))
    assert np.isfinite(same["joint"]).all()
