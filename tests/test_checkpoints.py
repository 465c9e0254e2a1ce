"""What a killed training goes on from: known to the byte, whenever the kill came."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_distributed import summary
from test_finetune import ENCODER, TEXTS, TRAIN
from test_training import SETTINGS, train

from roadworthy import soup
from roadworthy.checkpoints import Best, resumed
from roadworthy.models.encoder import SentenceEncoder
from roadworthy.models.network import centroids

# Two networks, ten epochs of three steps each; a checkpoint after two of the three.
LONG = replace(SETTINGS, networks=2, max_epochs=10, patience=10)
SAVES = 20


def learn(folder: Path | None) -> dict[str, object]:
    """A soup, and all that is said of it, as JSON."""
    start = centroids(SentenceEncoder(ENCODER)(TEXTS), 1 - TRAIN.y, 2)
    return summary(soup.train(TRAIN, TRAIN, start, ENCODER, LONG, 0, folder)[0])


@pytest.fixture(scope="module")
def start() -> torch.Tensor:
    return centroids(SentenceEncoder(ENCODER)(TEXTS), TRAIN.y, 2)


@pytest.fixture
def left(start: torch.Tensor, killed: Callable[..., None], tmp_path: Path) -> Path:
    """The folder of a training that was killed in its sixth step, three to an epoch."""
    killed(6, lambda: train(start, tmp_path))
    return tmp_path


def go_on(folder: Path, processes: int = 1) -> tuple[int, int] | None:
    """The epoch and the batch that a training would go on at; None: from the start."""
    tokens = SimpleNamespace(sampler=SimpleNamespace(epoch=0, skip=0))
    trainer = SimpleNamespace(world_size=processes, is_global_zero=True)
    found = resumed(folder, tokens, 3, trainer)
    assert found in (None, str(folder / "last.ckpt"))
    return (tokens.sampler.epoch, tokens.sampler.skip) if found else None


def test_what_is_not_the_checkpoint_that_was_written_is_said(
    left: Path, caplog: pytest.LogCaptureFixture
):
    assert sorted(path.name for path in left.iterdir()) == ["last.ckpt", "last.sha256"]
    assert go_on(left) == (1, 2)
    path = left / "last.ckpt"
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 20):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert go_on(left) is None
    path.write_bytes(whole)
    assert go_on(left, processes=2) is None
    (left / "last.sha256").unlink()
    assert go_on(left) is None
    said = [one.message for one in caplog.records if one.name == "roadworthy"]
    assert all("training starts from the beginning" in one and str(path) in one for one in said)
    assert [one for one in said[:-2] if "it is damaged" not in one] == []
    assert "another number of processes wrote it" in said[-2]
    assert "No such file" in said[-1]
    path.unlink()
    assert go_on(left) is None
    assert len(caplog.records) == len(said)  # nothing there, nothing to say


def test_killed_while_it_saves_the_checkpoint_before_is_known(left: Path):
    with (left / "last.sha256").open("a") as file:
        file.write("\n" + "0" * 64 + "\n")  # of a draft that was not renamed any more
    (left / "last.draft").write_bytes(b"half a checkpoint")
    assert go_on(left) == (1, 2)
    with (left / "last.sha256").open("a") as file:
        file.write("\n0000")
    assert go_on(left) == (1, 2)


def test_half_a_hash_does_not_spoil_the_next(left: Path, start: torch.Tensor):
    with (left / "last.sha256").open("a") as file:
        file.write("\n0000")
    train(start, left)
    assert go_on(left) == (2, 2)
    assert sorted(path.name for path in left.iterdir()) == ["last.ckpt", "last.sha256"]


def test_the_first_of_the_best_epochs_is_kept_in_the_checkpoint():
    module, best = torch.nn.Linear(1, 1), Best()
    module.bias.requires_grad = False
    for epoch, accuracy in enumerate((0.0, 0.5, 0.9, 0.9, 0.7)):
        torch.nn.init.constant_(module.weight, epoch)
        metrics = {"validation_accuracy": torch.tensor(accuracy)}
        best.on_validation_end(SimpleNamespace(callback_metrics=metrics), module)
    again = Best()
    again.load_state_dict(best.state_dict())
    assert again.accuracy == pytest.approx(0.9)
    assert {name: value.item() for name, value in again.weights.items()} == {"weight": 2.0}


def test_the_best_epoch_before_a_kill_is_the_one_that_is_kept(
    left: Path, start: torch.Tensor, monkeypatch: pytest.MonkeyPatch
):
    """None that comes after the kill is better: its weights come out of the checkpoint."""
    kept = torch.load(left / "last.ckpt", weights_only=True)["callbacks"]["Best"]
    assert kept["accuracy"] > 0
    monkeypatch.setattr(Best, "on_validation_end", lambda *_: None)
    named = dict(train(start, left).network.named_parameters())
    for name, value in kept["weights"].items():
        torch.testing.assert_close(named[name.removeprefix("network.")], value, atol=0, rtol=0)


def killed_at(script: str, hashes: Path, saves: int) -> None:
    """Run a script and kill it, for real, once it has written so many checkpoints there."""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        while not hashes.exists() or len(hashes.read_text().split()) < saves:
            assert process.poll() is None
            time.sleep(0.005)
    finally:
        process.kill()
    assert process.wait() == -9


@pytest.mark.slow
def test_a_process_that_is_killed_twice_ends_as_if_it_had_not_been(tmp_path: Path):
    """Once in the first network, once in the second."""
    script = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_checkpoints import learn
result = learn(Path({str(tmp_path)!r}))
Path({str(tmp_path / "result.json")!r}).write_text(json.dumps(result))
"""
    hashes = [tmp_path / str(number) / "last.sha256" for number in (0, 1)]
    killed_at(script, hashes[0], 5)
    assert not hashes[1].exists()
    killed_at(script, hashes[1], 9)
    assert not (tmp_path / "result.json").exists()
    subprocess.run([sys.executable, "-c", script], check=True, stderr=subprocess.DEVNULL)
    whole = learn(None)
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(whole))
    assert whole["counts"][2] == 60
    for file in hashes:  # each went on where it was: from the start, there would be five more
        assert SAVES <= len(file.read_text().split()) <= SAVES + 3
