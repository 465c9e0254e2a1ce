"""Stage ``finetune``: what does a LoRA-tuned small transformer score, pooled with TF-IDF?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import drafts, familiarity
from roadworthy.data import sha256
from roadworthy.models.architecture import Labelled, predictions_frame, softmax
from roadworthy.models.pooled import Pooled
from roadworthy.settings import Encoder, Finetune
from roadworthy.training import Trained

SOURCES = (
    "soup.py", "training.py", "checkpoints.py", "recipe.py", "tokens.py", "distributed.py",
    "models/lora.py", "models/network.py", "models/encoder.py",
)  # fmt: skip
"""The code that a training depends on."""


def key(
    train: Labelled, validation: Labelled, settings: Finetune, encoder: Encoder, seed: int
) -> str:
    """What tells one training from every other: rows in order, recipe, encoder, seed, code."""
    recipe = replace(settings, checkpoint_steps=1, behaviour_rows=1)  # of no influence
    libraries = ("torch", "transformers", "peft", "pytorch-lightning")
    parts = [repr((recipe, encoder, seed, [version(name) for name in libraries]))]
    for part in (train, validation):
        rows = zip(part.texts, part.y.tolist(), part.weights.tolist(), strict=True)
        parts += [*map(repr, rows), "end"]
    source = Path(__file__).parent
    parts += [sha256(source / name) for name in SOURCES]
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


class Network(Protocol):
    """The fine-tuned network, however it is run."""

    labels: list[str]

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sentence vectors of shape (n, d)."""

    def head(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Their logits, of shape (n, classes)."""


@dataclass(frozen=True)
class Predicted:
    """What the model says of validation and test rows."""

    served: pd.DataFrame
    """Predictions frame of network and TF-IDF together."""
    network: pd.DataFrame
    """That of the network alone."""
    familiarity: pd.DataFrame
    """How familiar each row is to the network, see ``familiarity.frame``."""
    known: NDArray[np.float32]
    """The tuned encoder's vectors of the training rows of known classes."""
    strange: NDArray[np.float32]
    """Those of the training rows of no known class."""


def predict(
    served: Pooled, network: Network, learnt: list[str], messages: pd.DataFrame
) -> Predicted:
    """Answer validation and test rows.

    Args:
        served: the network and TF-IDF.
        network: the network alone, however it is run.
        learnt: texts of the training rows.
        messages: all rows, as the audit annotates them.

    """
    judged = messages[messages["split"] != "train"]
    strange = messages.query("split == 'train' and not in_scope")
    texts = (learnt, judged["text"].tolist(), strange["text"].tolist())
    known, vectors, strangers = (network.vectors(part) for part in texts)
    own = network.head(vectors)
    said = (served.pooled(texts[1], own), own)
    both, alone = (predictions_frame(judged, network.labels, softmax(one)) for one in said)
    familiar = familiarity.frame(judged["id"], own, vectors, known, strangers)
    return Predicted(both, alone, familiar, known, strangers)
