"""Logistic regression on frozen embeddings: what the encoder knows without fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from roadworthy.models.architecture import Architecture, Labelled, load_arrays, save_arrays, softmax


def fit_probe(
    vectors: NDArray[np.floating],
    y: NDArray[np.int64],
    n_classes: int,
    C: float,
    sample_weight: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multinomial logistic regression: weights (n_classes, d) and intercepts (n_classes,).

    A class without rows (possible inside a fold) gets probability zero.
    """
    weights = np.zeros((n_classes, vectors.shape[1]))
    bias = np.full(n_classes, -1e9)
    if len(np.unique(y)) == 1:  # inside a fold of tiny data: always the one class there is
        bias[y[0]] = 0.0
        return weights, bias
    model = LogisticRegression(C=C, max_iter=2000).fit(vectors, y, sample_weight)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights[model.classes_], bias[model.classes_] = coefficients, intercepts
    return weights, bias


class Probe(Architecture):
    """The frozen-encoder baseline that fine-tuning has to beat."""

    uses_encoder = True

    def fit(self, train: Labelled) -> None:
        vectors = self.embed(train.texts)
        self.weights, self.bias = fit_probe(
            vectors, train.y, train.n_classes, self.settings.probe.C, train.weights
        )

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return softmax(self.embed(texts) @ self.weights.T + self.bias)

    def save(self, folder: Path) -> None:
        save_arrays(folder / "probe.safetensors", weights=self.weights, bias=self.bias)

    def load(self, folder: Path) -> None:
        arrays = load_arrays(folder / "probe.safetensors")
        self.weights, self.bias = (
            arrays["weights"].astype(np.float64),
            arrays["bias"].astype(np.float64),
        )
