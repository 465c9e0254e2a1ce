"""The recipe: loss, optimiser, schedule, and what a training that is killed goes on from."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from roadworthy.distributed import gathered
from roadworthy.models.network import IntentNetwork
from roadworthy.settings import Finetune
from roadworthy.tokens import IGNORED, Batch


def visible(mask: torch.Tensor, share: float) -> torch.Tensor:
    """An attention mask (rows, tokens) with that share of the tokens hidden, by chance.

    The first token stays, so that no row is empty. Neither attention nor pooling sees the others: a
    message must be told from whichever words are left (word dropout: Iyyer et al. 2015).
    """
    if share == 0:
        return mask
    kept = torch.rand(mask.shape, device=mask.device) >= share
    kept[:, 0] = True
    return mask * kept


class Recipe(pl.LightningModule):
    """Loss, optimiser, schedule, and the learning curve.

    Each process counts what it has seen itself; ``curve`` is that of all together.
    """

    def __init__(self, network: IntentNetwork, settings: Finetune, total_steps: int) -> None:
        """``total_steps`` is where the learning rate reaches zero."""
        super().__init__()
        self.network, self.settings, self.total_steps = network, settings, total_steps
        self.curve: list[dict[str, float]] = []
        self.examples = self.tokens = 0
        self.strict_loading = False  # checkpoints hold what is trained, not the frozen base
        self._losses: list[float] = []
        self._right = self._judged = 0
        self._random: tuple[torch.Tensor, list[torch.Tensor]] | None = None

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        """Cross-entropy with label smoothing, rows weighted, some tokens hidden."""
        seen = visible(batch["attention_mask"], self.settings.token_dropout)
        logits = self.network.upper(batch["hidden"], seen)
        losses = torch.nn.functional.cross_entropy(
            logits, batch["label"], label_smoothing=self.settings.label_smoothing, reduction="none"
        )
        loss = (losses * batch["weight"]).mean()
        real = batch["label"] != IGNORED
        self.examples += int(real.sum())
        self.tokens += int(batch["attention_mask"][real].sum())
        self._losses.append(float(loss.detach()))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """How many rows are right."""
        logits = self.network.upper(batch["hidden"], batch["attention_mask"])
        self._right += int((logits.argmax(dim=-1) == batch["label"]).sum())
        self._judged += int((batch["label"] != IGNORED).sum())

    def on_validation_epoch_end(self) -> None:
        """Log what the best epoch is chosen by."""
        right, judged = zip(*gathered((self._right, self._judged)), strict=True)
        self.log("validation_accuracy", sum(right) / sum(judged))
        self._right = self._judged = 0

    def on_train_epoch_end(self) -> None:
        """One point of the learning curve."""
        losses = gathered(sum(self._losses) / len(self._losses))
        loss = sum(losses) / len(losses)
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

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Go on with the random numbers where a killed run was; opening the data drew some."""
        if self._random is not None:
            torch.set_rng_state(self._random[0])
            if torch.cuda.is_available():
                torch.cuda.set_rng_state_all(self._random[1])
            self._random = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what is trained (the frozen base is pinned by hash elsewhere) and where we are."""
        trained = {name for name, p in self.named_parameters() if p.requires_grad}
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: value for name, value in state.items() if name in trained}
        checkpoint["recipe"] = gathered(
            {
                "curve": self.curve,
                "losses": self._losses,
                "counts": (self.examples, self.tokens),
                "random": (torch.get_rng_state(), torch.cuda.get_rng_state_all()),
            }
        )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Be where the checkpoint was written."""
        kept = checkpoint["recipe"][self.trainer.global_rank]
        self.curve, self._losses = list(kept["curve"]), list(kept["losses"])
        self.examples, self.tokens = kept["counts"]
        self._random = kept["random"]
