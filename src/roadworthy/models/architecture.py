"""The interface of every architecture, and what they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from roadworthy.errors import UserError
from roadworthy.settings import Baseline

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to unit-length sentence vectors, shape (n, d)."""
LEAST = 1e-9
"""Below this a probability counts as this in an opinion pool."""


@dataclass(frozen=True)
class Labelled:
    """Messages with their labels as integers 0 … n_classes - 1; every class occurs."""

    texts: list[str]
    y: NDArray[np.int64]
    n_classes: int
    weights: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """What each row counts in training, about 1; all 1 if not given."""
    labels: Sequence[str] = ()
    """The classes' names, in the order of their numbers; empty if nobody needs them."""

    def __post_init__(self) -> None:
        if len(self.weights) == 0:
            object.__setattr__(self, "weights", np.ones(len(self.texts)))


class Architecture(ABC):
    """Fit on labelled messages, give class probabilities, survive a restart."""

    uses_encoder: ClassVar[bool] = False
    """Whether the frozen encoder is part of the model: its size and load time count."""
    local: ClassVar[bool] = True
    """Whether it answers on this machine. What does not is never timed: each call costs money."""

    def __init__(self, settings: Baseline, embed: Embed, seed: int) -> None:
        """Keep the settings; ``embed`` is only called where sentence vectors are needed."""
        self.settings, self.embed, self.seed = settings, embed, seed

    @abstractmethod
    def fit(self, train: Labelled) -> None:
        """Learn from the training rows."""

    @abstractmethod
    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities, shape (n, n_classes); rows sum to one."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what ``load`` needs into an existing folder."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote.

        Raises:
            UserError: the file is damaged or holds anything but plain arrays and known estimators.

        """


def softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Row-wise softmax, shape (n, classes), in double precision."""
    exps = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    normalised: NDArray[np.float64] = exps / exps.sum(axis=1, keepdims=True)
    return normalised


def opinion(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-probabilities (n, classes), none so low that it would forbid a class in a pool."""
    return np.asarray(np.log(np.maximum(probabilities, LEAST)), dtype=np.float64)


def save_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Plain arrays into a safetensors file."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def load_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Arrays from a safetensors file; a damaged file is a user error."""
    try:
        arrays: dict[str, NDArray[np.generic]] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path.name} in {path.parent} cannot be read ({error}): run the stage that made it"
        ) from error
    return arrays


def predictions_frame(
    messages: pd.DataFrame, labels: Sequence[str], probabilities: NDArray[np.floating]
) -> pd.DataFrame:
    """The predictions frame: ``id, split, label, pred, p_<class>…``, one row per message.

    Args:
        messages: rows with ``id, split, label``.
        labels: class names in the order of the columns of ``probabilities``.
        probabilities: shape (rows, classes).

    """
    names = np.asarray(labels, dtype=object)
    frame = messages[["id", "split", "label"]].reset_index(drop=True)
    frame["pred"] = names[probabilities.argmax(axis=1)]
    columns = [f"p_{label}" for label in labels]
    return pd.concat(
        [frame, pd.DataFrame(probabilities.astype(np.float32), columns=columns)], axis=1
    )


def numbers(names: pd.Series, labels: Sequence[str]) -> NDArray[np.int64]:
    """Labels as integers in the order of ``labels``."""
    index = {label: number for number, label in enumerate(labels)}
    return np.asarray(names.map(index), dtype=np.int64)


def labelled(rows: pd.DataFrame, labels: Sequence[str]) -> Labelled:
    """Rows with ``text, label``, labels as integers.

    If they were cleaned (``action, weight``), dropped rows are left out.
    """
    kept = rows[rows["action"] != "drop"] if "action" in rows else rows
    cleaned = {"action", "weight"} <= set(rows)
    weights = kept["weight"].to_numpy(np.float64) if cleaned else np.ones(len(kept))
    y = numbers(kept["label"], labels)
    return Labelled(kept["text"].tolist(), y, len(labels), weights, labels)


def accuracy(frame: pd.DataFrame, split: str, labels: Sequence[str]) -> float:
    """Share of a split's in-scope rows whose prediction equals the label."""
    rows = frame[(frame["split"] == split) & frame["label"].isin(labels)]
    return float((rows["pred"] == rows["label"]).mean())


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a model's folder."""
    return sum(path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file())
