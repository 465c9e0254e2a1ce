"""Predictions frames, checked and side by side: what every scorer works on.

A row whose label is not among the classes is out of scope: it counts in no accuracy, and in service
(``scope.served``) as misrouted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from roadworthy import store
from roadworthy.errors import UserError
from roadworthy.intervals import Codes, Flags, Floats

REDO = ". Run `dvc repro` to remake it."


@dataclass(frozen=True)
class Judged:
    """Validation and test rows, and what each model says about them, all in the audit's order."""

    rows: pd.DataFrame
    """``id, split, label, leaked, cluster``, the slice columns, ``gold`` (NaN: there is none)."""
    classes: list[str]
    models: dict[str, pd.DataFrame]
    """Predictions frames, simplest model first."""

    def mask(self, split: str, in_scope: bool = True) -> Flags:
        """The split's rows with (or without) a label among the classes."""
        known = self.rows["label"].isin(self.classes) == in_scope
        return np.asarray(known & (self.rows["split"] == split), dtype=bool)

    def truth(self, split: str) -> Codes:
        """Class numbers of the split's in-scope rows."""
        return self._codes(self.rows.loc[self.mask(split), "label"])

    def predicted(self, name: str, split: str) -> Codes:
        """Predicted class numbers of the split's in-scope rows."""
        return self._codes(self.models[name].loc[self.mask(split), "pred"])

    def correct(self, name: str, split: str) -> Flags:
        """Which of the split's in-scope rows the model gets right."""
        return np.asarray(self.truth(split) == self.predicted(name, split), dtype=bool)

    def clusters(self, split: str, in_scope: bool = True) -> Codes:
        """Which near-duplicate cluster each of these rows is in: copies are answered alike."""
        return self.rows.loc[self.mask(split, in_scope), "cluster"].to_numpy(np.int64)

    def verified(self, name: str, split: str) -> tuple[Flags, Flags]:
        """Which of the split's in-scope rows are right by their gold label, and which have one."""
        gold = self.rows.loc[self.mask(split), "gold"]
        guess = np.array(self.classes, dtype=object)[self.predicted(name, split)]
        return np.asarray(gold == guess, dtype=bool), gold.notna().to_numpy(dtype=bool)

    def probabilities(self, name: str, split: str, in_scope: bool = True) -> Floats:
        """Class probabilities, shape (rows, classes)."""
        columns = [f"p_{label}" for label in self.classes]
        return self.models[name].loc[self.mask(split, in_scope), columns].to_numpy(np.float64)

    def _codes(self, labels: pd.Series) -> Codes:
        return np.asarray(pd.Index(self.classes).get_indexer(pd.Index(labels)), dtype=np.int64)


def gather(
    predictions: dict[str, pd.DataFrame],
    messages: pd.DataFrame,
    gold: pd.DataFrame,
    split: dict[str, Any],
) -> Judged:
    """All frames checked and brought into the order of ``messages``; ``split`` is the audit's.

    Raises:
        UserError: other ids, another split or label than the audit's, probabilities that are none.

    """
    rows = messages[messages["split"] != "train"].merge(gold, on="id", how="left")
    models = {name: _aligned(name, frame, rows, split) for name, frame in predictions.items()}
    return Judged(rows, list(split["labels"]), models)


def _aligned(
    name: str, frame: pd.DataFrame, rows: pd.DataFrame, split: dict[str, Any]
) -> pd.DataFrame:
    """One frame in the order of ``rows``, once it is known to be about the same rows."""
    where = f"the predictions of '{name}'"
    columns = ["id", "split", "label", "pred", *(f"p_{label}" for label in split["labels"])]
    if list(frame.columns) != columns:
        odd = sorted({*frame.columns} ^ {*columns}) or ["(their order)"]
        raise UserError(f"{where}: column {odd[0]!r} is missing, unknown or misplaced{REDO}")
    tested = frame.loc[frame["split"] == "test", "id"]
    store.check_test_ids(tested, split["test_id_sha256"], where)
    twice = list(frame.loc[frame["id"].duplicated(), "id"])
    if odd := twice or sorted({*frame["id"]} ^ {*rows["id"]}):
        raise UserError(f"{where}: id {odd[0]!r} is missing, unknown or repeated{REDO}")
    ordered = frame.set_index("id").loc[rows["id"]].reset_index()
    for column in ("split", "label"):
        differs = ordered[column] != rows[column]
        if differs.any():
            first = ordered.loc[differs, "id"].iloc[0]
            raise UserError(f"{where}: {first!r} has another {column} than in the audit{REDO}")
    _check_probabilities(where, ordered, split["labels"])
    return ordered


def _check_probabilities(where: str, frame: pd.DataFrame, classes: list[str]) -> None:
    """Each row must sum to 1 (within 0.001), and ``pred`` must be a class of top probability."""
    values = frame[[f"p_{label}" for label in classes]].to_numpy(np.float64)
    off = np.abs(values.sum(axis=1) - 1) > 1e-3
    odd = ~np.isfinite(values).all(axis=1) | (values < 0).any(axis=1) | off
    if odd.any():
        first, total = frame.loc[odd, "id"].iloc[0], values[odd][0].sum()
        raise UserError(f"{where}: {first!r}: not probabilities (they sum to {total:.4f}){REDO}")
    numbers = pd.Index(classes).get_indexer(pd.Index(frame["pred"]))
    chosen = values[np.arange(len(values)), numbers]
    wrong = (numbers < 0) | (chosen < values.max(axis=1) - 1e-6)
    if wrong.any():
        row = frame.loc[wrong].iloc[0]
        raise UserError(f"{where}: {row['id']!r}: {row['pred']!r} is not the likeliest class{REDO}")
