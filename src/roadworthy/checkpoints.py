"""What a training that is killed goes on from: written, checked, and found again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from roadworthy.data import sha256
from roadworthy.tokens import Tokens

log = logging.getLogger("roadworthy")
LAST = "last.ckpt"


class Best(pl.Callback):
    """The trained weights of the epoch with the best validation accuracy, the first of equals.

    Kept in memory and in the checkpoint, so that there is no second file that could be damaged.
    """

    def __init__(self) -> None:
        self.accuracy, self.weights = -1.0, dict[str, torch.Tensor]()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keep the weights if they are better than all before."""
        accuracy = float(trainer.callback_metrics["validation_accuracy"])
        if accuracy > self.accuracy:
            trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
            self.accuracy = accuracy
            self.weights = {name: p.detach().cpu().clone() for name, p in trained}

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"accuracy": self.accuracy, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Out of the checkpoint."""
        self.accuracy, self.weights = state_dict["accuracy"], state_dict["weights"]


class Checkpoints(pl.Callback):
    """A checkpoint every so many steps, in one file, by renaming; its hash stands beside it.

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
            # The hashes of those before stay: killed here, the one that is there is still known.
            with _hashes(self.path).open("a", encoding="utf-8") as file:
                file.write(f"\n{sha256(draft)}\n")  # on a line of its own, even after half a line
            draft.replace(self.path)


def resumed(folder: Path, tokens: Tokens, per_epoch: int, trainer: pl.Trainer) -> str | None:
    """The checkpoint to go on from, if there is one, with the data wound on to its step.

    One that is not what was written, or does not fit, is left for the next one to replace.
    """
    path = folder / LAST
    if not path.exists():
        return None
    try:
        if sha256(path) not in _hashes(path).read_text(encoding="utf-8").split():
            raise ValueError("it is damaged: its hash is none of those written")
        kept = torch.load(path, weights_only=True, map_location="cpu")
        step = int(kept["global_step"])
        if len(kept["recipe"]) != trainer.world_size:
            raise ValueError("another number of processes wrote it")
    except Exception as error:  # whatever is wrong with it: from the start, then
        if trainer.is_global_zero:
            log.warning("training starts from the beginning: %s cannot be used (%s)", path, error)
        return None
    tokens.sampler.epoch, tokens.sampler.skip = divmod(step, per_epoch)
    return str(path)


def _hashes(path: Path) -> Path:
    """The file with the hashes of all checkpoints that were written there."""
    return path.with_suffix(".sha256")
