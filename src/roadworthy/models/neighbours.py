"""Retrieval: the labels of the nearest training messages vote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.models.architecture import Architecture, Labelled, load_arrays, save_arrays


class Neighbours(Architecture):
    """Exact k nearest neighbours by cosine on frozen embeddings.

    Votes weighted by exp(cosine / temperature).
    """

    def fit(self, train: Labelled) -> None:
        self.vectors, self.y, self.n_classes = self.embed(train.texts), train.y, train.n_classes

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        cosine = self.embed(texts) @ self.vectors.T
        k = min(self.settings.neighbours.k, cosine.shape[1])
        nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        near = np.take_along_axis(cosine, nearest, axis=1).astype(np.float64)
        weights = np.exp(
            (near - near.max(axis=1, keepdims=True)) / self.settings.neighbours.temperature
        )
        votes = np.zeros((len(texts), self.n_classes))
        np.add.at(votes, (np.arange(len(texts))[:, None], self.y[nearest]), weights)
        normalised: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
        return normalised

    def save(self, folder: Path) -> None:
        size = np.array([self.n_classes], dtype=np.int64)
        save_arrays(
            folder / "neighbours.safetensors", vectors=self.vectors, y=self.y, n_classes=size
        )

    def load(self, folder: Path) -> None:
        arrays = load_arrays(folder / "neighbours.safetensors")
        self.vectors, self.y = arrays["vectors"].astype(np.float32), arrays["y"].astype(np.int64)
        self.n_classes = int(arrays["n_classes"].astype(np.int64)[0])
