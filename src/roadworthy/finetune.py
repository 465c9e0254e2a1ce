"""Stage ``finetune``: what does a LoRA-tuned small transformer score?"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import torch

from roadworthy import drafts
from roadworthy.data import sha256
from roadworthy.models.architecture import Labelled
from roadworthy.settings import Encoder, Finetune
from roadworthy.training import Trained


def key(
    train: Labelled, validation: Labelled, settings: Finetune, encoder: Encoder, seed: int
) -> str:
    """What tells one training from every other: rows in order, recipe, encoder, seed, code."""
    recipe = replace(settings, checkpoint_steps=1, behaviour_rows=1)  # of no influence
    parts = [repr((recipe, encoder, seed, torch.__version__))]
    for part in (train, validation):
        rows = zip(part.texts, part.y.tolist(), part.weights.tolist(), strict=True)
        parts += [*map(repr, rows), "end"]
    source = Path(__file__).parent
    names = ["soup.py", "training.py", "recipe.py", "tokens.py", "distributed.py"]
    names += ["models/lora.py", "models/network.py"]
    parts += [sha256(source / name) for name in names]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def resumable(
    train: Labelled, validation: Labelled, settings: Finetune, encoder: Encoder, seed: int
) -> AbstractContextManager[Path | None]:
    """The folder of this training's checkpoints, see ``drafts.checkpoints``."""
    return drafts.checkpoints("finetune", key(train, validation, settings, encoder, seed))


def counts(trained: Trained) -> dict[str, object]:
    """What training took, as it stands in the stage's metrics."""
    return {
        "best_epochs": trained.best_epochs,
        "steps": trained.steps,
        "examples_seen": trained.examples,
        "tokens_seen": trained.tokens,
        "parameters": {"trainable": trained.trainable, "total": trained.total},
    }
