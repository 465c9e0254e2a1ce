"""Always the most frequent class: what any model has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.models.architecture import Architecture, Labelled, load_arrays, save_arrays


class Majority(Architecture):
    """Class shares of the training rows, whatever the message."""

    def fit(self, train: Labelled) -> None:
        counts = np.bincount(train.y, train.weights, minlength=train.n_classes)
        self.shares = counts / counts.sum()

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.tile(self.shares, (len(texts), 1))

    def save(self, folder: Path) -> None:
        save_arrays(folder / "shares.safetensors", shares=self.shares)

    def load(self, folder: Path) -> None:
        self.shares = load_arrays(folder / "shares.safetensors")["shares"].astype(np.float64)
