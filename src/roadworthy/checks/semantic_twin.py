"""Another row says the same in other words: close sentence vectors, different letters.

A signal of its own, not a duplicate: a model may be scored on both without having seen the answer.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from roadworthy.checks import Check, Inputs

BLOCK = 2048
"""Rows compared with all others at a time."""


def run(inputs: Inputs) -> Check | None:
    """Flag rows whose closest row of another cluster has a cosine of ``audit.twin`` or more.

    The score is 1 minus that cosine, at least 0; 1 where it is below the threshold.
    """
    vectors = inputs.vectors
    if vectors is None:
        return None
    cluster = inputs.messages["cluster"].to_numpy()
    closest, split = np.zeros(len(vectors)), inputs.messages["split"].to_numpy()
    other = np.zeros(len(vectors), dtype=np.int64)
    for start in tqdm(range(0, len(vectors), BLOCK), desc="semantic twins", unit="block"):
        cosine = vectors[start : start + BLOCK] @ vectors.T
        cosine[cluster[start : start + BLOCK, None] == cluster[None, :]] = -1.0
        other[start : start + BLOCK] = cosine.argmax(axis=1)
        closest[start : start + BLOCK] = cosine.max(axis=1)
    flag = closest >= inputs.audit.twin
    across = int((flag & (split != split[other])).sum())
    index = inputs.messages.index
    score = np.where(flag, np.clip(1.0 - closest, 0.0, 1.0), 1.0)
    return Check(
        "semantic_twin",
        pd.Series(flag, index=index),
        pd.Series(score, index=index),
        {"across_splits": across},
    )
