"""Two processes learn what one learns: in a test, in a Jupyter kernel, and after a kill."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from nbclient import NotebookClient
from test_finetune import ENCODER, TEXTS, TRAIN
from test_training import weights

from roadworthy import distributed
from roadworthy.config import compose, parse
from roadworthy.errors import UserError
from roadworthy.models.encoder import SentenceEncoder
from roadworthy.models.lora import fresh_network
from roadworthy.models.network import centroids
from roadworthy.settings import Finetune, Lora, Trainer
from roadworthy.tokens import IGNORED, Tokens, collate
from roadworthy.training import Trained, fit

TWO = Trainer(devices=2)
# Batches of eleven rows and one: every second batch has fewer rows than there are processes.
SETTINGS = Finetune(
    lora=Lora(r=2, layers=2), max_epochs=3, batch_size=11, learning_rate=2e-3, checkpoint_steps=1
)


def train(trainer: Trainer, dropout: float, folder: Path | None = None) -> Trained:
    """From class vectors that are the wrong way round, so that there is something to learn."""
    start = centroids(SentenceEncoder(ENCODER)(TEXTS), 1 - TRAIN.y, 2)
    network, tokenizer = fresh_network(ENCODER, SETTINGS.lora, start, 20.0, 0)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    rows = type(TRAIN)(TEXTS, TRAIN.y, 2, np.linspace(0.5, 1.5, 12))
    tokens = Tokens(tokenizer, network, rows, TRAIN, 16, SETTINGS.batch_size, 0)
    return fit(network, tokens, replace(SETTINGS, trainer=trainer), "cpu", 0, folder)


def summary(result: Trained) -> dict[str, object]:
    """What the notebook of the test below hands over as JSON."""
    counts = (result.examples, result.tokens, result.steps, result.best_epochs)
    values = {name: value.tolist() for name, value in weights(result).items()}
    return {"counts": counts, "curve": result.curve.to_dict("list"), "weights": values}


@pytest.fixture(scope="module")
def one() -> dict[str, object]:
    return summary(train(Trainer(), dropout=0.0))


def agree(one: dict, two: dict) -> None:
    assert tuple(two["counts"]) == tuple(one["counts"])  # each row once, by one of the two
    pd.testing.assert_frame_equal(
        pd.DataFrame(two["curve"]), pd.DataFrame(one["curve"]), check_exact=False, atol=1e-4
    )
    assert set(two["weights"]) == set(one["weights"])
    for name, value in one["weights"].items():
        np.testing.assert_allclose(two["weights"][name], value, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(one: dict):
    before = {name: os.environ.get(name) for name in ("LOCAL_RANK", *distributed.ADDRESS)}
    two = summary(train(TWO, dropout=0.0))
    agree(one, two)
    assert one["counts"][0] == 36
    assert not torch.distributed.is_initialized()
    assert {name: os.environ.get(name) for name in before} == before


@pytest.mark.slow
def test_two_processes_out_of_a_notebook(one: dict, tmp_path: Path):
    """A kernel whose torch has used its threads already: the encoder has run in it."""
    cells = [
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})",
        "import torch\nfrom test_distributed import TWO, summary, train\n"
        "torch.set_num_threads(2)\n(torch.rand(800, 800) @ torch.rand(800, 800)).sum()",
        "import json\nfrom pathlib import Path\nresult = train(TWO, dropout=0.0)\n"
        "Path('result.json').write_text(json.dumps(summary(result)))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    agree(one, json.loads((tmp_path / "result.json").read_text()))
    errors = "".join(out.get("text", "") for out in notebook.cells[-1].outputs)
    assert "fine-tune: 100%" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_two_processes_go_on_where_they_were_killed(tmp_path: Path, killed: Callable[..., None]):
    """With dropout, of which each process has its own."""
    whole = train(TWO, dropout=0.2)
    killed(4, lambda: train(TWO, 0.2, tmp_path))  # the third step is the first of the second epoch
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 3
    first, second = kept["recipe"]
    assert first["counts"] != second["counts"]
    assert not torch.equal(first["random"][0], second["random"][0])
    again = train(TWO, 0.2, tmp_path)
    assert summary(again) == summary(whole)
    assert summary(train(Trainer(), 0.2, tmp_path))["counts"][0] == 36  # not theirs: from the start


@pytest.mark.slow
def test_a_lost_process_is_named_and_leaves_nothing_behind():
    """It ends with a TypeError: a network has no length."""
    with (
        pytest.raises(UserError, match=r"training process 1 ended too early \(exit code 1\)"),
        distributed.company(TWO, len, torch.nn.Linear(1, 1)),
    ):
        raise RuntimeError("Connection closed by peer")
    assert "LOCAL_RANK" not in os.environ
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_parts_of_a_batch_are_the_batch(rows: int, ranks: int):
    """Rows once each, and the mean over ranks of weighted means that of the whole."""
    states = [torch.full((2 + n % 3, 4), float(n)) for n in range(rows)]
    batch = [{"row": n, "label": n, "weight": 1.0 + n} for n in range(rows)]
    parts = [collate(states, rank, ranks, batch) for rank in range(ranks)]
    labels = torch.cat([part["label"] for part in parts])
    assert sorted(labels[labels != IGNORED].tolist()) == list(range(rows))
    loss = torch.rand(rows)
    means = [
        torch.where(part["label"] == IGNORED, 0.0, loss[part["label"] % rows] * part["weight"])
        for part in parts
    ]
    whole = (loss * (1.0 + torch.arange(rows))).mean()
    assert torch.stack([mean.mean() for mean in means]).mean() == pytest.approx(float(whole))
    assert (labels == IGNORED).sum() == max(0, ranks - rows)


def test_one_process_has_the_batch_to_the_bit():
    states = [torch.ones(2, 4)] * 3
    batch = [{"row": n, "label": n, "weight": weight} for n, weight in enumerate((0.1, 0.7, 1 / 3))]
    assert collate(states, 0, 1, batch)["weight"].tolist() == pytest.approx(
        torch.tensor([0.1, 0.7, 1 / 3]).tolist(), abs=0
    )


def test_what_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"devices = 2, but torch sees 1 GPU"):
        distributed.check(TWO, "cuda")
    distributed.check(TWO, "cpu")
    with pytest.raises(UserError, match=r"MASTER_ADDR, MASTER_PORT, NODE_RANK is not set"):
        distributed.check(Trainer(num_nodes=2), "cpu")
    for name in distributed.ADDRESS:
        monkeypatch.setenv(name, "0")
    distributed.check(Trainer(num_nodes=2), "cpu")
    distributed.check(Trainer(strategy="ddp"), "cpu")
    monkeypatch.setattr("sys.ps1", "In : ", raising=False)
    with pytest.raises(UserError, match="cannot be used in a notebook"):
        distributed.check(Trainer(strategy="ddp"), "cpu")


def test_it_is_configuration():
    tree = compose(["finetune.trainer.devices=2"])
    assert parse(tree).finetune.trainer == TWO
    assert parse(tree).clean.tuned.recipe.trainer == Trainer()
    tree["finetune"]["trainer"]["strategy"] = "dp"
    with pytest.raises(UserError, match=r"finetune\.trainer\.strategy = 'dp' is not one of 'auto'"):
        parse(tree)


def test_one_process_is_no_ddp():
    assert distributed.strategy(Trainer()) == "auto"
    assert isinstance(distributed.strategy(TWO), distributed.Joined)
    assert distributed.strategy(Trainer(devices=2, strategy="ddp")) == "ddp"
    assert distributed.gathered("alone") == ["alone"]
    with distributed.company(Trainer(), len, torch.nn.Linear(1, 1)):
        assert "LOCAL_RANK" not in os.environ
