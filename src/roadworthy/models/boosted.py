"""Gradient-boosted trees on compressed TF-IDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from roadworthy.models.architecture import Architecture, Labelled
from roadworthy.models.estimator import load_estimator, save_estimator
from roadworthy.models.tfidf import features


class Boosted(Architecture):
    """Trees cannot use sparse text.

    TF-IDF is compressed by a truncated singular value decomposition first.
    """

    def fit(self, train: Labelled) -> None:
        own = self.settings.boosted
        self.pipeline: Pipeline = make_pipeline(
            features(),
            TruncatedSVD(min(own.components, len(train.texts) - 1), random_state=self.seed),
            HistGradientBoostingClassifier(
                learning_rate=own.learning_rate,
                max_iter=own.iterations,
                max_leaf_nodes=own.leaves,
                early_stopping=False,
                random_state=self.seed,
            ),
        )
        weights = {"histgradientboostingclassifier__sample_weight": train.weights}
        self.pipeline.fit(train.texts, train.y, **weights)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.asarray(self.pipeline.predict_proba(texts))

    def save(self, folder: Path) -> None:
        save_estimator(folder / "pipeline.skops", self.pipeline)

    def load(self, folder: Path) -> None:
        self.pipeline = load_estimator(folder / "pipeline.skops")
