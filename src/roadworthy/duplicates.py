"""Exact and near duplicates, by the one definition that the whole project uses.

Near-duplicate: Jaccard similarity of the sets of character shingles of the normalised texts at
or above a threshold. MinHash finds the candidates (Broder 1997; banding by Leskovec, Rajaraman
and Ullman, *Mining of Massive Datasets*, 3.4); each candidate is then verified exactly, so
hashing can only miss, never invent.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain

import numpy as np
import pandas as pd
from datasketch import MinHash
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from xxhash import xxh32_intdigest

from roadworthy.parallel import CHUNK, spread

MISSED = 1e-3
"""Accepted probability that a pair exactly at the threshold is not even a candidate."""


DEVIATIONS = 4.5
GROUP = 50
"""Texts sharing a band of which every pair is compared; in larger groups a chain and a star."""


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
    """Pairs of different normalised texts that MinHash proposed and its estimate left standing."""
    pairs: int
    """Those of them that exact Jaccard similarity confirmed."""

    @property
    def clusters(self) -> int:
        """Number of clusters with at least two rows."""
        return int((self.rows["cluster"].value_counts() > 1).sum())


class _Plain(dict[int, str | None]):
    """What a character becomes, found out once: itself, a space, or nothing if it is invisible."""

    def __missing__(self, code: int) -> str | None:
        category = unicodedata.category(chr(code))
        kept = None if category == "Cf" else chr(code) if category[0] in "LMNS" else " "
        self[code] = kept
        return kept


PLAIN = _Plain()


def normalise(text: str) -> str:
    """Text without case, invisible characters, punctuation and runs of white space.

    Compatibility forms (ligatures, full-width letters) become the plain ones. A text of
    punctuation alone keeps it, so that "?" and "!!" stay different.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(PLAIN).split()) or " ".join(folded.split())


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
    probability of at most ``MISSED`` (rows of one, if even those miss more).
    """
    for rows in range(permutations // 2, 1, -1):
        bands = permutations // rows
        if (1 - threshold**rows) ** bands <= MISSED:
            return bands, rows
    return permutations, 1


def _hashed(texts: Sequence[str], size: int, permutations: int) -> NDArray[np.uint32]:
    """MinHash signatures, (texts, permutations); shingles live only while a text is hashed."""
    shingled = ([one.encode() for one in shingles(text, size)] for text in texts)
    bulk = MinHash.generator(shingled, num_perm=permutations, seed=1, hashfunc=xxh32_intdigest)
    return np.array([one.hashvalues for one in bulk], dtype=np.uint32)


def _signatures(texts: pd.Index, size: int, permutations: int) -> NDArray[np.uint32]:
    """MinHash signatures, (texts, permutations)."""
    out = np.empty((len(texts), permutations), dtype=np.uint32)
    work, done = partial(_hashed, size=size, permutations=permutations), 0
    for part in spread(work, texts.tolist(), "near-duplicates", "text"):
        out[done : done + len(part)] = part
        done += len(part)
    return out


def _likely(
    signatures: NDArray[np.uint32], pairs: NDArray[np.int64], threshold: float
) -> NDArray[np.int64]:
    """Pairs whose signatures do not rule out the threshold.

    The share of equal places estimates the Jaccard similarity; a pair at the threshold falls
    ``DEVIATIONS`` standard deviations short of it in about one case in 300,000.
    """
    least = threshold - DEVIATIONS * np.sqrt(threshold * (1 - threshold) / signatures.shape[1])
    kept = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(pairs), 200_000):
        part = pairs[start : start + 200_000]
        equal = (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1)
        kept.append(part[equal >= least])
    return np.concatenate(kept)


def _candidates(
    signatures: NDArray[np.uint32], threshold: float, bands: int, rows: int
) -> NDArray[np.int64]:
    """Pairs (pairs, 2) of texts that share a band and may reach the threshold, sorted, each once.

    In a group of more than ``GROUP`` each text is paired with the group's first and with its
    neighbour only: they are copies of one template, and a chain links them as well.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    # Bands are told apart by a number each; two that share one by chance are verified like others.
    mix = np.random.default_rng(1).integers(1 << 63, size=rows, dtype=np.uint64) | np.uint64(1)
    for start in range(0, bands * rows, rows):
        key = signatures[:, start : start + rows].astype(np.uint64) @ mix
        _, band, counts = np.unique(key, return_inverse=True, return_counts=True)
        order = np.argsort(band, kind="stable")
        order = order[counts[band[order]] > 1]
        group, large = band[order], counts[band[order]] > GROUP
        for distance in range(1, min(int(counts.max()), GROUP)):
            near = group[:-distance] == group[distance:]
            near &= ~large[:-distance] | (distance == 1)
            pairs = np.stack([order[:-distance][near], order[distance:][near]], axis=1)
            found.append(_likely(signatures, pairs, threshold))
        first = order[np.searchsorted(group, group[large])]
        found.append(_likely(signatures, np.stack([first, order[large]], axis=1), threshold))
    every = np.sort(np.concatenate(found), axis=1)
    return np.unique(every[every[:, 0] < every[:, 1]], axis=0)


def _verified(pairs: Sequence[tuple[str, str]], size: int) -> list[float]:
    # Pairs come sorted by their first text, which is cut once for all of its pairs.
    cut = lru_cache(maxsize=CHUNK)(partial(shingles, size=size))
    return [jaccard(cut(one), cut(other)) for one, other in pairs]


def _similarities(texts: pd.Index, pairs: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Jaccard similarity of each of the pairs (pairs, 2)."""
    both = list(zip(texts[pairs[:, 0]], texts[pairs[:, 1]], strict=True))
    parts = spread(partial(_verified, size=size), both, "verify", "pair")
    return np.fromiter(chain.from_iterable(parts), dtype=np.float64, count=len(both))


def _link(count: int, pairs: NDArray[np.int64]) -> np.ndarray:
    """Component number of each of ``count`` nodes."""
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
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
    signatures = _signatures(distinct, size, permutations)
    candidates = _candidates(signatures, threshold, *banding(threshold, permutations))
    values = _similarities(distinct, candidates, size)
    pairs, values = candidates[values >= threshold], values[values >= threshold]
    similar = np.zeros(len(distinct))
    # One end at a time: numpy 2.4's ufunc.at reads past values that it would have to broadcast.
    for ends in pairs.T:
        np.maximum.at(similar, ends, values)
    component = _link(len(distinct), pairs)
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
