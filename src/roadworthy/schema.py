"""What is there, and may it be used? The sources, and the checks that stop the run."""

from __future__ import annotations

import difflib
from datetime import date

import pandas as pd

from roadworthy.config import root
from roadworthy.data import sha256
from roadworthy.errors import UserError
from roadworthy.settings import Audit, Data


def as_of(audit: Audit) -> date:
    """Read the day on which freshness is judged."""
    return date.fromisoformat(audit.as_of)


def _newest(rows: pd.DataFrame, day: date) -> date | None:
    """Find the newest date; a message from after ``day`` is refused, or it would count as fresh."""
    if rows["created_at"].isna().all():
        return None
    row = rows.iloc[rows["created_at"].argmax()]
    newest: date = row["created_at"].date()
    if newest > day:
        raise UserError(
            f"{row['file']}, row {row['row']}: dated {newest}, which is after audit.as_of = {day}. "
            f"Correct the date, or say on which day the data is judged: -S audit.as_of=YYYY-MM-DD."
        )
    return newest


def inventory(messages: pd.DataFrame, data: Data, audit: Audit) -> pd.DataFrame:
    """List the sources, one row per file: where from, whose, how much, how fresh.

    ``newest`` is a date and ``age_days`` whole days at ``audit.as_of``; both null in undated
    data.
    """
    day, lines = as_of(audit), []
    for file in data.files:
        rows = messages[messages["file"] == file.path]
        newest = _newest(rows, day)
        lines.append(
            {
                "path": file.path,
                "origin": data.origin,
                "licence": data.licence,
                "owner": data.owner,
                "rows": len(rows),
                "sha256": sha256(root() / file.path),
                "newest": newest.isoformat() if newest else None,
                "age_days": (day - newest).days if newest else None,
            }
        )
    return pd.DataFrame(lines).astype({"age_days": "Int64"}).set_index("path")


def sources_record(sources: pd.DataFrame) -> list[dict[str, object]]:
    """Turn the inventory into JSON: one mapping per file, null where there is no date."""
    rows = sources.reset_index().astype(object)
    return [
        {str(key): None if pd.isna(value) else value for key, value in row.items()}
        for row in rows.to_dict("records")
    ]


def _closest(label: str, labels: list[str]) -> str:
    near = difflib.get_close_matches(label, [name for name in labels if name != label], n=1)
    return f" (a typo for {near[0]!r}?)" if near else ""


def check_labels(messages: pd.DataFrame, data: Data, audit: Audit) -> pd.Series:
    """Check the label set; gives the rows of each class that are there to learn from.

    Raises:
        UserError: a held-out label that no training row has, a class with fewer than
            ``audit.min_rows`` rows, a single class, an out-of-scope label that does not occur.

    """
    scope = messages[messages["in_scope"]]
    learnable = scope[~scope["split"].isin(["validation", "test"])]
    counts = learnable["label"].value_counts().sort_index()
    known = [str(label) for label in counts.index]
    unknown = scope[~scope["label"].isin(known)]
    if len(unknown):
        row = unknown.iloc[0]
        raise UserError(
            f"{row['file']}, row {row['row']}: label {row['label']!r} of the {row['split']} rows "
            f"is in no training row{_closest(row['label'], known)}. Correct it, add training "
            f"rows for it, or name it in data.out_of_scope."
        )
    for label, count in counts[counts < audit.min_rows].items():
        rows = learnable[learnable["label"] == label]
        raise UserError(
            f"{rows['file'].iloc[0]}, row {rows['row'].iloc[0]}: class {label!r} has {count} "
            f"row(s) to learn from, audit.min_rows is {audit.min_rows}"
            f"{_closest(str(label), known)}. "
            f"Add messages, merge it into another class, or remove it."
        )
    if len(counts) < 2:
        raise UserError(
            f"data set '{data.name}' has {len(counts)} class(es): at least two are needed. Is "
            f"data.label = {data.label!r} the right column?"
        )
    if data.out_of_scope is not None and messages["in_scope"].all():
        raise UserError(
            f"config: data.out_of_scope = {data.out_of_scope!r} is no label in data set "
            f"'{data.name}'{_closest(data.out_of_scope, known)}"
        )
    return counts


def check_distinct(messages: pd.DataFrame, clusters: pd.Series, audit: Audit) -> pd.Series:
    """Check that no class is copies of a few messages; gives each class's distinct ones.

    ``clusters`` has the near-duplicate cluster of each row of ``messages``; rows of one cluster
    count once. Whole clusters go to one split, so a class of one cluster could never be tested.

    Raises:
        UserError: a class with fewer than ``audit.min_rows`` clusters among the rows to learn from.

    """
    learnable = messages["in_scope"] & ~messages["split"].isin(["validation", "test"])
    labels = messages.loc[learnable, "label"]
    distinct = clusters[learnable].groupby(labels).nunique()
    for label, count in distinct[distinct < audit.min_rows].items():
        row = messages.loc[labels.index[labels == label][0]]
        raise UserError(
            f"{row['file']}, row {row['row']}: class {label!r} has {count} distinct message(s) to "
            f"learn from in {int((labels == label).sum())} rows, the others are near-copies; "
            f"audit.min_rows is {audit.min_rows}. Add messages in other words, merge it into "
            f"another class, or remove it."
        )
    return distinct


def freshness(sources: pd.DataFrame, audit: Audit) -> dict[str, object]:
    """Say how old the newest message of all is, in days; null where the data has no dates."""
    dated = sources["newest"].dropna()
    newest = max(dated) if len(dated) else None
    age = int(sources["age_days"].min()) if len(dated) else None
    return {"newest": newest, "as_of": audit.as_of, "age_days": age}


def label_errors(messages: pd.DataFrame, gold: pd.Series | None) -> dict[str, object]:
    """Measure the share of verified rows whose label is wrong: a scorer's figure."""
    known = gold[gold.index.isin(messages["id"])] if gold is not None else None
    if known is None or known.empty:
        return {"rows": 0, "label_error_share": None}
    given = messages.set_index("id")["label"].reindex(known.index)
    return {"rows": len(known), "label_error_share": float((given != known).mean())}


def gold_frame(gold: pd.Series | None) -> pd.DataFrame:
    """Lay out gold.parquet: ``id, gold``, with no row where the data has no verified labels."""
    if gold is None:
        return pd.DataFrame({"id": [], "gold": []}, dtype="str")
    return gold.rename("gold").rename_axis("id").reset_index()
