"""Arms are held against one training seed by seed, on rows that no test set has."""

from __future__ import annotations

import json

import numpy as np
import pytest

from roadworthy import ablation
from roadworthy.errors import UserError


def facts(arm: str, seed: int, accuracy: float, log_loss: float) -> ablation.Facts:
    return {"arm": arm, "seed": seed, "accuracy": accuracy, "log_loss": log_loss, "steps": 10}


def test_an_arm_is_held_against_one_training_over_the_seeds_that_both_have():
    other = "no label smoothing"
    found = [facts(ablation.BASE, seed, 0.9 + seed / 100, 0.3) for seed in (0, 1)]
    found += [facts(other, seed, 0.91 + seed / 100, 0.4) for seed in (0, 1, 2)]
    base, own = ablation.lines(found)
    assert base[0] == ablation.BASE
    assert base[2:5] == ["2", "90.50 ± 6.35", "–"]
    assert own[:3] == [other, "`++finetune.label_smoothing=0`", "3"]
    assert own[4] == "1.00 ± 0.00"
    assert own[6] == "0.100 ± 0.000"


def test_scores_by_hand():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, 3))
    y = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)  # as the logits say
    found = ablation.scores(logits, y)
    assert found["accuracy"] == pytest.approx((logits.argmax(axis=1) == y).mean())
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    best = -np.log(said[np.arange(4000), y]).mean()
    assert found["log_loss"] == pytest.approx(best, abs=0.005)
    # Four times as sure of the same ranking: calibration takes that back.
    assert ablation.scores(4 * logits, y)["log_loss"] == pytest.approx(best, abs=0.005)


def test_an_unknown_arm_is_a_user_error():
    with pytest.raises(UserError, match="no arm 'luck'; there are one training, class vectors"):
        ablation.run([], "banking77", ["luck"], [0])


def test_arms_that_change_nothing_are_a_user_error(monkeypatch):
    monkeypatch.setattr(ablation, "material", lambda data, overrides: None)
    with pytest.raises(UserError, match="no token dropout: nothing of this recipe would change"):
        ablation.run(["finetune.token_dropout=0"], "banking77", ["no token dropout"], [0])


@pytest.mark.slow
def test_each_training_is_made_once_and_test_rows_have_no_part(tiny, monkeypatch):
    short = ["+encoder.threads=1", "finetune.precision=32-true", "+finetune.batch_size=8"]
    short += ["finetune.max_epochs=2", "finetune.networks=1"]
    short += ["baseline.architectures=[majority,tfidf,static,probe]"]
    short += ["++finetune.lora.layers=3"]
    arms = [ablation.BASE, ablation.ANEW, "adapters in the top three layers"]
    message = ablation.run(short, "tiny", arms, [0])
    # The last arm changes nothing of this recipe.
    assert message == "reports/tables/ablation.md written from 2 trainings"
    page = (tiny / ablation.TABLE).read_text()
    assert "--arms 'one training' 'class vectors at random' --seeds 0`" in page
    (first, *_) = sorted((tiny / "scratch").rglob("ablation/*/facts.json"))
    told = json.loads(first.read_text())
    assert told["train_rows"] + told["rows"] < 30 + 18
    monkeypatch.setattr(ablation, "train", None)  # nothing may be trained again
    before = (tiny / ablation.TABLE).read_bytes()
    ablation.run(short, "tiny", arms, [0])
    assert (tiny / ablation.TABLE).read_bytes() == before
