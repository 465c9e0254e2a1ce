"""Stage ``finetune``: what does a LoRA-tuned small transformer score?

The training recipe: length-bucketed batches, AdamW on adapters and class vectors only, label
smoothing, a linear schedule, the epoch with the best validation accuracy kept.
"""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from datasets import Dataset
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader, Sampler
from tqdm import tqdm

from roadworthy.models.architecture import Labelled
from roadworthy.models.lora import IntentNetwork
from roadworthy.settings import Finetune

Batch = dict[str, torch.Tensor]


class LengthBuckets(Sampler[list[int]]):
    """Batches of similar length in random order.

    Shuffle, sort inside chunks of 32 batches, shuffle batches.

    Mean length is a fraction of the longest, so random batches would be mostly padding.
    """

    def __init__(self, lengths: list[int], size: int, seed: int) -> None:
        """``lengths`` in tokens, ``size`` in rows; each epoch draws a new order from the seed."""
        self.lengths, self.size, self.seed, self.epoch = np.asarray(lengths), size, seed, 0

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        order, chunk = rng.permutation(len(self.lengths)), self.size * 32
        batches = []
        for start in range(0, len(order), chunk):
            rows = order[start : start + chunk]
            rows = rows[np.argsort(self.lengths[rows], kind="stable")]
            batches += [rows[at : at + self.size].tolist() for at in range(0, len(rows), self.size)]
        yield from (batches[number] for number in rng.permutation(len(batches)))


class Tokens(pl.LightningDataModule):
    """Tokenised training and validation rows."""

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401
        train: Labelled,
        validation: Labelled,
        max_length: int,
        batch_size: int,
        seed: int,
    ) -> None:
        """Tokenise once; ``max_length`` in tokens."""
        super().__init__()
        self.tokenizer, self.batch_size, self.seed = tokenizer, batch_size, seed
        self.train, self.validation = (
            self._tokenise(rows, max_length) for rows in (train, validation)
        )

    def _tokenise(self, rows: Labelled, max_length: int) -> Dataset:
        tokens = self.tokenizer(rows.texts, truncation=True, max_length=max_length)["input_ids"]
        return Dataset.from_dict({"input_ids": tokens, "label": rows.y.tolist()})

    def _collate(self, rows: list[dict[str, Any]]) -> Batch:
        padded = self.tokenizer.pad(
            {"input_ids": [row["input_ids"] for row in rows]}, return_tensors="pt"
        )
        labels = torch.tensor([row["label"] for row in rows])
        return {
            "input_ids": padded["input_ids"],
            "attention_mask": padded["attention_mask"],
            "label": labels,
        }

    @property
    def lengths(self) -> list[int]:
        """Tokens of each training row."""
        return [len(ids) for ids in self.train["input_ids"]]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Length-bucketed batches in a new random order each epoch."""
        sampler = LengthBuckets(self.lengths, self.batch_size, self.seed)
        return DataLoader(self.train, batch_sampler=sampler, collate_fn=self._collate)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation rows in order."""
        return DataLoader(self.validation, batch_size=4 * self.batch_size, collate_fn=self._collate)


