"""Static embeddings: the frozen encoder's view of single words, kept in a table.

After model2vec (Tulkens and van Dongen 2024), with words for its word pieces: the encoder reads
each word of the training messages once, alone; from then on a message costs one look-up a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.models.architecture import Architecture, Labelled, load_arrays, save_arrays, softmax
from roadworthy.models.keyword import words
from roadworthy.models.probe import fit_probe


class Static(Architecture):
    """Logistic regression on the mean of a message's word vectors, scaled to unit length.

    Word vectors: reduced by principal components, weighted by smooth inverse frequency (Arora et
    al. 2017) in the training rows. A word without a vector is passed over; a message of such words
    alone is answered from the intercepts. Where no training row has a word, all are, which comes to
    the class shares. The encoder is needed to learn, not to predict.
    """

    def fit(self, train: Labelled) -> None:
        counts = Counter(word for text in train.texts for word in words(text))
        kept = counts.most_common(self.settings.static.words)
        self.row = {word: number for number, (word, _) in enumerate(kept)}
        self.table = self._table(counts, kept) if kept else np.zeros((0, 1), np.float32)
        self.weights, self.bias = fit_probe(
            self._vectors(train.texts),
            train.y,
            train.n_classes,
            self.settings.static.C,
            train.weights,
        )

    def _table(self, counts: Counter[str], kept: list[tuple[str, int]]) -> NDArray[np.float32]:
        """The vectors of the kept words, shape (words, dimensions)."""
        own = self.settings.static
        vectors = self.embed([word for word, _ in kept])
        centred = vectors - vectors.mean(axis=0)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        share = np.array([count for _, count in kept]) / counts.total()
        weights = own.smoothing / (own.smoothing + share)
        table = weights[:, None] * (centred @ axes[: own.dimensions].T)
        return np.asarray(table, dtype=np.float32)

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit-length vectors, shape (n, dimensions); zero for a message without a known word."""
        sums = np.zeros((len(texts), self.table.shape[1]), dtype=np.float32)
        for number, text in enumerate(texts):
            rows = [self.row[word] for word in words(text) if word in self.row]
            sums[number] = self.table[rows].sum(axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        unit: NDArray[np.float32] = sums / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return softmax(self._vectors(texts) @ self.weights.T + self.bias)

    def save(self, folder: Path) -> None:
        save_arrays(
            folder / "static.safetensors",
            words=np.frombuffer("\n".join(self.row).encode(), dtype=np.uint8),
            table=self.table,
            weights=self.weights,
            bias=self.bias,
        )

    def load(self, folder: Path) -> None:
        arrays = load_arrays(folder / "static.safetensors")
        known = arrays["words"].tobytes().decode().split("\n")
        self.row = {word: number for number, word in enumerate(known)}
        self.table = arrays["table"].astype(np.float32)
        self.weights = arrays["weights"].astype(np.float64)
        self.bias = arrays["bias"].astype(np.float64)
