"""Retrieval: the labels of the nearest training messages vote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.models.architecture import Architecture, Labelled, load_arrays, save_arrays

BLOCK = 1024
"""Messages compared with all training rows at a time."""


class Neighbours(Architecture):
    """Exact k nearest neighbours by cosine on frozen embeddings.

    Votes weighted by exp(cosine / temperature).
    """

    uses_encoder = True

    def fit(self, train: Labelled) -> None:
        self.vectors, self.y, self.n_classes = self.embed(train.texts), train.y, train.n_classes
        self.weights = train.weights

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        vectors = self.embed(texts)
        # Blocks keep the similarities to all training rows within memory.
        blocks = [vectors[at : at + BLOCK] for at in range(0, max(len(vectors), 1), BLOCK)]
        return np.concatenate([self._votes(block) for block in blocks])

    def _votes(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        cosine = vectors @ self.vectors.T
        k = min(self.settings.neighbours.k, cosine.shape[1])
        nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        near = np.take_along_axis(cosine, nearest, axis=1).astype(np.float64)
        weights = np.exp(
            (near - near.max(axis=1, keepdims=True)) / self.settings.neighbours.temperature
        )
        weights *= self.weights[nearest]
        votes = np.zeros((len(vectors), self.n_classes))
        np.add.at(votes, (np.arange(len(vectors))[:, None], self.y[nearest]), weights)
        normalised: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
        return normalised

    def save(self, folder: Path) -> None:
        size = np.array([self.n_classes], dtype=np.int64)
        save_arrays(
            folder / "neighbours.safetensors",
            vectors=self.vectors,
            y=self.y,
            weights=self.weights,
            n_classes=size,
        )

    def load(self, folder: Path) -> None:
        arrays = load_arrays(folder / "neighbours.safetensors")
        self.vectors, self.y = arrays["vectors"].astype(np.float32), arrays["y"].astype(np.int64)
        self.weights = arrays["weights"].astype(np.float64)
        self.n_classes = int(arrays["n_classes"].astype(np.int64)[0])
