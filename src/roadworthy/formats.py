"""File formats: the text of a raw file in, a frame of its rows out; the disk is left to data.py."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd

from roadworthy.errors import UserError
from roadworthy.settings import Data, File

ROW, SPLIT = "\0row", "\0split"
"""The columns that the readers add. No column of a file can have these names: NUL is refused."""


def _check_header(header: list[str], file: File, columns: list[str]) -> None:
    for mark, name in ((";", "semicolon"), ("\t", "tab")):
        if len(header) == 1 and mark in header[0]:
            raise UserError(
                f"{file.path}: the columns are separated by a {name}: save the file as CSV with "
                f"commas (in a spreadsheet: export, field delimiter ,)"
            )
    for column in columns:
        if header.count(column) != 1:
            found = "no column" if column not in header else "more than one column"
            raise UserError(
                f"{file.path} has {found} '{column}'; its columns are "
                f"{', '.join(map(repr, header))}. Name the right column in conf/data/."
            )


def read_csv(text: str, file: File, columns: list[str]) -> pd.DataFrame:
    """Read the declared columns of a CSV file as text, plus ``SPLIT`` and ``ROW``, from 1."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    numbers: list[int] = []
    try:
        header = next(reader)
        _check_header(header, file, columns)
        for number, row in enumerate(reader, start=1):
            if row and len(row) != len(header):
                raise UserError(
                    f"{file.path}, row {number} (line {reader.line_num}): {len(row)} fields, the "
                    f"header has {len(header)}. A comma, a quote or a line break in the text "
                    f"needs the whole field in double quotes."
                )
            rows += [row] if row else []
            numbers += [number] if row else []
    except csv.Error as error:
        raise UserError(
            f"{file.path}, row {len(rows) + 1} (up to line {reader.line_num}): not valid CSV "
            f"({error}). Look for a double quote that is not closed or not doubled."
        ) from error
    if not rows:
        raise UserError(f"{file.path} has a header line but no message below it")
    frame = pd.DataFrame(rows, columns=pd.Index(header), dtype="object")[columns]
    frame[ROW], frame[SPLIT] = numbers, file.split
    return frame


def read_json(text: str, file: File, data: Data, columns: list[str]) -> pd.DataFrame:
    """Read the named lists of [text, label] pairs of a JSON file, plus ``ROW`` and ``SPLIT``."""
    shape = f"lists {', '.join(file.keys)} of [text, label] pairs"
    if other := [column for column in columns if column not in (data.text, data.label)]:
        raise UserError(f"{file.path}: a JSON file holds {shape} and no column '{other[0]}'")
    try:
        lists = json.loads(text)
    except ValueError as error:
        raise UserError(f"{file.path} is not valid JSON: {error}") from error
    parts = []
    for key, split in file.keys.items():
        pairs = lists.get(key) if isinstance(lists, dict) else None
        if not isinstance(pairs, list) or not pairs:
            raise UserError(f"{file.path} has no list '{key}' with messages; expected {shape}")
        for number, pair in enumerate(pairs, start=1):
            if not isinstance(pair, list) or [type(part) for part in pair] != [str, str]:
                shown = json.dumps(pair)[:60]
                raise UserError(f"{file.path}, row {key}-{number}: {shown} is no [text, label]")
        frame = pd.DataFrame(pairs, columns=pd.Index([data.text, data.label]), dtype="object")
        frame[ROW] = [f"{key}-{number}" for number in range(1, len(pairs) + 1)]
        frame[SPLIT] = split
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)
