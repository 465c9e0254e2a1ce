"""Do people agree on the labels, and who differs how? Several labels a message in, measures out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy.intervals import resampled, wilson


def counts(annotations: pd.DataFrame) -> pd.DataFrame:
    """How many annotators gave each label: one row per message, one column per label.

    ``annotations`` has ``id, annotator, label``.
    """
    return pd.crosstab(annotations["id"], annotations["label"])


def everyone(
    votes: pd.DataFrame | None, filed: pd.Series | None, messages: pd.DataFrame
) -> pd.DataFrame:
    """Every label that somebody gave: ``id, annotator, label``, those on file included.

    ``filed``: who gave the label on file, by id; None: nobody knows, so it counts as one person's.
    """
    own = messages[["id", "label"]].assign(annotator="filed")
    if filed is not None:
        own["annotator"] = own["id"].map(filed)
    parts = [own, votes] if votes is not None else [own]
    every = pd.concat(parts, ignore_index=True)[["id", "annotator", "label"]].astype(str)
    return every.drop_duplicates(["id", "annotator"], keep="last", ignore_index=True)


def alpha(table: NDArray[np.int64]) -> float:
    """Krippendorff's alpha for nominal labels (Krippendorff 2011), 1: perfect, 0: by chance.

    ``table`` has shape (messages, labels), as ``counts`` gives it; messages with one label only say
    nothing about agreement and are left out. NaN where no message has two labels.
    """
    paired = table[table.sum(axis=1) > 1].astype(np.float64)
    each = paired.sum(axis=1, keepdims=True)
    if not len(paired):
        return float("nan")
    observed = float(((paired * (each - paired)) / (each - 1)).sum())
    totals = paired.sum(axis=0)
    expected = float((totals * (totals.sum() - totals)).sum() / (totals.sum() - 1))
    return 1.0 - observed / expected if expected else 1.0


def alpha_interval(table: NDArray[np.int64], resamples: int, seed: int) -> tuple[float, float]:
    """95 % percentile interval of alpha, messages resampled."""
    weights = resampled(np.arange(len(table)), resamples, seed)
    draws = [alpha(np.repeat(table, line, axis=0)) for line in weights]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)


def consensus(annotations: pd.DataFrame) -> pd.Series:
    """The label most annotators gave, by message; where that is a tie, none (left out)."""
    table = counts(annotations)
    top = table.max(axis=1)
    single = table.eq(top, axis=0).sum(axis=1) == 1
    return table[single].idxmax(axis=1).rename("consensus")


def errors(labels: pd.DataFrame, truth: pd.Series) -> pd.DataFrame:
    """How often each annotator differs from the truth, with a 95 % Wilson interval.

    ``labels`` has ``id, annotator, label``; ``truth`` the label by id, rows without one are left
    out. Columns ``rows, error, low, high, mostly`` (the confusion the annotator makes most).
    """
    known = labels.assign(truth=labels["id"].map(truth)).dropna(subset="truth")
    lines = {}
    for name, part in known.groupby("annotator"):
        wrong = part[part["label"] != part["truth"]]
        low, high = wilson(len(wrong), len(part), 0.95)
        pairs = (wrong["truth"] + " → " + wrong["label"]).value_counts()
        mostly = f"{pairs.index[0]} ({pairs.iloc[0]})" if len(pairs) else ""
        lines[name] = (len(part), len(wrong) / len(part), low, high, mostly)
    columns = ["rows", "error", "low", "high", "mostly"]
    table = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
    return table.rename_axis("annotator")


@dataclass(frozen=True)
class People:
    """What is known of the people behind the labels."""

    errors: pd.DataFrame
    """``errors`` of everybody, indexed by source (``filed`` or ``read``) and annotator."""
    alpha: float
    """Krippendorff's alpha of messages with several labels; NaN where there are none."""
    low: float
    high: float
    messages: int
    """Messages with several labels."""
    unanimous: float
    """Share of them on which all agree."""
    consensus_right: float
    """Share of them, of those with a majority and a verified label, whose majority is right."""

    def record(self) -> dict[str, float | int]:
        """The numbers, without the table."""
        return {name: value for name, value in vars(self).items() if name != "errors"}


def measure(
    votes: pd.DataFrame | None,
    filed: pd.Series | None,
    messages: pd.DataFrame,
    verified: pd.Series | None,
    seed: int,
) -> People:
    """Measure agreement among several labels a message, and errors against verified ones.

    Args:
        votes: ``id, annotator, label`` where several people labelled the same messages.
        filed: who gave the label of a message, by id.
        messages: ``id, label`` of every row.
        verified: the right label by id; without it nobody's errors are known.
        seed: of the interval's resampling.

    """
    nan, parts = float("nan"), {}
    if filed is not None and verified is not None:
        labels = messages[["id", "label"]].assign(annotator=messages["id"].map(filed))
        parts["filed"] = errors(labels, verified)
    if votes is not None and verified is not None:
        parts["read"] = errors(votes, verified)
    columns = ["rows", "error", "low", "high", "mostly"]
    everybody = pd.concat(parts, names=["source"]) if parts else pd.DataFrame(columns=columns)
    if votes is None:
        return People(everybody, nan, nan, nan, 0, nan, nan)
    table = counts(votes)
    several = table[table.sum(axis=1) > 1].to_numpy()
    low, high = alpha_interval(several, 200, seed)
    agreed = consensus(votes[votes["id"].isin(table.index[table.sum(axis=1) > 1])])
    known = agreed.index.intersection(verified.index) if verified is not None else agreed.index[:0]
    right = float((agreed[known] == verified[known]).mean()) if verified is not None else nan
    unanimous = float((several.max(axis=1) == several.sum(axis=1)).mean())
    return People(everybody, alpha(several), low, high, len(several), unanimous, right)
