"""Word and character TF-IDF with a linear support vector machine: the classical baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from roadworthy.models.architecture import Architecture, Labelled, softmax
from roadworthy.models.estimator import load_estimator, save_estimator


def _words() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32)


def _characters() -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(2, 5),
        min_df=2,
        max_features=60_000,
        sublinear_tf=True,
        dtype=np.float32,
    )


def features(texts: Sequence[str]) -> FeatureUnion:
    """Word 1-2-grams and character 2-5-grams inside words; sublinear term frequency.

    Single characters and pairs where ``texts``, which it will learn from, have no such term (single
    letters or emoji, say): scikit-learn refuses to learn from nothing.
    """
    if any(map(_words().build_analyzer(), texts)) and _repeated(texts):
        return FeatureUnion([("words", _words()), ("characters", _characters())])
    single = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32
    )
    return FeatureUnion([("characters", single)])


def _repeated(texts: Sequence[str]) -> bool:
    """Whether some character term occurs in two texts; one that does not is left out."""
    terms, seen = _characters().build_analyzer(), set[str]()
    for text in texts:
        found = set(terms(text))
        if found & seen:
            return True
        seen |= found
    return False


class Tfidf(Architecture):
    """One-against-rest margins, turned into probabilities by a softmax.

    The temperature is fitted in ``evaluate``.
    """

    def fit(self, train: Labelled) -> None:
        self.pipeline: Pipeline = make_pipeline(
            features(train.texts), LinearSVC(C=self.settings.tfidf.C, random_state=self.seed)
        )
        self.pipeline.fit(train.texts, train.y, linearsvc__sample_weight=train.weights)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        margins = np.asarray(self.pipeline.decision_function(texts))
        if margins.ndim == 1:  # two classes: scikit-learn gives one margin
            margins = np.column_stack([-margins, margins])
        return softmax(4.0 * margins)

    def save(self, folder: Path) -> None:
        save_estimator(folder / "pipeline.skops", self.pipeline)

    def load(self, folder: Path) -> None:
        self.pipeline = load_estimator(folder / "pipeline.skops")
