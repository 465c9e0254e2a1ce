"""Two cheap models in one answer: the opinion pool of TF-IDF and static word embeddings.

They err on different messages, so together they are ahead of either, still without a transformer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.models.architecture import (
    Architecture,
    Embed,
    Labelled,
    opinion,
    softmax,
)
from roadworthy.models.static import Static
from roadworthy.models.tfidf import Tfidf
from roadworthy.settings import Baseline


class Pool(Architecture):
    """Logarithmic opinion pool (Genest and Zidek 1986), both members with the same weight."""

    def __init__(self, settings: Baseline, embed: Embed, seed: int) -> None:
        super().__init__(settings, embed, seed)
        self.members = (Tfidf(settings, embed, seed), Static(settings, embed, seed))

    def fit(self, train: Labelled) -> None:
        for member in self.members:
            member.fit(train)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        found = [opinion(member.predict_proba(texts)) for member in self.members]
        return softmax(np.mean(found, axis=0))

    def save(self, folder: Path) -> None:
        for member in self.members:
            member.save(folder)

    def load(self, folder: Path) -> None:
        for member in self.members:
            member.load(folder)
