"""Which labels are wrong? Several detectors on the same folds, and the choice among them.

Three views of a message (its sentence vector; that and its compressed TF-IDF; its neighbours) give
out-of-fold probabilities. After a first round the doubted rows are no longer learnt from, which
keeps systematic errors from confirming themselves. Which score ranks errors best depends on how
they arose, so the score is chosen on errors that are injected into rows believed to be right, of
the same structure as the suspects. Nothing here reads a verified label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from roadworthy.doubt import DOUBT, given, log_ratio, margin, others, posterior
from roadworthy.models.tfidf import features
from roadworthy.noise import Floats, Integers, out_of_fold
from roadworthy.settings import Clean

Flags = NDArray[np.bool_]
STOCK = ("self_confidence", "normalized_margin", "neighbours")
"""What a user gets without this module: one probe's probabilities, or the neighbours' votes."""
OWN = ("margin", "log_ratio", "posterior")
"""Scores of the ensemble after the last round."""
NEIGHBOURS, SHARPNESS = 20, 4
"""Votes are weighted by cosine to the power of SHARPNESS (targets: 20-NN disagreement)."""


def joint(
    vectors: NDArray[np.floating], texts: Sequence[str], learnt: Flags, seed: int
) -> NDArray[np.float32]:
    """Sentence vectors beside compressed TF-IDF with weight 0.7, (n, d + at most 300).

    Vocabulary and compression are learnt from the rows of ``learnt`` alone.
    """
    counter = features()
    counts = counter.fit_transform([text for text, one in zip(texts, learnt, strict=True) if one])
    size = max(1, min(300, counts.shape[1] - 1, counts.shape[0] - 1))
    compress = make_pipeline(TruncatedSVD(size, random_state=seed), Normalizer()).fit(counts)
    words = compress.transform(counter.transform(texts))
    return np.hstack([vectors, 0.7 * words]).astype(np.float32)


def votes(
    vectors: NDArray[np.floating], y: Integers, groups: Integers, n_classes: int, keep: Flags
) -> Floats:
    """Label shares (n, n_classes) among the nearest rows of other groups, of ``keep`` only."""
    shares = np.full((len(y), n_classes), 0.002)
    learnt = np.flatnonzero(keep)
    for start in range(0, len(y), 1024):
        block = slice(start, start + 1024)
        cosine = vectors[block] @ vectors[learnt].T
        cosine[groups[block, None] == groups[learnt][None, :]] = -1.0
        near = np.argpartition(-cosine, min(NEIGHBOURS, len(learnt) - 1), axis=1)[:, :NEIGHBOURS]
        weight = np.maximum(np.take_along_axis(cosine, near, axis=1), 0) ** SHARPNESS
        rows = np.repeat(np.arange(len(cosine)) + start, near.shape[1])
        np.add.at(shares, (rows, y[learnt[near]].ravel()), weight.ravel())
    normalised: Floats = shares / shares.sum(axis=1, keepdims=True)
    return normalised


@dataclass(frozen=True)
class Views:
    """What the detectors look at; one row per training message."""

    vectors: NDArray[np.floating]
    joint: NDArray[np.floating]
    groups: Integers
    """Near-duplicate cluster: copies never judge one another."""
    n_classes: int

    def probabilities(
        self, y: Integers, keep: Flags, settings: Clean, seed: int
    ) -> tuple[Floats, Floats, Floats]:
        """Out-of-fold probabilities of probe, neighbours and ensemble, learnt from ``keep``."""
        alone, both = (
            out_of_fold(view, y, self.groups, self.n_classes, settings, seed, keep)
            for view in (self.vectors, self.joint)
        )
        near = votes(self.vectors, y, self.groups, self.n_classes, keep)
        return alone, near, np.asarray((alone + both + near) / 3)


@dataclass(frozen=True)
class Found:
    """What the detectors say of every row; scores in [0, 1], low is bad."""

    scores: dict[str, Floats]
    chosen: str
    """Of the ensemble's scores, the one that ranks injected errors best."""
    injected: dict[str, float]
    """Average precision of each score on the injected errors."""
    probabilities: Floats
    """Out-of-fold probabilities of the ensemble after the last round."""
    flag: Flags
    """Rows whose label is more likely wrong than right (``posterior`` below ``DOUBT``)."""

    def issues(self, y: Integers) -> pd.DataFrame:
        """Per row ``is_label_issue, label_score`` (low is bad), ``suggested, confidence``.

        What is suggested is the likeliest label other than the given one, with its probability.
        """
        rest = others(self.probabilities, y)
        return pd.DataFrame(
            {
                "is_label_issue": self.flag,
                "label_score": self.scores[self.chosen],
                "suggested": rest.argmax(axis=1),
                "confidence": rest.max(axis=1),
            }
        )


