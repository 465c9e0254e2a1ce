"""Checks of the audit: one file each, one shape for all, taken from cleanlab's Datalab.

A check gives every row a flag and a score in [0, 1], where low is bad and 1 means nothing to see,
and a mapping with what it found. A new check is a new module here with a function ``run``; it gives
None where it has nothing to go by.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy.settings import Audit


@dataclass(frozen=True)
class Check:
    """What one check says: ``flag`` (bool) and ``score`` in [0, 1] per row, and the details."""

    name: str
    flag: pd.Series
    score: pd.Series
    info: dict[str, Any]

    @property
    def rows(self) -> int:
        """Rows flagged."""
        return int(self.flag.sum())


@dataclass(frozen=True)
class Inputs:
    """What checks look at, all with one index."""

    messages: pd.DataFrame
    """Annotated (``audit.annotate``): id, text, label, split, in_scope, cluster, leaked, …"""
    repeats: pd.DataFrame
    """``Duplicates.rows``: exact, near, similarity, cluster."""
    personal: pd.DataFrame
    """Findings of ``personal.scan``: row, kind, value."""
    vectors: NDArray[np.float32] | None
    """Unit-length sentence vectors, one per row; None where the audit goes without."""
    audit: Audit


@dataclass(frozen=True)
class Issues:
    """All checks of one data set."""

    ids: pd.Series
    checks: tuple[Check, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row per message: ``id``, and ``is_<check>`` and ``<check>_score`` of each check."""
        columns: dict[str, pd.Series] = {"id": self.ids}
        for check in self.checks:
            columns[f"is_{check.name}"] = check.flag.astype(bool)
            columns[f"{check.name}_score"] = check.score.astype("float64")
        return pd.DataFrame(columns)

    @property
    def summary(self) -> pd.DataFrame:
        """One row per check: rows flagged and their share of all rows."""
        lines = [(check.name, check.rows, check.rows / len(self.ids)) for check in self.checks]
        return pd.DataFrame(lines, columns=["check", "rows", "share"]).set_index("check")

    @property
    def info(self) -> dict[str, dict[str, Any]]:
        """What each check found."""
        return {check.name: check.info for check in self.checks}


def find_issues(inputs: Inputs) -> Issues:
    """Run every check of this package, in the order of their module's names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = (module.run(inputs) for module in modules)
    return Issues(inputs.messages["id"], tuple(check for check in found if check is not None))
