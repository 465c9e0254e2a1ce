"""How the network is trained: the recipe, its progress, and what training leaves behind.

Length-bucketed batches, AdamW on adapters and class vectors only, label smoothing, a linear
schedule, the epoch with the best validation accuracy kept.
"""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from tqdm import tqdm

from roadworthy import distributed
from roadworthy.checkpoints import LAST, Best, Checkpoints, resumed
from roadworthy.errors import UserError
from roadworthy.models.lora import interpolate
from roadworthy.models.network import IntentNetwork
from roadworthy.recipe import Recipe
from roadworthy.settings import Finetune
from roadworthy.tokens import Tokens

log = logging.getLogger("roadworthy")
QUIET = (
    ".*does not have many workers.*",
    ".*treespec, LeafSpec.*",
    "Total length of .* is zero",
    "You're resuming from a checkpoint that ended before the epoch ended",
    "It is recommended to use `self.log.*sync_dist=True",
)
"""Warnings of Lightning's that say nothing here: ``resumed`` winds the data on, and what is logged
is that of all processes."""

SLOW = "finetune.precision=bf16-mixed, and this processor has no bf16: 32-true is many times faster"


class Progress(pl.Callback):
    """One progress bar over all steps of all networks: the time to go is that of the whole.

    By the mean speed, as batches are of different lengths; steps of an earlier run, which was
    killed, are done, but say nothing of the speed.
    """

    def __init__(self, networks: int = 1) -> None:
        """``networks`` are trained one after another, each with the same number of steps."""
        self.networks, self.trained, self.total, self.skipped = networks, 0, 0, 0
        self.bar = tqdm(disable=True)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the bar with the first network, and pass over the steps of an earlier run."""
        if not self.trained:
            self.total = self.networks * int(trainer.estimated_stepping_batches)
            # Without miniters, tqdm would wait for as many steps as it was ever told of at once.
            self.bar = tqdm(
                total=self.total,
                desc="fine-tune",
                unit="step",
                smoothing=0,
                miniters=1,
                disable=not trainer.is_global_zero,  # one bar, however many processes
            )
        self.skipped += trainer.global_step
        self.bar.n += trainer.global_step
        self.bar.initial = self.skipped
        self.bar.refresh()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:  # noqa: ANN401
        """One step further."""
        self.bar.update()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the validation accuracy."""
        self.bar.set_postfix(
            validation_accuracy=f"{float(trainer.callback_metrics['validation_accuracy']):.4f}"
        )

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take off the steps of a network that stopped early; close the bar after the last one."""
        self.trained += 1
        self.total -= int(trainer.estimated_stepping_batches) - trainer.global_step
        self.bar.total = self.total
        if self.trained == self.networks:
            self.bar.close()


@dataclass(frozen=True)
class Trained:
    """What training leaves behind; where ``soup`` averages several, they are counted together."""

    network: IntentNetwork
    """With the best epoch's weights."""
    curve: pd.DataFrame
    best_epochs: list[int]
    steps: int
    examples: int
    """Training rows seen, repeats counted."""
    tokens: int
    """Training tokens seen, padding not counted."""
    trainable: int
    total: int


def fit(
    network: IntentNetwork,
    tokens: Tokens,
    settings: Finetune,
    accelerator: str,
    seed: int,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train until the epochs or the patience run out, and restore the best epoch's weights.

    Without validation rows all epochs are run and the last weights stay. Either way they then go
    back towards the start as far as ``settings.interpolation`` says.

    Args:
        network: the untrained network.
        tokens: training and validation rows.
        settings: the recipe, and in how many processes.
        accelerator: ``cpu`` or ``cuda``, as torch names it.
        seed: of dropout; each further process has the next one.
        folder: of this training alone, on the same rows from the same start: a run that was killed
            goes on from the last checkpoint there and ends with the same weights. None: from the
            start.
        progress: the bar of all networks, where this is one of several; None: one of its own.

    Raises:
        UserError: ``settings.trainer`` asks for what this machine or session cannot do.

    """
    distributed.check(settings.trainer, accelerator)
    able = any(has for name, has in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    if settings.precision == "bf16-mixed" and accelerator == "cpu" and not able:
        log.warning(SLOW)
    if settings.precision == "16-mixed" and accelerator == "cpu":
        raise UserError("finetune.precision = 16-mixed needs a GPU: set bf16-mixed or 32-true")
    folder = folder if distributed.resumable(settings.trainer) else None
    task = (network, tokens, settings, accelerator, seed, folder)
    with distributed.company(settings.trainer, _fit, *task):
        return _fit(*task, progress)


def _fit(
    network: IntentNetwork,
    tokens: Tokens,
    settings: Finetune,
    accelerator: str,
    seed: int,
    folder: Path | None,
    progress: Progress | None = None,
) -> Trained:
    """What every process does; each returns the same."""
    per_epoch = math.ceil(len(tokens.train) / settings.batch_size)
    epochs = min(settings.max_epochs, math.ceil(settings.max_steps / per_epoch))
    network.train()  # a pretrained transformer comes in evaluation mode, its dropout off
    recipe = Recipe(network, settings, epochs * per_epoch)
    best = Best()
    callbacks: list[pl.Callback] = [progress or Progress()]
    if tokens.validation:
        stop = EarlyStopping("validation_accuracy", mode="max", patience=settings.patience)
        callbacks = [best, stop, *callbacks]
    if folder:
        callbacks.append(Checkpoints(folder / LAST, settings.checkpoint_steps))
    trainer = _trainer(settings, epochs, accelerator, callbacks)
    pl.seed_everything(seed + trainer.global_rank, workers=True, verbose=False)
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        last = resumed(folder, tokens, per_epoch, trainer) if folder else None
        trainer.fit(recipe, datamodule=tokens, ckpt_path=last, weights_only=True)
    recipe.load_state_dict(best.weights, strict=False)
    interpolate(network, settings.interpolation)
    seen = distributed.gathered((recipe.examples, recipe.tokens))
    curve = pd.DataFrame(recipe.curve)
    best_row = int(curve["validation_accuracy"].argmax()) if tokens.validation else -1
    parameters = [(p.numel(), p.requires_grad) for p in network.parameters()]
    return Trained(
        network=network.cpu(),
        curve=curve,
        best_epochs=[int(curve["epoch"].iloc[best_row])],
        steps=int(trainer.global_step),
        examples=sum(examples for examples, _ in seen),
        tokens=sum(count for _, count in seen),
        trainable=sum(count for count, trained in parameters if trained),
        total=sum(count for count, _ in parameters),
    )


def _trainer(
    settings: Finetune, epochs: int, accelerator: str, callbacks: list[pl.Callback]
) -> pl.Trainer:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)  # adverts and hardware listings
    return pl.Trainer(
        max_epochs=epochs,
        accelerator=accelerator,
        devices=settings.trainer.devices,
        num_nodes=settings.trainer.num_nodes,
        strategy=distributed.strategy(settings.trainer),
        use_distributed_sampler=False,  # each process takes its part of a batch, see tokens
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=1.0,
        deterministic=True,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,  # Checkpoints does it
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
