"""Who is in the data: the counts and listings that the audit shows to people.

Message text is hostile wherever it is shown: ``shown`` masks and shortens it.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pandas as pd

from roadworthy.data import SPLITS
from roadworthy.errors import UserError
from roadworthy.intervals import wilson
from roadworthy.personal import find, masked
from roadworthy.settings import Audit

MASKS = (
    (re.compile(r"\S+@\S+"), "<email>"),
    (re.compile(r"(?i)\b(?:https?://|www\.)\S+"), "<link>"),
    (re.compile(r"\d(?:[\d \-./]*\d){4,}"), "<number>"),
)
"""What ``personal`` leaves: odd addresses, links, numbers of five digits and more."""


def shown(text: str, width: int = 80) -> str:
    """Give one masked, shortened line without control characters, for tables that people read."""
    visible = masked(text, find(text))
    visible = "".join(" " if unicodedata.category(one)[0] == "C" else one for one in visible)
    for pattern, mask in MASKS:
        visible = pattern.sub(mask, visible)
    line = " ".join(visible.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def words(text: pd.Series) -> pd.Series:
    """Words of each text, separated by white space."""
    return text.map(lambda one: len(one.split()))


def length_bands(counts: pd.Series, edges: list[int]) -> pd.Series:
    """Name the band of each word count: with edges 8 and 25, "1-8", "9-25" or "26+"."""
    if edges != sorted(set(edges)) or not edges or edges[0] < 1:
        raise UserError(f"config: audit.length_edges = {edges} must be rising numbers from 1")
    starts = [1, *(edge + 1 for edge in edges)]
    names = [f"{low}-{high}" for low, high in zip(starts[:-1], edges, strict=True)]
    names.append(f"{starts[-1]}+")
    return pd.Series(np.array(names)[np.searchsorted(edges, counts)], index=counts.index)


def class_table(messages: pd.DataFrame, audit: Audit) -> pd.DataFrame:
    """Count the rows of each in-scope class, per split, largest first; ``tail``: the long tail."""
    scope = messages[messages["in_scope"]]
    table = pd.crosstab(scope["label"], scope["split"]).reindex(columns=list(SPLITS), fill_value=0)
    table = table.assign(rows=table.sum(axis=1)).rename_axis(columns=None)
    table["share"] = table["rows"] / table["rows"].sum()
    table["tail"] = table["train"] < audit.tail_rows
    return table.sort_values(["train", "rows"], ascending=False, kind="stable")


def slice_table(messages: pd.DataFrame, slices: list[str]) -> pd.DataFrame:
    """Count the rows of each value of each slice column, in all and per split.

    ``low`` and ``high``: 95 % Wilson interval of the share, for a reader who takes the rows for a
    sample. ``unseen``: classes of which the slice has no training row.
    """
    scope = messages[messages["in_scope"]]
    classes = scope["label"].nunique()
    parts = []
    for name in slices:
        part = pd.crosstab(messages[name], messages["split"]).reindex(
            columns=list(SPLITS), fill_value=0
        )
        part.insert(0, "rows", part.sum(axis=1))
        part.insert(1, "share", part["rows"] / len(messages))
        bounds = [wilson(int(rows), len(messages), 0.95) for rows in part["rows"]]
        part.insert(2, "low", [low for low, _ in bounds])
        part.insert(3, "high", [high for _, high in bounds])
        seen = scope[scope["split"] == "train"].groupby(name)["label"].nunique()
        part["unseen"] = classes - seen.reindex(part.index, fill_value=0)
        parts.append(part.sort_values("rows", ascending=False, kind="stable"))
    return pd.concat(parts, keys=slices, names=["slice", "value"]).rename_axis(columns=None)


def _listed(values: pd.Series) -> str:
    return ", ".join(sorted(values.unique()))


def duplicate_table(messages: pd.DataFrame) -> pd.DataFrame:
    """List the clusters of several rows, largest first, each with two of its texts."""
    groups = messages[messages["cluster"].duplicated(keep=False)].groupby("cluster")
    table = pd.DataFrame(
        {
            "rows": groups.size(),
            "labels": groups["label"].agg(_listed),
            "splits": groups["split"].agg(_listed),
            "first": groups["text"].first().map(shown),
            "last": groups["text"].last().map(shown),
        }
    )
    return table.sort_values("rows", ascending=False, kind="stable")


def conflict_table(messages: pd.DataFrame) -> pd.DataFrame:
    """List every row of the clusters whose rows carry more than one label."""
    flag = messages.groupby("cluster")["label"].transform("nunique") > 1
    rows = messages.loc[flag, ["cluster", "id", "split", "label", "text"]]
    rows = rows.assign(text=rows["text"].map(shown))
    return rows.sort_values("cluster", kind="stable").set_index("cluster")


def personal_table(messages: pd.DataFrame, personal: pd.DataFrame) -> pd.DataFrame:
    """Count the personal data by kind, each with one masked example.

    ``personal`` has the findings ``row, kind, value``; ``row`` is of the index of ``messages``.
    """
    lines = {}
    for kind, part in personal.groupby("kind"):
        text = messages.loc[part["row"].iloc[0], "text"]
        example = masked(text, find(text))
        near = max(0, example.index(f"<{kind}>") - 30)
        lines[kind] = (part["row"].nunique(), len(part), shown(example[near:]))
    columns = ["rows", "findings", "example, masked"]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns).rename_axis("kind")
