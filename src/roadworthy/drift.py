"""Have the messages changed? Two groups of messages held against each other, signal by signal.

Four signals: the mix of labels, the length, the vocabulary, and the meaning (sentence vectors).
Each has an effect size and a p-value by permutation: how often a random division of the same rows
into groups of these sizes differs as much. Of near-copies one is kept, since copies are no
independent rows. Many tests give false alarms, so p-values are adjusted (Benjamini and Hochberg
1995).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from scipy.stats import false_discovery_control
from sklearn.feature_extraction.text import CountVectorizer
from tqdm import tqdm

from roadworthy.settings import Audit

Floats = NDArray[np.float64]
Effect = Callable[[Floats, Floats], Floats]
"""Weights of the first and of the second group, (divisions, rows) each, in; effects out."""

MOST, LEAST = 1500, 10
"""Rows of a group that are compared: a random sample of larger ones, smaller ones not at all."""


@dataclass(frozen=True)
class Pair:
    """Two groups of rows of one data set, as the four signals see them."""

    first: int
    """Rows of the first group, which come first."""
    total: int
    """Rows of both groups."""
    effects: dict[str, Effect]

    def __call__(self, divisions: NDArray[np.bool_]) -> dict[str, Floats]:
        """Effects of each division (divisions, rows); True: the row is in the first group."""
        one = divisions / divisions.sum(axis=1, keepdims=True)
        other = ~divisions / (~divisions).sum(axis=1, keepdims=True)
        return {name: effect(one, other) for name, effect in self.effects.items()}


def _variation(onehot: Floats) -> Effect:
    """Share of messages whose label would have to change: total variation."""
    return lambda one, other: 0.5 * np.abs((one - other) @ onehot).sum(axis=1)


def _gap(length: NDArray[np.int64]) -> Effect:
    """Largest gap between the distributions of words per message: Kolmogorov-Smirnov."""
    order = np.argsort(length, kind="stable")
    last = np.append(length[order][1:] != length[order][:-1], True)
    return lambda one, other: np.abs(np.cumsum((one - other)[:, order], axis=1)[:, last]).max(
        axis=1
    )


def _divergence(counts: csr_array) -> Effect:
    """Jensen-Shannon distance of the words used, base 2."""

    def effect(one: Floats, other: Floats) -> Floats:
        p, q = one @ counts, other @ counts
        p, q = (x / np.maximum(x.sum(axis=1, keepdims=True), 1e-12) for x in (p, q))
        middle = (p + q) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = [np.where(x > 0, x * np.log2(x / middle), 0.0) for x in (p, q)]
        total: Floats = np.maximum(0.0, (parts[0] + parts[1]).sum(axis=1) / 2)
        return np.sqrt(total)

    return effect


def _discrepancy(vectors: NDArray[np.floating]) -> Effect:
    """Maximum mean discrepancy, Gaussian kernel of the median width (Gretton et al. 2012)."""
    sample = vectors[:: max(1, len(vectors) // 500)]
    width = np.median(pdist(sample, "sqeuclidean")) or 1.0
    squares = (vectors**2).sum(axis=1)
    kernel = np.exp((2 * vectors @ vectors.T - squares[:, None] - squares[None, :]) / width)
    return lambda one, other: np.sqrt(
        np.maximum(0.0, np.einsum("br,br->b", (one - other) @ kernel, one - other))
    )


def _bag(texts: pd.Series) -> csr_array:
    """Which words occur in which text; letters, where no word occurs in three texts."""
    try:
        words = CountVectorizer(token_pattern=r"\w+", binary=True, min_df=3)
        return csr_array(words.fit_transform(texts), dtype=np.float64)
    except ValueError:
        letters = CountVectorizer(analyzer="char", ngram_range=(1, 2), binary=True)
        return csr_array(letters.fit_transform(texts), dtype=np.float64)


def pair(
    messages: pd.DataFrame,
    vectors: NDArray[np.floating] | None,
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    seed: int,
) -> Pair | None:
    """Prepare two groups of messages for comparison; None if one of them is too small for it.

    Args:
        messages: ``text, label, cluster`` of every row.
        vectors: one per row of ``messages``; None leaves the signal ``meaning`` out.
        first: rows of the first group; of each cluster one row, drawn at random, stands for all.
        second: rows of the second group.
        seed: of the sampling.

    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(np.flatnonzero(first | second))
    fresh = order[~messages["cluster"].iloc[order].duplicated().to_numpy()]
    groups = [np.sort(fresh[group[fresh]][:MOST]) for group in (first, second)]
    if min(len(group) for group in groups) < LEAST:
        return None
    rows = np.concatenate(groups)
    part = messages.iloc[rows]
    codes, labels = pd.factorize(part["label"])
    effects = {
        "labels": _variation(np.eye(len(labels))[codes]),
        "length": _gap(part["text"].map(lambda text: len(text.split())).to_numpy()),
        "vocabulary": _divergence(_bag(part["text"])),
    }
    if vectors is not None:
        effects["meaning"] = _discrepancy(vectors[rows].astype(np.float64))
    return Pair(len(groups[0]), len(rows), effects)


