"""Several trainings, one network: the mean of what they have learnt."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from peft import PeftModel
from test_finetune import ENCODER, TEXTS, TRAIN, logits
from test_training import SETTINGS, weights
from tqdm import tqdm

from roadworthy import soup
from roadworthy.models.encoder import SentenceEncoder, load_transformer, model_folder
from roadworthy.models.lora import merge, save_adapter
from roadworthy.models.network import IntentNetwork, centroids
from roadworthy.plots.finetune import learning_curve
from roadworthy.training import Progress, Trained

ONE = replace(SETTINGS, max_epochs=2, interpolation=0.8)
TWO = replace(ONE, networks=2)


@pytest.fixture(scope="module")
def start() -> torch.Tensor:
    return centroids(SentenceEncoder(ENCODER)(TEXTS), TRAIN.y, 2)


@pytest.fixture(scope="module")
def both(start: torch.Tensor) -> Trained:
    return soup.train(TRAIN, TRAIN, start, ENCODER, TWO, 0)[0]


def merged(network: IntentNetwork) -> dict[str, torch.Tensor]:
    merge(network)
    return {name: value.double() for name, value in network.state_dict().items()}


def test_the_weights_are_the_mean_of_trainings_that_differ_by_their_seed(
    start: torch.Tensor, both: Trained
):
    own = [soup.train(TRAIN, TRAIN, start, ENCODER, ONE, seed) for seed in (0, soup.APART)]
    assert both.steps == 2 * own[0][0].steps == 12
    assert both.best_epochs == [one.best_epochs[0] for one, _ in own]
    classes = both.network.prototypes.numel()
    assert both.trainable - classes == 2 * (own[0][0].trainable - classes)
    assert both.total - both.trainable == own[0][0].total - own[0][0].trainable
    np.testing.assert_array_equal(both.curve["network"], [0, 0, 1, 1])
    for number, (one, _) in enumerate(own):
        mine = both.curve[both.curve["network"] == number]
        np.testing.assert_array_equal(mine["train_loss"], one.curve["train_loss"])
    network = copy.deepcopy(both.network)  # merging is in place
    answers = logits(network, own[0][1])
    first, second = (merged(one.network) for one, _ in own)
    moved = 0.0
    for name, value in merged(network).items():
        torch.testing.assert_close(value, (first[name] + second[name]) / 2, atol=2e-7, rtol=1e-5)
        moved = max(moved, float((first[name] - second[name]).abs().max()))
    assert moved > 1e-4
    np.testing.assert_allclose(logits(network, own[0][1]), answers, atol=1e-4)


def test_the_adapter_read_back_is_the_mean(both: Trained, tmp_path: Path):
    """Its rank is that of both together, and its file says so."""
    save_adapter(both.network, tmp_path)
    again = PeftModel.from_pretrained(
        load_transformer(model_folder(ENCODER))[1], tmp_path, local_files_only=True
    )
    own = both.network.transformer.state_dict()
    adapters = [name for name in own if "lora_" in name]
    assert adapters
    for name in adapters:
        torch.testing.assert_close(again.state_dict()[name], own[name])
    assert again.peft_config["default"].r == 2 * ONE.lora.r


def test_without_rows_to_judge_by_every_last_epoch_stays(start: torch.Tensor):
    result, _ = soup.train(TRAIN, None, start, ENCODER, TWO, 0)
    assert result.best_epochs == [1, 1]
    assert result.curve["validation_accuracy"].isna().all()


def test_the_learning_curve_has_a_line_a_network_and_marks_what_is_kept(both: Trained):
    figure = learning_curve(both.curve, both.best_epochs, 0.5)
    left, right = figure.axes
    assert len(left.lines) == 2
    assert len(right.lines) == 3  # the probe's as well
    points = np.concatenate([dots.get_offsets().data for dots in right.collections])
    kept = both.curve["epoch"] == np.repeat(both.best_epochs, 2)
    np.testing.assert_allclose(points[:, 0], both.curve["step"][kept])
    np.testing.assert_allclose(points[:, 1], 100 * both.curve["validation_accuracy"][kept])


@pytest.mark.slow
@pytest.mark.parametrize("step", [4, 10])
def test_a_killed_soup_goes_on_in_the_network_it_was_at(
    start: torch.Tensor,
    both: Trained,
    step: int,
    tmp_path: Path,
    killed: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
):
    kept, steps = weights(both), []
    killed(step, lambda: soup.train(TRAIN, TRAIN, start, ENCODER, TWO, 0, tmp_path))
    monkeypatch.setattr(Progress, "on_train_batch_end", lambda *_: steps.append(1))
    again, _ = soup.train(TRAIN, TRAIN, start, ENCODER, TWO, 0, tmp_path)
    assert 0 < len(steps) <= 12 - step + 3  # a step of each network's is lost, and what was cut off
    assert again.curve.equals(both.curve)
    for name, value in kept.items():
        np.testing.assert_array_equal(weights(again)[name], value, err_msg=name)


class Bar(tqdm):
    """One that is remembered as long as it was told to show itself."""

    shown: ClassVar[list[Bar]] = []

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        if not self.disable:
            self.shown.append(self)


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    monkeypatch.setattr("roadworthy.training.tqdm", Bar)
    Bar.shown.clear()
    return Bar.shown


def test_one_bar_covers_the_steps_of_all_networks(start: torch.Tensor, bars: list[Bar]):
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        update = Bar.update
        patch.setattr(Bar, "update", lambda bar: (seen.append((bar.n, bar.total)), update(bar)))
        soup.train(TRAIN, TRAIN, start, ENCODER, TWO, 0)
    (bar,) = bars
    assert seen == [(step, 12) for step in range(12)]
    assert (bar.n, bar.total, bar.initial) == (12, 12, 0)
    assert bar.disable  # it is closed
    assert bar.format_dict["rate"] is None  # the time to go is by the mean speed


def test_a_network_that_stops_early_is_taken_off_the_bar(start: torch.Tensor, bars: list[Bar]):
    never = replace(TWO, learning_rate=0.0, max_epochs=9, patience=1)
    assert soup.train(TRAIN, TRAIN, start, ENCODER, never, 0)[0].steps == 12
    (bar,) = bars
    assert (bar.n, bar.total, bar.disable) == (12, 12, True)


def test_what_an_earlier_run_did_is_done_but_says_nothing_of_the_speed(
    start: torch.Tensor, tmp_path: Path, killed: Callable[..., None], bars: list[Bar]
):
    """Three steps an epoch, a checkpoint after the first two; killed in the second network."""
    killed(10, lambda: soup.train(TRAIN, TRAIN, start, ENCODER, TWO, 0, tmp_path))
    bars.clear()
    soup.train(TRAIN, TRAIN, start, ENCODER, TWO, 0, tmp_path)
    (bar,) = bars
    assert (bar.n, bar.total) == (12, 12)
    assert bar.initial == bar.format_dict["initial"] == 5 + 2
