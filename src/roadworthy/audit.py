"""Can this data be trusted? The stage ``audit``: what is wrong, row by row.

Every check has one shape, taken from cleanlab's Datalab: per row a flag and a score in [0, 1]
(low is bad), one line of summary, and a dictionary with what it found. A score of 1 means:
nothing to see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from roadworthy.census import class_table, length_bands, words
from roadworthy.data import SPLITS
from roadworthy.duplicates import Duplicates
from roadworthy.settings import Audit

SHORT = 2
"""Fewest words of a message that is not flagged as short."""


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


def annotate(
    messages: pd.DataFrame, clusters: pd.Series, split: pd.Series, audit: Audit
) -> pd.DataFrame:
    """Add ``split``, ``cluster``, ``leaked`` and ``length``; drop file and row.

    ``leaked``: a validation or test row whose cluster also has a training row. Only rows in scope
    count, on both sides: the others are neither learnt nor scored as a class.
    """
    scope = messages["in_scope"]
    learnt = clusters.isin(set(clusters[(split == "train") & scope]))
    return messages.assign(
        split=split,
        cluster=clusters,
        leaked=learnt & (split != "train") & scope,
        length=length_bands(words(messages["text"]), audit.length_edges),
    ).drop(columns=["file", "row"])


def _duplicates(messages: pd.DataFrame, repeats: pd.DataFrame) -> list[Check]:
    """Check for exact and near duplicates; the score falls with similarity."""
    exact, near = repeats["exact"], repeats["near"]
    groups = messages["cluster"].value_counts()
    info = {"clusters": int((groups > 1).sum()), "largest": int(groups.max())}
    return [
        Check("exact_duplicate", exact, 1.0 - exact, {}),
        Check("near_duplicate", near, (1.0 - repeats["similarity"]).where(near, 1.0), info),
    ]


def _conflicts(messages: pd.DataFrame) -> Check:
    """Flag rows in a cluster of several labels; the score is the share of its rows that agree."""
    together = messages.groupby("cluster")["label"]
    flag = together.transform("nunique") > 1
    agree = messages.groupby(["cluster", "label"])["id"].transform("size") / together.transform(
        "size"
    )
    return Check(
        "conflicting_label", flag, agree, {"clusters": int(messages.loc[flag, "cluster"].nunique())}
    )


def _leaks(messages: pd.DataFrame) -> Check:
    """Flag held-out rows with a training twin; the score is the held-out share of the cluster.

    Rows out of scope are left aside, see ``annotate``.
    """
    scope = messages[messages["in_scope"]]
    shares = (scope["split"] != "train").groupby(scope["cluster"]).mean()
    held_out = messages["cluster"].map(shares)
    info = {
        name: int((messages["leaked"] & (messages["split"] == name)).sum()) for name in SPLITS[1:]
    }
    return Check("leaked", messages["leaked"], held_out.where(messages["leaked"], 1.0), info)


def _lengths(messages: pd.DataFrame, audit: Audit) -> list[Check]:
    """Flag texts of fewer than ``SHORT`` words and of more than the last of the length edges."""
    count, most = words(messages["text"]), audit.length_edges[-1]
    return [
        Check("short_text", count < SHORT, (count / SHORT).clip(upper=1.0), {"words": SHORT}),
        Check("long_text", count > most, (most / count).clip(upper=1.0), {"words": most}),
    ]


def _rare(messages: pd.DataFrame, audit: Audit) -> Check:
    """Flag rows of long-tail classes; the score is training rows of the class / tail_rows."""
    learnt = messages[(messages["split"] == "train") & messages["in_scope"]]
    rows = messages["label"].map(learnt["label"].value_counts()).fillna(0)
    rows = rows.where(messages["in_scope"], audit.tail_rows)
    flag = rows < audit.tail_rows
    info = {"classes": sorted(messages.loc[flag, "label"].unique())}
    return Check("rare_class", flag, (rows / audit.tail_rows).clip(upper=1.0), info)


def find_issues(messages: pd.DataFrame, found: Duplicates, audit: Audit) -> Issues:
    """Run every check on annotated messages (see ``annotate``)."""
    checks = [
        *_duplicates(messages, found.rows),
        _conflicts(messages),
        _leaks(messages),
        *_lengths(messages, audit),
        _rare(messages, audit),
    ]
    return Issues(messages["id"], tuple(checks))


def record(
    messages: pd.DataFrame, found: Duplicates, issues: Issues, split: dict[str, Any], audit: Audit
) -> dict[str, Any]:
    """Assemble what audit.json says about the rows; ratios are shares in [0, 1].

    ``leakage.test_share`` is a share of the test rows in scope.
    """
    classes, counts = class_table(messages, audit), words(messages["text"])
    info, flagged = issues.info, issues.summary["rows"]
    tests = int(((messages["split"] == "test") & messages["in_scope"]).sum())
    tail = classes.loc[classes["tail"], "train"]
    return {
        "rows": len(messages),
        "classes": len(classes),
        "out_of_scope_rows": int((~messages["in_scope"]).sum()),
        "duplicates": {
            "exact_rows": int(flagged["exact_duplicate"]),
            "near_rows": int(flagged["near_duplicate"]),
            "clusters": found.clusters,
        },
        "conflicting_clusters": info["conflicting_label"]["clusters"],
        "leakage": info["leaked"] | {"test_share": info["leaked"]["test"] / tests},
        "balance": {
            "largest": int(classes["train"].max()),
            "smallest": int(classes["train"].min()),
            "ratio": classes["train"].max() / classes["train"].min(),
            "tail_classes": len(tail),
            "tail_share": tail.sum() / classes["train"].sum(),
        },
        "length": {
            "median_words": float(counts.median()),
            "p95_words": float(counts.quantile(0.95)),
            "max_words": int(counts.max()),
        },
        "split": split["counts"]
        | {key: split[key] for key in ("test_id_sha256", "brought", "seed")},
    }
