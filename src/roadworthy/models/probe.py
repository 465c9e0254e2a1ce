"""Logistic regression on frozen embeddings: what the encoder knows without fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from roadworthy.models.architecture import Architecture, Labelled, load_arrays, save_arrays, softmax


class LinearProbe(NamedTuple):
    """Multinomial logistic regression: one line of weights and one intercept a class."""

    weights: NDArray[np.float64]
    """Shape (n_classes, d)."""
    bias: NDArray[np.float64]
    """Shape (n_classes,)."""

    def logits(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Logits (n, n_classes) of vectors (n, d)."""
        found: NDArray[np.float64] = vectors @ self.weights.T + self.bias
        return found

    def predict(self, vectors: NDArray[np.floating]) -> NDArray[np.int64]:
        """The likeliest class of each vector."""
        return np.asarray(self.logits(vectors).argmax(axis=1), dtype=np.int64)

    def predict_proba(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Class probabilities, shape (n, n_classes)."""
        return softmax(self.logits(vectors))


def fit_probe(
    vectors: NDArray[np.floating],
    y: NDArray[np.int64],
    n_classes: int,
    C: float,
    sample_weight: NDArray[np.float64] | None = None,
) -> LinearProbe:
    """Fit a probe; a class without rows (possible inside a fold) gets probability zero."""
    weights = np.zeros((n_classes, vectors.shape[1]))
    bias = np.full(n_classes, -1e9)
    if len(np.unique(y)) == 1:  # inside a fold of tiny data: always the one class there is
        bias[y[0]] = 0.0
        return LinearProbe(weights, bias)
    model = LogisticRegression(C=C, max_iter=2000).fit(vectors, y, sample_weight)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights[model.classes_], bias[model.classes_] = coefficients, intercepts
    return LinearProbe(weights, bias)


class Probe(Architecture):
    """The frozen-encoder baseline that fine-tuning has to beat."""

    uses_encoder = True

    def fit(self, train: Labelled) -> None:
        vectors = self.embed(train.texts)
        C = self.settings.probe.C
        self.linear = fit_probe(vectors, train.y, train.n_classes, C, train.weights)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return self.linear.predict_proba(self.embed(texts))

    def save(self, folder: Path) -> None:
        save_arrays(folder / "probe.safetensors", **self.linear._asdict())

    def load(self, folder: Path) -> None:
        arrays = load_arrays(folder / "probe.safetensors")
        weights, bias = (arrays[name].astype(np.float64) for name in LinearProbe._fields)
        self.linear = LinearProbe(weights, bias)
