"""How the network is trained: the recipe, its progress, and what training leaves behind.

Length-bucketed batches, AdamW on adapters and class vectors only, label smoothing, a linear
schedule, the epoch with the best validation accuracy kept.
"""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from tqdm import tqdm

from roadworthy.models.network import IntentNetwork
from roadworthy.settings import Finetune
from roadworthy.tokens import Batch, Tokens


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
        """Cross-entropy with label smoothing, rows weighted."""
        logits = self.network.upper(batch["hidden"], batch["attention_mask"])
        losses = torch.nn.functional.cross_entropy(
            logits, batch["label"], label_smoothing=self.settings.label_smoothing, reduction="none"
        )
        loss = (losses * batch["weight"]).mean()
        self.examples += len(batch["label"])
        self.tokens += int(batch["attention_mask"].sum())
        self._losses.append(loss.detach())
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Which rows are right."""
        logits = self.network.upper(batch["hidden"], batch["attention_mask"])
        self._right.append(logits.argmax(dim=-1) == batch["label"])

    def on_validation_epoch_end(self) -> None:
        """Log what the best epoch is chosen by."""
        self.log("validation_accuracy", torch.cat(self._right).float().mean())
        self._right.clear()

    def on_train_epoch_end(self) -> None:
        """One point of the learning curve."""
        loss = torch.stack(self._losses).mean().item()
        self._losses.clear()
        accuracy = float(self.trainer.callback_metrics.get("validation_accuracy", torch.nan))
        point = {"epoch": self.current_epoch, "step": self.global_step, "train_loss": loss}
        self.curve.append(point | {"validation_accuracy": accuracy})

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
        self.bar = tqdm(
            total=int(trainer.estimated_stepping_batches), desc="fine-tune", unit="step"
        )

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
    """Train until the epochs or the patience run out, and restore the best epoch's weights.

    Without validation rows all epochs are run and the last weights stay.
    """
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
        judges = [best, stop] if tokens.validation else []
        trainer = _trainer(settings, epochs, accelerator, [*judges, Progress()], folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
            warnings.filterwarnings("ignore", message="Total length of .* is zero")
            trainer.fit(recipe, datamodule=tokens)
        if tokens.validation:
            checkpoint = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
            recipe.load_state_dict(checkpoint["state_dict"], strict=False)
    curve = pd.DataFrame(recipe.curve)
    best_row = int(curve["validation_accuracy"].argmax()) if tokens.validation else -1
    parameters = [(p.numel(), p.requires_grad) for p in network.parameters()]
    return Trained(
        network=network.cpu(),
        curve=curve,
        best_epoch=int(curve["epoch"].iloc[best_row]),
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
