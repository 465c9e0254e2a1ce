"""The model that is served: the fine-tuned network and TF-IDF in one answer.

The network reads what a message means, TF-IDF the very words: they err on different messages. How
much TF-IDF counts is fitted on validation rows. ``pooled.load(OnnxClassifier(folder), folder)`` is
the same model as it is exported.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from roadworthy import manifest
from roadworthy.models.architecture import Labelled, opinion, softmax
from roadworthy.models.tfidf import Tfidf
from roadworthy.settings import Baseline
from roadworthy.settings import Tfidf as Setting

Floats = NDArray[np.floating]
ABOUT, PIPELINE = "tfidf.json", "pipeline.skops"
BOUNDS = ((0.1, 10.0), (0.0, 10.0))
"""Of what network and TF-IDF count in the likelihood; only their ratio is kept."""


C = 10.0
"""Of TF-IDF's linear model: what conf/ says of the baseline is no part of this one."""
START = np.array([1.0, 0.0])
"""The network alone."""


class Engine(Protocol):
    """The fine-tuned network, however it is run."""

    labels: list[str]

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits of shape (n, classes)."""


def fit_weight(network: Floats, tfidf: Floats, truth: NDArray[np.int64]) -> float:
    """What TF-IDF's log-probabilities count beside the network's, by the likelihood.

    The logarithmic opinion pool with fitted weights (Genest and Zidek 1986): the negative
    log-likelihood of softmax(a network + b tfidf) is convex in both, their ratio b / a is kept. A
    normal prior of unit spread around the network alone (1, 0) decides where rows are few. The
    scale that is left over is the temperature, which ``calibration`` fits.

    Args:
        network: logits or log-probabilities of validation rows, shape (n, classes).
        tfidf: log-probabilities of the same rows.
        truth: class numbers.

    Returns:
        At least 0; 0 without rows.

    """
    rows = np.arange(len(truth))
    if not len(rows):
        return 0.0

    def loss(counts: NDArray[np.float64]) -> float:
        scores = log_softmax(counts[0] * network + counts[1] * tfidf, axis=1)
        away = ((counts - START) ** 2).sum() / 2
        return float((away - scores[rows, truth].sum()) / len(rows))

    own, beside = minimize(loss, START, method="L-BFGS-B", bounds=BOUNDS).x
    return round(float(beside / own), 6)


class Pooled:
    """The network's logits, and TF-IDF's log-probabilities times their weight."""

    def __init__(self, engine: Engine, tfidf: Tfidf, weight: float) -> None:
        self.engine, self.tfidf, self.weight = engine, tfidf, weight
        self.labels = engine.labels

    def pooled(self, texts: Sequence[str], logits: Floats) -> NDArray[np.float64]:
        """Logits of the pool (n, classes), from the network's own."""
        if not self.weight:
            return np.asarray(logits, dtype=np.float64)
        return logits + self.weight * opinion(self.tfidf.predict_proba(texts))

    def logits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Logits of the pool, shape (n, classes)."""
        return self.pooled(texts, self.engine.logits(texts))

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, classes), not yet calibrated."""
        return softmax(self.logits(texts))


def fitted(train: Labelled, seed: int) -> Tfidf:
    """TF-IDF, fitted on the network's training rows."""
    member = _member(seed)
    member.fit(train)
    return member


def _member(seed: int) -> Tfidf:
    return Tfidf(Baseline(architectures=["tfidf"], tfidf=Setting(C=C)), _no_vectors, seed)


def _no_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    raise NotImplementedError("TF-IDF asks for no sentence vectors")


def build(engine: Engine, train: Labelled, held: Labelled, seed: int, folder: Path) -> Pooled:
    """Fit TF-IDF on training rows and its weight on held-out ones, save both, read them back.

    Args:
        engine: the fine-tuned network.
        train: the rows that it learnt from.
        held: validation rows.
        seed: of TF-IDF's linear model.
        folder: exists; gets TF-IDF, its weight and their hashes.

    """
    tfidf = fitted(train, seed)
    said = opinion(tfidf.predict_proba(held.texts))
    weight = fit_weight(engine.logits(held.texts), said, held.y)
    tfidf.save(folder)
    manifest.write(folder / ABOUT, {"weight": weight}, [PIPELINE])
    return load(engine, folder)


def load(engine: Engine, folder: Path, redo: str | None = None) -> Pooled:
    """The pool of a network and what ``build`` saved.

    Args:
        engine: the network, however it is run.
        folder: that ``build`` wrote to, or a copy.
        redo: what to do if a file is not what was saved; None: run the stage again.

    Raises:
        UserError: a file is missing or not what was saved.

    """
    about = manifest.read(folder / ABOUT, redo or manifest.anew("finetune"))
    member = _member(seed=0)
    member.load(folder)
    return Pooled(engine, member, float(about["weight"]))
