"""How each training message is seen: by its vector, by that and its words, by its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from tqdm import tqdm

from roadworthy import dynamics
from roadworthy.models.tfidf import features
from roadworthy.noise import Flags, Floats, Integers, folds
from roadworthy.settings import Clean

COURSE = "_dynamics"
"""Ending of the names of what heads said of rows that they learnt from."""
NEIGHBOURS, SHARPNESS = 20, 4
"""Votes are weighted by cosine to the power of SHARPNESS (targets: 20-NN disagreement)."""


def joint(
    vectors: NDArray[np.floating], texts: Sequence[str], learnt: Flags, seed: int
) -> NDArray[np.float32]:
    """Sentence vectors beside compressed TF-IDF with weight 0.7, (n, d + at most 300).

    Vocabulary and compression are learnt from the rows of ``learnt`` alone.
    """
    known = [text for text, one in zip(texts, learnt, strict=True) if one]
    counter = features(known)
    counts = counter.fit_transform(known)
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

    def judge(
        self, y: Integers, keep: Flags, settings: Clean, seed: int, bar: tqdm[Any]
    ) -> dict[str, Floats]:
        """Probabilities (n, n_classes) by detector, learnt from ``keep``.

        Of each view, what heads say that never learnt the row, and (``COURSE``) what those that did
        said on the way.
        """
        splits = folds(y, self.groups, settings.folds, seed)
        shape, every = (len(y), self.n_classes), len(splits) - 1
        found = {"neighbours": votes(self.vectors, y, self.groups, self.n_classes, keep)}
        for name, view in (("vectors", self.vectors), ("joint", self.joint)):
            held_out, course = np.zeros(shape), np.zeros(shape)
            for rest, held in splits:
                learnt, stop = rest[keep[rest]], held[keep[held]]
                now, mean = dynamics.learn(view, y, learnt, stop, self.n_classes, seed)
                held_out[held] = now[held]
                course[rest] += mean[rest] / every
                bar.update()
            found |= {name: held_out, f"{name}{COURSE}": course}
        return found
