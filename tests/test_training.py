"""A training that was killed goes on, and ends where it would have ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_finetune import ENCODER, TEXTS, TRAIN

from roadworthy import drafts, finetune, training
from roadworthy.models.encoder import SentenceEncoder
from roadworthy.models.lora import fresh_network
from roadworthy.models.network import centroids
from roadworthy.settings import Finetune, Lora
from roadworthy.tokens import LengthBuckets, Tokens
from roadworthy.training import Trained, fit

# Three steps an epoch, three epochs; dropout, so that random numbers matter.
SETTINGS = Finetune(
    lora=Lora(r=2, dropout=0.2, layers=2),
    token_dropout=0.2,
    max_epochs=3,
    batch_size=4,
    learning_rate=5e-3,
    checkpoint_steps=1,
)


@pytest.fixture(scope="module")
def start() -> torch.Tensor:
    return centroids(SentenceEncoder(ENCODER)(TEXTS), TRAIN.y, 2)


def train(start: torch.Tensor, folder: Path | None, judged: bool = True) -> Trained:
    network, tokenizer = fresh_network(ENCODER, SETTINGS.lora, start, 20.0, 0)
    tokens = Tokens(tokenizer, network, TRAIN, TRAIN if judged else None, 16, 4, 0)
    return fit(network, tokens, SETTINGS, "cpu", 0, folder)


def weights(result: Trained) -> dict[str, np.ndarray]:
    return {
        name: p.detach().numpy() for name, p in result.network.named_parameters() if p.requires_grad
    }


@pytest.fixture(scope="module")
def whole(start: torch.Tensor) -> Trained:
    return train(start, None)


@pytest.mark.parametrize(
    "step", [5, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 3, 8, 9))]
)
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(
    start: torch.Tensor, whole: Trained, step: int, tmp_path: Path, killed: Callable[..., None]
):
    if step < 9:
        killed(step + 1, lambda: train(start, tmp_path))  # that of the step before is there
    else:
        train(start, tmp_path)  # killed after the last step: nothing is left to do
    assert (tmp_path / "last.ckpt").exists()
    again = train(start, tmp_path)
    assert (again.steps, again.examples, again.tokens) == (
        whole.steps,
        whole.examples,
        whole.tokens,
    )
    assert again.curve.equals(whole.curve)
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(weights(again)[name], value, err_msg=name)


@pytest.mark.slow
def test_a_damaged_checkpoint_means_from_the_start(
    start: torch.Tensor, whole: Trained, tmp_path: Path
):
    (tmp_path / "last.ckpt").write_bytes(b"PK no checkpoint")
    again = train(start, tmp_path)
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(weights(again)[name], value, err_msg=name)


@pytest.mark.slow
def test_without_validation_rows_the_last_weights_stay(start: torch.Tensor):
    result = train(start, None, judged=False)
    assert result.steps == 9
    assert result.best_epochs == [2]
    assert result.curve["validation_accuracy"].isna().all()


def test_weighted_rows_count_by_their_weight(start: torch.Tensor):
    """Rows of weight zero teach nothing: the same as if they had other labels."""
    half = np.arange(12) % 3 == 0
    other = np.where(half, 1 - TRAIN.y, TRAIN.y)
    ends = []
    for y in (TRAIN.y, other):
        rows = type(TRAIN)(TEXTS, y, 2, np.where(half, 0.0, 1.0))
        network, tokenizer = fresh_network(ENCODER, SETTINGS.lora, start, 20.0, 0)
        tokens = Tokens(tokenizer, network, rows, None, 16, 4, 0)
        ends.append(weights(fit(network, tokens, SETTINGS, "cpu", 0)))
    for name, value in ends[0].items():
        np.testing.assert_array_equal(ends[1][name], value, err_msg=name)


def test_the_sampler_winds_on():
    lengths = list(range(100))
    one, two = LengthBuckets(lengths, 8, 5), LengthBuckets(lengths, 8, 5)
    passes = [list(one) for _ in range(3)]
    two.epoch, two.skip = 1, 4
    assert list(two) == passes[1][4:]
    assert list(two) == passes[2]


def test_the_key_tells_trainings_apart_by_all_that_matters_and_no_more():
    def key(train=TRAIN, validation=TRAIN, settings=SETTINGS, seed=0):
        return finetune.key(train, validation, settings, ENCODER, seed)

    backwards = type(TRAIN)(TEXTS[::-1], TRAIN.y[::-1], 2)
    weighted = type(TRAIN)(TEXTS, TRAIN.y, 2, np.full(12, 0.5))
    others = [key(backwards), key(weighted), key(validation=backwards), key(seed=1)]
    others.append(key(settings=replace(SETTINGS, learning_rate=1e-3)))
    assert len({key(), *others}) == 6
    assert key(settings=replace(SETTINGS, checkpoint_steps=7, behaviour_rows=3)) == key()


def test_one_training_at_a_time_has_the_folder_and_abandoned_ones_go(project: Path):
    with drafts.checkpoints("finetune", "old") as folder:
        assert folder is not None
        (folder / "last.ckpt").write_bytes(b"x")
        with drafts.checkpoints("finetune", "old") as second:
            assert second is None
    assert (folder / "last.ckpt").exists()  # until the stage is published
    with drafts.checkpoints("finetune", "new") as folder:
        assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["new"]


@pytest.mark.slow
def test_an_unsuitable_checkpoint_means_from_the_start(
    start: torch.Tensor, whole: Trained, tmp_path: Path
):
    torch.save({"global_step": 2}, tmp_path / "last.ckpt")
    again = train(start, tmp_path)
    assert again.curve.equals(whole.curve)


@pytest.mark.parametrize(("capable", "warned"), [(False, 1), (True, 0)])
def test_bf16_on_a_processor_without_it_is_said(
    start: torch.Tensor,
    capable: bool,
    warned: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable})
    monkeypatch.setattr(training, "_fit", lambda *_: None)
    network, _ = fresh_network(ENCODER, SETTINGS.lora, start, 20.0, 0)
    for precision in ("bf16-mixed", "32-true"):
        fit(network, None, replace(SETTINGS, precision=precision), "cpu", 0)
    said = [one.message for one in caplog.records if one.name == "roadworthy"]
    assert said == [training.SLOW] * warned