def _divisions(total: int, first: int, number: int, seed: int) -> NDArray[np.bool_]:
    generator = np.random.default_rng(seed)
    base = np.arange(total) < first
    drawn = [generator.permutation(base) for _ in range(number)]
    return np.array(drawn, dtype=bool).reshape(number, total)


def judge(both: Pair, observed: NDArray[np.bool_], permutations: int, seed: int) -> pd.DataFrame:
    """Effect and p-value of each signal for one division of the rows.

    The p-value is (1 + divisions at least as far apart) / (1 + permutations).
    """
    drawn = _divisions(len(observed), int(observed.sum()), permutations, seed)
    found = both(np.vstack([observed[None, :], drawn]))
    lines = {
        name: {
            "effect": values[0],
            "by_chance": float(np.quantile(values[1:], 0.95)),
            "p_value": float((1 + (values[1:] >= values[0] - 1e-12).sum()) / (1 + permutations)),
        }
        for name, values in found.items()
    }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("signal")


def compare(
    messages: pd.DataFrame,
    vectors: NDArray[np.floating] | None,
    groups: dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]],
    audit: Audit,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Test every named pair of groups, and the test itself on groups that cannot differ.

    Args:
        messages: ``text, label, cluster`` of every row.
        vectors: one per row, or None.
        groups: name -> rows of the first and of the second group.
        audit: divisions drawn per p-value, random divisions tested as controls, seed.

    Returns:
        A table indexed by comparison and signal, without pairs that are too small: ``effect``,
        ``by_chance`` (its 95th percentile under permutation), ``p_value``, ``q_value``, ``drift``
        (q-value below 0.05), ``rows``; and the share of controls, by signal, with a p-value of at
        most 0.05.

    """
    permutations, controls, seed = audit.permutation_draws, audit.drift_controls, audit.seed
    tables, pairs = {}, {}
    for name, (first, second) in groups.items():
        both = pair(messages, vectors, first, second, seed)
        if both is None:
            continue
        pairs[name], observed = both, np.arange(both.total) < both.first
        tables[name] = judge(both, observed, permutations, seed).assign(rows=both.total)
    if not pairs:
        index = pd.MultiIndex.from_arrays([[], []], names=["comparison", "signal"])
        columns = ["effect", "by_chance", "p_value", "rows", "q_value", "drift"]
        return pd.DataFrame(index=index, columns=columns), {}
    table = pd.concat(tables, names=["comparison", "signal"])
    table["q_value"] = false_discovery_control(table["p_value"])
    table["drift"] = table["q_value"] < 0.05
    control = next(iter(pairs.values()))
    random = _divisions(control.total, control.first, controls, seed + 1)
    alarms = [
        judge(control, division, 99, seed + 2 + number)["p_value"] <= 0.05
        for number, division in enumerate(tqdm(random, desc="drift controls", unit="division"))
    ]
    rates = pd.concat(alarms, axis=1).mean(axis=1) if alarms else pd.Series(dtype=float)
    return table, {str(signal): float(rate) for signal, rate in rates.items()}


def record(table: pd.DataFrame, alarms: dict[str, float]) -> dict[str, Any]:
    """Lay out the comparisons for audit.json, and the measured false-alarm rate of each signal."""
    rows = table.reset_index()
    comparisons = {
        str(name): part.set_index("signal").drop(columns="comparison").to_dict("index")
        for name, part in rows.groupby("comparison", sort=False)
    }
    return {"comparisons": comparisons, "false_alarm_rate": alarms}
