"""Which rows are let in: those that keep the data contract. What the others break is listed."""

from __future__ import annotations

import difflib
from datetime import date

import pandas as pd
from open_data_contract_standard.model import OpenDataContractStandard

from roadworthy import contract
from roadworthy.census import shown
from roadworthy.config import root
from roadworthy.data import load, raw
from roadworthy.errors import UserError
from roadworthy.settings import Audit, Data

COLUMNS = ["file", "row", "id", "column", "rule", "value", "closest"]
"""Of the failure table; ``closest`` is the allowed value that a wrong one most resembles."""


def of(data: Data) -> OpenDataContractStandard | None:
    """Read a data set's contract; None where it has none."""
    return contract.read(root() / data.contract) if data.contract else None


def breaches(data: Data, agreement: OpenDataContractStandard | None) -> pd.DataFrame:
    """List every broken rule of a data set, with file, row and id: the columns ``COLUMNS``.

    Raises:
        UserError: a column of the contract is missing, or no row has a label that it names.
    """
    if agreement is None:
        return pd.DataFrame(columns=COLUMNS)
    part = contract.table(agreement, data.files[0].path)
    columns = {str(column.name): column for column in part.properties or []}
    if data.label not in columns:
        raise UserError(
            f"the contract '{agreement.id}' does not name the label column {data.label!r}"
        )
    # Under other names: a contract may well have columns that are called file, row or split.
    frame = raw(data, {f"={name}": name for name in columns})
    rows = frame[[f"={name}" for name in columns]].set_axis(list(columns), axis=1)
    if gone := sorted(
        set(contract.allowed(columns[data.label])) - set(rows[data.label].str.strip())
    ):
        raise UserError(
            f"{data.files[0].path}: no row has the label {gone[0]!r} that the contract "
            f"'{agreement.id}' names ({len(gone)} such). Was it renamed? Correct the data, or take "
            f"the label out of the contract if it is gone for good."
        )
    found = contract.failures(rows, part)
    where = frame.loc[found["index"].astype(int), ["file", "row", "id"]].reset_index(drop=True)
    closest = [
        next(iter(difflib.get_close_matches(str(value), contract.allowed(columns[name]), n=1)), "")
        for name, value in zip(found["column"], found["value"], strict=True)
    ]
    return pd.concat([where, found.drop(columns="index")], axis=1).assign(closest=closest)[COLUMNS]


def quarantine(
    messages: pd.DataFrame, broken: pd.DataFrame, audit: Audit, label: str = "label"
) -> pd.DataFrame:
    """Give the messages that keep the contract; the others take no part in anything.

    Raises:
        UserError: more than one message and the share ``audit.max_breaches`` break it, or
            ``audit.min_rows`` of them have the same wrong value in the column ``label``: that is no
            slip, the data has changed.
    """
    most = audit.max_breaches
    labels = broken[broken["column"] == label].dropna(subset="value")
    same = labels.groupby("value")["id"].nunique()
    if len(same) and same.max() >= audit.min_rows:
        value = list(same.index)[int(same.to_numpy().argmax())]
        raise UserError(
            f"{same.max()} rows have {label} = {str(value)!r:.60}, which the contract does not "
            f"allow: too many for a typing error. A new or renamed label? Correct the data, or "
            f"agree on a new contract."
        )
    out = messages["id"].isin(set(broken["id"]))
    if out.sum() > max(1, most * len(messages)):
        first = broken.iloc[0]
        kinds = (broken["column"] + " " + broken["rule"].astype(str)).value_counts()
        raise UserError(
            f"{first['file']}, row {first['row']}: {first['column']} = {str(first['value'])!r:.60} "
            f"breaks the contract ({first['rule']}), as do {int(out.sum()) - 1} more of "
            f"{len(messages)} rows; audit.max_breaches accepts {most:.1%}. Most often: "
            f"{kinds.index[0]} ({kinds.iloc[0]}). Correct the data, or agree on a new contract."
        )
    return messages[~out].reset_index(drop=True)


def admit(
    data: Data, audit: Audit
) -> tuple[pd.DataFrame, pd.DataFrame, OpenDataContractStandard | None]:
    """Load a data set and hold it against its contract, if it has one.

    Returns:
        The messages that keep it; what the others break (``COLUMNS``, values masked for people to
        read); the contract.

    Raises:
        UserError: see ``data.load``, ``breaches``, ``quarantine``.
    """
    agreement = of(data)
    broken = breaches(data, agreement)
    # Verified labels are for scorers: a fault of theirs is listed, but takes no row away.
    messages = quarantine(load(data), broken[broken["column"] != data.gold], audit, data.label)
    values = ["" if pd.isna(value) else shown(str(value)) for value in broken["value"]]
    return messages, broken.assign(value=values), agreement


def record(
    agreement: OpenDataContractStandard | None,
    broken: pd.DataFrame,
    created_at: pd.Series,
    day: date,
) -> dict[str, object] | None:
    """Say how the data keeps its contract, for audit.json; ages in days at ``day``."""
    if agreement is None:
        return None
    ages = (pd.Timestamp(day, tz="UTC") - created_at.dt.normalize()).dt.days
    dated = ages.notna().any()
    levels = contract.promises(agreement)
    return {
        "id": agreement.id,
        "version": agreement.version,
        "broken_rules": len(broken),
        "quarantined_rows": int(broken["id"].nunique()),
        "freshness_days": levels.get("freshness"),
        "retention_days": levels.get("retention"),
        "fresh": bool(ages.min() <= levels["freshness"])
        if "freshness" in levels and dated
        else None,
        "overdue_rows": int((ages > levels["retention"]).sum())
        if "retention" in levels and dated
        else None,
    }
