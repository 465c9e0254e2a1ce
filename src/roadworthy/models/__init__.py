"""Architectures, one per file, behind one small interface.

A new architecture is one new file with a subclass of ``Architecture``, one line in
``ARCHITECTURES`` and one word in conf/baseline.
"""

from __future__ import annotations

from roadworthy.models.architecture import Architecture, Embed, Labelled
from roadworthy.models.boosted import Boosted
from roadworthy.models.endpoint import Endpoint
from roadworthy.models.keyword import Keyword
from roadworthy.models.majority import Majority
from roadworthy.models.neighbours import Neighbours
from roadworthy.models.probe import Probe
from roadworthy.models.tfidf import Tfidf

ARCHITECTURES: dict[str, type[Architecture]] = {
    "majority": Majority,
    "keyword": Keyword,
    "tfidf": Tfidf,
    "boosted": Boosted,
    "neighbours": Neighbours,
    "probe": Probe,
    "endpoint": Endpoint,
}

__all__ = ["ARCHITECTURES", "Architecture", "Embed", "Labelled"]
