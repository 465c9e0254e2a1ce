"""Exact and near duplicates, by the one definition that the whole project uses.

Near-duplicate: Jaccard similarity of the sets of character shingles of the normalised texts at
or above a threshold. MinHash finds the candidates (Broder 1997; banding by Leskovec, Rajaraman
and Ullman, *Mining of Massive Datasets*, 3.4); each candidate is then verified exactly, so
hashing can only miss, never invent.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
import pandas as pd
from datasketch import MinHash, MinHashLSH
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

MISSED = 1e-3
"""Accepted probability that a pair exactly at the threshold is not even a candidate."""


@dataclass(frozen=True)
class Duplicates:
    """What repeats what.

    ``rows`` has the index of the texts and the columns ``exact`` (another row has the same
    normalised text), ``near`` (another row has a similar, not the same, normalised text),
    ``similarity`` (highest verified Jaccard similarity to another row, 0 where none reaches the
    threshold) and ``cluster`` (int from 0, in order of first appearance; rows linked by a chain
    of duplicates share one).
    """

    rows: pd.DataFrame
    candidates: int
    """Pairs of different normalised texts that MinHash proposed."""
    pairs: int
    """Those of them that exact Jaccard similarity confirmed."""

    @property
    def clusters(self) -> int:
        """Number of clusters with at least two rows."""
        return int((self.rows["cluster"].value_counts() > 1).sum())


def normalise(text: str) -> str:
    """Text without case, invisible characters, punctuation and runs of white space.

    Compatibility forms (ligatures, full-width letters) become the plain ones. A text of
    punctuation alone keeps it, so that "?" and "!!" stay different.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = []
    for character in folded:
        category = unicodedata.category(character)
        if category != "Cf":  # zero-width and direction marks: there to be invisible
            kept.append(character if category[0] in "LMNS" else " ")
    return " ".join("".join(kept).split()) or " ".join(folded.split())


def shingles(text: str, size: int) -> frozenset[str]:
    """All substrings of ``size`` characters; a shorter text is one shingle."""
    return frozenset(text[start : start + size] for start in range(max(1, len(text) - size + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared shingles divided by all shingles, in [0, 1]."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def banding(threshold: float, permutations: int) -> tuple[int, int]:
    """Bands and rows per band of the MinHash index.

    A pair of similarity s becomes a candidate with probability 1 - (1 - s^rows)^bands. Long
    bands give few candidates; the longest are taken that miss a pair at the threshold with a
    probability of at most ``MISSED`` (rows of one, if even those miss more). Never fewer than two
    bands: the index takes no less.
    """
    for rows in range(permutations // 2, 1, -1):
        bands = permutations // rows
        if (1 - threshold**rows) ** bands <= MISSED:
            return bands, rows
    return permutations, 1


def _candidates(
    sets: list[frozenset[str]], threshold: float, permutations: int
) -> list[tuple[int, int]]:
    """Pairs (i, j), i > j, that share a band, in a reproducible order."""
    index = MinHashLSH(num_perm=permutations, params=banding(threshold, permutations))
    # Sorted: MinHash does not care, but a set's order would differ from process to process.
    shingled = ([shingle.encode() for shingle in sorted(one)] for one in sets)
    signatures = MinHash.bulk(shingled, num_perm=permutations, seed=1)
    found = []
    for number, signature in enumerate(tqdm(signatures, desc="near-duplicates", unit="text")):
        found += [(number, int(other)) for other in sorted(index.query(signature))]
        index.insert(number, signature)
    return found


def _link(count: int, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Component number of each of ``count`` nodes."""
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1])


def find(
    texts: pd.Series, threshold: float = 0.8, size: int = 5, permutations: int = 128
) -> Duplicates:
    """Exact and near duplicates among the texts.

    ``threshold`` is a Jaccard similarity in (0, 1], ``size`` the characters per shingle.
    Clusters are connected components: two rows of one cluster may be less similar than the
    threshold.
    """
    code, distinct = pd.factorize(texts.map(normalise))
    sets = [shingles(text, size) for text in distinct]
    candidates = _candidates(sets, threshold, permutations)
    similar = np.zeros(len(sets))
    pairs = []
    for one, other in candidates:
        value = jaccard(sets[one], sets[other])
        if value >= threshold:
            pairs.append((one, other))
            similar[[one, other]] = np.maximum(similar[[one, other]], value)
    component = _link(len(sets), pairs)
    exact = np.bincount(code)[code] > 1
    rows = pd.DataFrame(
        {
            "exact": exact,
            "near": similar[code] > 0,
            "similarity": np.where(exact, 1.0, similar[code]),
            "cluster": pd.factorize(component[code])[0],
        },
        index=texts.index,
    )
    return Duplicates(rows, len(candidates), len(pairs))
