"""Stage ``baseline``: what would simple methods score?

Every architecture of conf/baseline is fitted on the rows that ``clean`` kept and gives one
predictions frame of the same shape. A new architecture is one new file in models/ with a subclass
of ``Architecture``, its name in settings.py, one line in ``ARCHITECTURES`` and one word in
conf/baseline.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from tqdm import tqdm

from roadworthy.models.architecture import Architecture, Embed, Labelled, predictions_frame
from roadworthy.models.boosted import Boosted
from roadworthy.models.endpoint import Endpoint
from roadworthy.models.keyword import Keyword
from roadworthy.models.majority import Majority
from roadworthy.models.neighbours import Neighbours
from roadworthy.models.pool import Pool
from roadworthy.models.probe import Probe
from roadworthy.models.static import Static
from roadworthy.models.tfidf import Tfidf
from roadworthy.settings import Baseline

ARCHITECTURES: dict[str, type[Architecture]] = {
    "majority": Majority,
    "keyword": Keyword,
    "tfidf": Tfidf,
    "static": Static,
    "pool": Pool,
    "boosted": Boosted,
    "neighbours": Neighbours,
    "probe": Probe,
    "endpoint": Endpoint,
}


def build(name: str, settings: Baseline, embed: Embed, seed: int) -> Architecture:
    """An unfitted architecture by name."""
    return ARCHITECTURES[name](settings, embed, seed)


def fit_all(
    train: Labelled,
    messages: pd.DataFrame,
    labels: list[str],
    settings: Baseline,
    embed: Embed,
    seed: int,
) -> Iterator[tuple[str, Architecture, pd.DataFrame]]:
    """Name, fitted architecture and predictions frame, one architecture after the other.

    Args:
        train: the training rows.
        messages: validation and test rows with ``id, text, split, label``.
        labels: class names, sorted.
        settings: which architectures, and their hyperparameters.
        embed: gives vectors for the texts of ``train`` and ``messages``.
        seed: of everything random.

    """
    texts = messages["text"].tolist()
    for name in tqdm(settings.architectures, desc="baselines", unit="architecture"):
        model = build(name, settings, embed, seed)
        model.fit(train)
        yield name, model, predictions_frame(messages, labels, model.predict_proba(texts))
