"""How familiar is a message to a model? Scores that tell messages of no known class from others.

High is familiar. Energy: Liu et al. 2020; distance to the k-th nearest training row: Sun et al.
2022. Training rows that are themselves of no known class teach no class; here they say what
strangers look like.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.floating]
NEIGHBOUR = 10
CLOSE = 3
"""Of the nearest known rows and of the nearest strangers, which one counts in ``contrast``."""
BLOCK = 1024


def energy(logits: Floats) -> Floats:
    """Negative free energy of each row, the logarithm of the sum of exponentials of its logits."""
    return np.asarray(logsumexp(logits.astype(np.float64), axis=1))


def nearness(vectors: Floats, train: Floats, k: int = NEIGHBOUR) -> Floats:
    """Cosine with the k-th nearest training row, in [-1, 1]; both (rows, d) of unit length."""
    k = min(k, len(train))
    blocks = [vectors[at : at + BLOCK] @ train.T for at in range(0, len(vectors), BLOCK)]
    kth = [-np.partition(-block, k - 1, axis=1)[:, k - 1] for block in blocks]
    return np.concatenate(kth) if kth else np.zeros(0)


def contrast(vectors: Floats, train: Floats, strangers: Floats) -> Floats:
    """How much nearer the training rows are than rows of no known class: cosines, in [-2, 2]."""
    return nearness(vectors, train, CLOSE) - nearness(vectors, strangers, CLOSE)


def parts(columns: Collection[str]) -> list[str]:
    """The two scores whose sum is ``joint``: energy, and contrast where there is one."""
    return ["energy", "contrast" if "contrast" in columns else "nearness"]


def joint(frame: pd.DataFrame, spread: Mapping[str, float]) -> Floats:
    """Energy and contrast (or nearness) together, each in units of its ``spread``."""
    units = [frame[part].to_numpy() / spread[part] for part in parts(frame.columns)]
    return np.asarray(np.sum(units, axis=0))


def frame(
    ids: pd.Series, logits: Floats, vectors: Floats, train: Floats, strangers: Floats
) -> pd.DataFrame:
    """``id, energy, nearness``, one row a message, and ``contrast`` where there are strangers.

    Args:
        ids: of the messages.
        logits: their logits (rows, classes).
        vectors: their sentence vectors (rows, d), of unit length like all vectors here.
        train: those of the training rows of known classes.
        strangers: those of the training rows of no known class.

    """
    scores = {"energy": energy(logits), "nearness": nearness(vectors, train)}
    if len(strangers):
        scores["contrast"] = contrast(vectors, train, strangers)
    return pd.DataFrame({"id": ids.to_numpy()} | scores)
