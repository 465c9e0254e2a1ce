"""Messages from a CSV file that the model has not learnt from: their texts, dates and labels."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy.data import decode
from roadworthy.errors import UserError
from roadworthy.formats import ROW, read_csv
from roadworthy.settings import Data, File

DAYS, BLOCK = 7, 250
"""A period has so many days, or where there are no dates about so many messages."""


def read(
    path: Path, columns: Mapping[str, str | None], needed: Sequence[str] = ("text",)
) -> pd.DataFrame:
    """The rows of a CSV file, all text: ``row`` (a number, from 1) and the ``columns``.

    These map a name to the file's own; a column that is not ``needed`` is left out where the file
    has none of that name. In a file with one column an empty line is an empty message.

    Raises:
        UserError: no such file, no CSV in UTF-8, no needed column, no row.

    """
    if not path.is_file():
        raise UserError(f"{path} is missing, or no file")
    text = decode(path, str(path))
    header = next(csv.reader(text.splitlines()[:1]), [])
    wanted = {
        name: str(column) for name, column in columns.items() if name in needed or column in header
    }
    if "text" in needed and wanted["text"] not in header and not set(";\t") & set("".join(header)):
        raise UserError(
            f"{path} has no column '{wanted['text']}'; its columns are "
            f"{', '.join(map(repr, header))}. Name the one that holds the messages: --text COLUMN"
        )
    frame = read_csv(text, File(path=str(path)), list(dict.fromkeys(wanted.values())))
    frame = frame.set_index(ROW)
    if len(header) == 1:  # the reader skips empty lines
        frame = frame.reindex(range(1, int(frame.index.max()) + 1), fill_value="")
    found = {name: frame[own].to_numpy() for name, own in wanted.items()}
    return pd.DataFrame({"row": frame.index.to_numpy()} | found)


def _refuse(path: Path, rows: pd.DataFrame, column: str, message: str) -> None:
    """Raise with the first of the bad ``rows``, if there is one: its number and its value."""
    if len(rows):
        first = rows.iloc[0]
        more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        value = str(first[column])[:60]
        raise UserError(f"{path}, row {first['row']}{more}: {value!r} {message}")


def periods(path: Path, messages: pd.DataFrame) -> tuple[NDArray[np.int64], list[str]]:
    """Which period each message came in, and the periods' names, in order.

    Weeks of seven days from the day (UTC) of the first message, those without messages left out;
    without dates, blocks of the file's rows.

    Raises:
        UserError: a date is none.

    """
    if "created_at" not in messages:
        number = max(1, round(len(messages) / BLOCK))
        codes = np.arange(len(messages)) * number // len(messages)
        rows = messages["row"].groupby(codes)
        ends = zip(rows.min(), rows.max(), strict=True)
        return codes, [f"rows {first} to {last}" for first, last in ends]
    written = messages["created_at"].str.strip()
    dates = pd.to_datetime(written, format="ISO8601", errors="coerce", utc=True)
    what = (
        "is not an ISO 8601 date (2026-03-31T14:05:00). Correct it, or take the column out of the "
        "file: then blocks of rows are held against each other."
    )
    _refuse(path, messages[dates.isna()], "created_at", what)
    since = (dates - dates.min().floor("D")).dt.days
    codes, weeks = pd.factorize(since // DAYS, sort=True)
    first = pd.Series(dates.min().floor("D") + pd.to_timedelta(DAYS * np.asarray(weeks), "D"))
    last = first + pd.Timedelta(DAYS - 1, "D")
    last = last.where(last <= dates.max(), dates.max())
    days = zip(first.dt.strftime("%Y-%m-%d"), last.dt.strftime("%Y-%m-%d"), strict=True)
    names = [" to ".join(dict.fromkeys(both)) for both in days]
    return codes.astype(np.int64), names


def labels(path: Path, messages: pd.DataFrame, file: Path, data: Data) -> pd.Series:
    """What people say each message is, by the message's ``row``; those without a label left out.

    ``file`` is where the ``messages`` come from.

    Labels are matched by id; where the messages have none, by a column ``row``, as ``predict``
    writes it.

    Raises:
        UserError: a column is missing, an id is unknown or repeated, there is no label.

    """
    key = "id" if "id" in messages else "row"
    own = {"key": data.id if key == "id" else "row", "label": data.label}
    given = read(path, own, ("key", "label"))
    keys = messages[key].astype(str).str.strip()
    given["key"], given["label"] = given["key"].str.strip(), given["label"].str.strip()
    twice = messages.assign(key=keys)[keys.duplicated()]
    _refuse(file, twice, "key", f"is the {key} of two messages: labels cannot tell them apart.")
    _refuse(path, given[given["key"].duplicated()], "key", f"is an {key} with two labels: keep one")
    unknown = given[~given["key"].isin(keys)]
    _refuse(path, unknown, "key", f"is the {key} of no message: are these the labels of that file?")
    said = given[given["label"] != ""].set_index("key")["label"]
    if said.empty:
        raise UserError(f"{path} has no label in its column '{data.label}'")
    rows = pd.Series(messages["row"].to_numpy(), index=keys)
    return said.set_axis(rows.loc[said.index].to_numpy())