class Recipe(pl.LightningModule):
    """Loss, optimiser, schedule, and the learning curve."""

    def __init__(self, network: IntentNetwork, settings: Finetune, total_steps: int) -> None:
        """``total_steps`` is where the learning rate reaches zero."""
        super().__init__()
        self.network, self.settings, self.total_steps = network, settings, total_steps
        self.curve: list[dict[str, float]] = []
        self.examples = self.tokens = 0
        self._losses: list[torch.Tensor] = []
        self._right: list[torch.Tensor] = []

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        """Cross-entropy with label smoothing."""
        logits = self.network(batch["input_ids"], batch["attention_mask"])
        smoothing = self.settings.label_smoothing
        loss = torch.nn.functional.cross_entropy(logits, batch["label"], label_smoothing=smoothing)
        self.examples += len(batch["label"])
        self.tokens += int(batch["attention_mask"].sum())
        self._losses.append(loss.detach())
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Which rows are right."""
        logits = self.network(batch["input_ids"], batch["attention_mask"])
        self._right.append(logits.argmax(dim=-1) == batch["label"])

    def on_validation_epoch_end(self) -> None:
        """One point of the learning curve."""
        accuracy = torch.cat(self._right).float().mean()
        loss = torch.stack(self._losses).mean().item() if self._losses else float("nan")
        self._right.clear()
        self._losses.clear()
        self.log("validation_accuracy", accuracy, prog_bar=True)
        if not self.trainer.sanity_checking:
            point = {"epoch": self.current_epoch, "step": self.global_step, "train_loss": loss}
            self.curve.append(point | {"validation_accuracy": accuracy.item()})

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's union of dictionaries
        """AdamW on what is trainable; warm-up, then linear decay to zero."""
        settings, warm = self.settings, max(1, round(self.settings.warmup * self.total_steps))
        adapters = [
            p for name, p in self.named_parameters() if p.requires_grad and "prototypes" not in name
        ]
        groups = [
            {"params": adapters, "weight_decay": settings.weight_decay},
            {"params": [self.network.prototypes], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
        decay = max(1, self.total_steps - warm)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min((step + 1) / warm, max(0.0, (self.total_steps - step) / decay)),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what is trained; the frozen base is pinned by hash elsewhere."""
        trained = {name for name, p in self.named_parameters() if p.requires_grad}
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: value for name, value in state.items() if name in trained}


class Progress(pl.Callback):
    """One progress bar over all steps, so that the time to go is that of the whole training."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the bar; it ends early if training stops early."""
        self.bar = tqdm(total=module.total_steps, desc="fine-tune", unit="step")

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


@dataclass(frozen=True)
class Trained:
    """What training leaves behind; ``network`` holds the best epoch's weights."""

    network: IntentNetwork
    curve: pd.DataFrame
    best_epoch: int
    steps: int
    examples: int
    """Training rows seen, repeats counted."""
    tokens: int
    """Training tokens seen, padding not counted."""
    trainable: int
    total: int


def fit(
    network: IntentNetwork, tokens: Tokens, settings: Finetune, accelerator: str, seed: int
) -> Trained:
    """Train until the epochs or the patience run out, and restore the best epoch's weights."""
    pl.seed_everything(seed, workers=True, verbose=False)
    per_epoch = math.ceil(len(tokens.train) / settings.batch_size)
    epochs = min(settings.max_epochs, math.ceil(settings.max_steps / per_epoch))
    network.train()  # a pretrained transformer comes in evaluation mode, its dropout off
    recipe = Recipe(network, settings, epochs * per_epoch)
    with tempfile.TemporaryDirectory(prefix="roadworthy-") as folder:
        best = ModelCheckpoint(
            folder, monitor="validation_accuracy", mode="max", save_weights_only=True
        )
        stop = EarlyStopping("validation_accuracy", mode="max", patience=settings.patience)
        trainer = _trainer(settings, epochs, accelerator, [best, stop, Progress()], folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
            trainer.fit(recipe, datamodule=tokens)
        checkpoint = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
        recipe.load_state_dict(checkpoint["state_dict"], strict=False)
    curve = pd.DataFrame(recipe.curve).groupby("epoch", as_index=False).last()
    parameters = [(p.numel(), p.requires_grad) for p in network.parameters()]
    return Trained(
        network=network.cpu(),
        curve=curve,
        best_epoch=int(curve["epoch"].iloc[int(curve["validation_accuracy"].to_numpy().argmax())]),
        steps=int(trainer.global_step),
        examples=recipe.examples,
        tokens=recipe.tokens,
        trainable=sum(count for count, trained in parameters if trained),
        total=sum(count for count, _ in parameters),
    )


def _trainer(
    settings: Finetune, epochs: int, accelerator: str, callbacks: list[Any], folder: str
) -> pl.Trainer:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)  # adverts and hardware listings
    return pl.Trainer(
        max_epochs=epochs,
        accelerator=accelerator,
        devices=1,
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