def _rounds(
    views: Views, y: Integers, trusted: Flags, settings: Clean, seed: int
) -> tuple[dict[str, Floats], Floats, Flags]:
    """Scores, the ensemble's last probabilities and its flags, after ``settings.rounds``."""
    keep = np.ones(len(y), dtype=bool)
    alone, near, ensemble = views.probabilities(y, keep, settings, seed)
    scores = {
        "self_confidence": given(alone, y),
        "normalized_margin": margin(alone, y),
        "neighbours": given(near, y),
    }
    for _ in range(settings.rounds):
        keep = trusted | (posterior(ensemble, y) >= DOUBT)
        for label in np.setdiff1d(y, y[keep]):  # a class that is wholly doubted is still learnt
            keep |= y == label
        _, _, ensemble = views.probabilities(y, keep, settings, seed)
    scores |= {
        "margin": margin(ensemble, y),
        "log_ratio": log_ratio(ensemble, y),
        "posterior": posterior(ensemble, y),
    }
    return scores, ensemble, ~trusted & (scores["posterior"] < DOUBT)


def inject(y: Integers, probabilities: Floats, flag: Flags, seed: int) -> tuple[Integers, Flags]:
    """Put errors into rows believed to be right, shaped like the suspects; (labels, which rows).

    As many as there are suspects, at least one row and at most a quarter. Where the suspects' given
    label tends to be the model's second choice, so is the wrong label here; else it is the given
    label of a suspect that the model takes for the same class.
    """
    generator, guess = np.random.default_rng(seed), probabilities.argmax(axis=1)
    good, suspects = np.flatnonzero(~flag), np.flatnonzero(flag)
    size = int(np.clip(len(suspects), 1, max(1, len(good) // 4)))
    rows = generator.choice(good, size, replace=False)
    second = np.argsort(-probabilities, axis=1)[:, 1]
    by_choice = float((y[suspects] == second[suspects]).mean()) if len(suspects) else 1.0
    labels = y.copy()
    for row in rows:
        alike = suspects[guess[suspects] == y[row]]
        if len(alike) == 0 or generator.random() < by_choice:
            labels[row] = second[row]
        else:
            labels[row] = y[generator.choice(alike)]
    return labels, np.isin(np.arange(len(y)), rows[labels[rows] != y[rows]])


def detect(
    views: Views, y: Integers, settings: Clean, seed: int, trusted: Flags | None = None
) -> Found:
    """Score every row with every detector, and choose one by the errors injected.

    Args:
        views: of the training rows.
        y: given labels as integers.
        settings: folds, C and rounds.
        seed: of folds and injected errors.
        trusted: rows that people have looked at: always learnt from, never flagged.

    """
    trusted = np.zeros(len(y), dtype=bool) if trusted is None else trusted
    scores, ensemble, flag = _rounds(views, y, trusted, settings, seed)
    labels, wrong = inject(y, ensemble, flag, seed)
    trial, _, _ = _rounds(views, labels, np.zeros(len(y), dtype=bool), settings, seed)
    # Suspects of the real labels may be errors themselves: they say nothing about a detector.
    judged = ~flag
    injected = {
        name: float(average_precision_score(wrong[judged], 1 - score[judged]))
        if wrong[judged].any()
        else float("nan")
        for name, score in trial.items()
    }
    chosen = max(OWN, key=lambda name: np.nan_to_num(injected[name]))
    return Found(scores, chosen, injected, ensemble, flag)
