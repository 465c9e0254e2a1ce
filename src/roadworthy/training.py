"""How the network is trained: the recipe, its progress, and what training leaves behind.

Length-bucketed batches, AdamW on adapters and class vectors only, label smoothing, a linear
schedule, the epoch with the best validation accuracy kept.
"""

from __future__ import annotations

import logging
import math
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from tqdm import tqdm

from roadworthy import distributed
from roadworthy.models.lora import interpolate
from roadworthy.models.network import IntentNetwork
from roadworthy.recipe import Recipe
from roadworthy.settings import Finetune
from roadworthy.tokens import Tokens

log = logging.getLogger("roadworthy")
LAST = "last.ckpt"
QUIET = (
    ".*does not have many workers.*",
    ".*treespec, LeafSpec.*",
    "Total length of .* is zero",
    "Checkpoint directory .* exists and is not empty",
    "You're resuming from a checkpoint that ended before the epoch ended",
    "It is recommended to use `self.log.*sync_dist=True",
)
"""Warnings of Lightning's that say nothing here: ``_resumed`` winds the data on, and what is logged
is that of all processes."""

SLOW = "finetune.precision=bf16-mixed, and this processor has no bf16: 32-true is many times faster"


class Progress(pl.Callback):
    """One progress bar over all steps, so that the time to go is that of the whole training."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the bar; it ends early if training stops early."""
        done, total = trainer.global_step, int(trainer.estimated_stepping_batches)
        self.bar = tqdm(disable=True)  # one bar, however many processes
        if trainer.is_global_zero:
            self.bar = tqdm(total=total, initial=done, desc="fine-tune", unit="step")

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:  # noqa: ANN401
        """One step further."""
        self.bar.update()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the validation accuracy."""
        self.bar.set_postfix(
            validation_accuracy=f"{float(trainer.callback_metrics['validation_accuracy']):.4f}"
        )

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Close the bar."""
        self.bar.close()


class Checkpoints(pl.Callback):
    """A checkpoint every so many steps, in one file, by renaming.

    None after the last step of an epoch: there Lightning would not go on as if nothing had been.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every, self.saved = path, every, 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Count from where this run begins."""
        self.saved = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:  # noqa: ANN401
        """Save, if it is time."""
        if trainer.global_step - self.saved >= self.every and not trainer.is_last_batch:
            try:
                self._save(trainer)
            except OSError as error:  # a checkpoint is insurance: the training goes on without
                log.warning("no checkpoint written at step %d (%s)", trainer.global_step, error)
            self.saved = trainer.global_step

    def _save(self, trainer: pl.Trainer) -> None:
        draft = self.path.with_suffix(".draft")
        try:
            trainer.save_checkpoint(draft)
        except OSError:
            trainer.strategy.barrier()  # where the other processes wait
            raise
        if trainer.is_global_zero:
            draft.replace(self.path)


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

    Raises:
        UserError: ``settings.trainer`` asks for what this machine or session cannot do.

    """
    distributed.check(settings.trainer, accelerator)
    able = any(has for name, has in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    if settings.precision == "bf16-mixed" and accelerator == "cpu" and not able:
        log.warning(SLOW)
    folder = folder if distributed.resumable(settings.trainer) else None
    task = (network, tokens, settings, accelerator, seed, folder)
    with distributed.company(settings.trainer, _fit, *task):
        return _fit(*task)


def _fit(
    network: IntentNetwork,
    tokens: Tokens,
    settings: Finetune,
    accelerator: str,
    seed: int,
    folder: Path | None,
) -> Trained:
    """What every process does; each returns the same."""
    per_epoch = math.ceil(len(tokens.train) / settings.batch_size)
    epochs = min(settings.max_epochs, math.ceil(settings.max_steps / per_epoch))
    network.train()  # a pretrained transformer comes in evaluation mode, its dropout off
    recipe = Recipe(network, settings, epochs * per_epoch)
    with ExitStack() as stack:
        where = str(folder or stack.enter_context(TemporaryDirectory(prefix="roadworthy-")))
        best = ModelCheckpoint(
            where, "best", monitor="validation_accuracy", mode="max", save_weights_only=True
        )
        stop = EarlyStopping("validation_accuracy", mode="max", patience=settings.patience)
        callbacks: list[pl.Callback] = [best, stop] if tokens.validation else []
        callbacks.append(Progress())
        if folder:
            callbacks.append(Checkpoints(folder / LAST, settings.checkpoint_steps))
        trainer = _trainer(settings, epochs, accelerator, callbacks, where)
        pl.seed_everything(seed + trainer.global_rank, workers=True, verbose=False)
        stack.enter_context(warnings.catch_warnings())
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        last = _resumed(folder, tokens, per_epoch, trainer.world_size)
        trainer.fit(recipe, datamodule=tokens, ckpt_path=last, weights_only=True)
        if tokens.validation:
            state: dict[str, Any] = {}  # the file is where the first process is
            if trainer.is_global_zero:
                kept = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
                state = kept["state_dict"]
            recipe.load_state_dict(trainer.strategy.broadcast(state), strict=False)
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


def _resumed(folder: Path | None, tokens: Tokens, per_epoch: int, processes: int) -> str | None:
    """The checkpoint to go on from, if there is one, with the data wound on to its step."""
    path = folder / LAST if folder else None
    if path is None or not path.exists():
        return None
    try:
        kept = torch.load(path, weights_only=True, map_location="cpu")
        step = kept["global_step"]
        if len(kept["recipe"]) != processes:
            raise ValueError("written by another number of processes")
    except Exception:  # whatever is wrong with it: from the start, then
        path.unlink(missing_ok=True)  # by whichever process comes first
        return None
    tokens.sampler.epoch, tokens.sampler.skip = divmod(int(step), per_epoch)
    return str(path)


def _trainer(
    settings: Finetune, epochs: int, accelerator: str, callbacks: list[Any], folder: str
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
        default_root_dir=folder,
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
