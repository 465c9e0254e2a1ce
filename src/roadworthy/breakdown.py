"""Where one model errs: by class, by confused pair, by slice. In-scope test rows only."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from roadworthy.intervals import accuracy
from roadworthy.predictions import Judged


def _tested(judged: Judged, name: str) -> pd.DataFrame:
    """The in-scope test rows with ``pred`` and ``correct``."""
    rows = judged.rows[judged.mask("test")]
    predicted = np.array(judged.classes, dtype=object)[judged.predicted(name, "test")]
    return rows.assign(pred=predicted, correct=judged.correct(name, "test"))


def per_class(judged: Judged, name: str) -> pd.DataFrame:
    """One line a class, worst F1 first: precision, recall and F1 in per cent, support in rows.

    A class that is never predicted has precision 0; one without test rows has recall 0.
    """
    numbers = list(range(len(judged.classes)))
    truth, predicted = judged.truth("test"), judged.predicted(name, "test")
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=numbers, zero_division=0
    )
    table = pd.DataFrame(
        {
            "class": judged.classes,
            "precision %": 100 * precision,
            "recall %": 100 * recall,
            "F1 %": 100 * f1,
            "support": support,
            "predicted": np.bincount(predicted, minlength=len(numbers)),
        }
    )
    return table.sort_values(["F1 %", "class"], ignore_index=True)


def confusions(judged: Judged, name: str, limit: int) -> pd.DataFrame:
    """The ``limit`` most frequent (true, predicted) pairs, with one example's id each.

    ``share of true %`` is the pair's count among the true class's test rows.
    """
    rows = _tested(judged, name)
    support = rows["label"].value_counts()
    pairs = rows[~rows["correct"]].groupby(["label", "pred"])["id"].agg(["size", "first"])
    table = pairs.reset_index().set_axis(["true", "predicted", "count", "example"], axis=1)
    table = table.sort_values(["count", "true", "predicted"], ascending=[False, True, True])
    whole = support.reindex(table["true"]).to_numpy(float)
    table.insert(3, "share of true %", 100 * table["count"].to_numpy(float) / whole)
    return table.head(limit).reset_index(drop=True)


def confusion_matrix(judged: Judged, name: str, classes: int) -> pd.DataFrame:
    """Counts, true class by predicted class, of the ``classes`` most confused classes."""
    pairs = confusions(judged, name, limit=len(judged.rows))
    involved = pd.concat([pairs.set_index("true")["count"], pairs.set_index("predicted")["count"]])
    totals = involved.groupby(level=0).sum().sort_index()
    chosen = sorted(totals.sort_values(ascending=False, kind="stable").index[:classes])
    rows = _tested(judged, name)
    counts = pd.crosstab(rows["label"], rows["pred"])
    return counts.reindex(index=chosen, columns=chosen, fill_value=0)


def slices(
    judged: Judged, name: str, columns: list[str], fewest: int, confidence: float
) -> pd.DataFrame:
    """Accuracy in per cent of each value of each slice column, with its interval.

    Slices of fewer than ``fewest`` test rows are listed and marked ``too small``.
    """
    rows = _tested(judged, name)
    found = []
    for column in columns:
        for value, part in rows.groupby(rows[column].astype(str), sort=True):
            correct, clusters = part["correct"].to_numpy(bool), part["cluster"].to_numpy()
            own = accuracy(correct, clusters, confidence)
            score = [100 * number for number in (own.value, own.low, own.high)]
            found.append([column, value, len(part), *score, len(part) < fewest])
    names = ["slice", "value", "rows", "accuracy %", "low %", "high %", "too small"]
    return pd.DataFrame(found, columns=pd.Index(names))
