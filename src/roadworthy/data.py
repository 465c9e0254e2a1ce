"""The only reader of raw data: declared columns in, checked rows out.

``load`` gives what models may see. Verified labels and other tables beside the messages are read
in ``companions``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from roadworthy.config import root
from roadworthy.errors import UserError
from roadworthy.formats import ROW, SPLIT, read_csv, read_json
from roadworthy.settings import Data, File

SPLITS = ("train", "validation", "test")
OWN = ("id", "text", "label", "split", "in_scope", "created_at", "file", "row")
LATER = ("cluster", "leaked", "length", "gold", "pred", "correct", "action", "weight", "index")
RESERVED = {*OWN, *LATER, "_id", "_split"}
"""Column names that a slice may not have: the project uses them itself."""
FILE = "\0file"
"""Like ``ROW`` and ``SPLIT``: a name that no column of a file can have."""
SIGNS = {
    b"PK\x03\x04": "an Excel workbook or an archive: export the sheet as CSV in UTF-8",
    b"\xff\xfe": "text in UTF-16: save it as UTF-8 (e.g. `iconv -f utf-16 -t utf-8`)",
    b"\xfe\xff": "text in UTF-16: save it as UTF-8 (e.g. `iconv -f utf-16 -t utf-8`)",
}
"""How files begin that are no UTF-8 text, and what to do with them."""
HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: JSON can escape one, UTF-8 cannot write it."""


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def id_hash(ids: Iterable[str]) -> str:
    """One hash for a set of ids, whatever their order: the fingerprint of a split."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def text_hash(text: str) -> str:
    """Short hash of a message as it was read: tells whether an id still means that message."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def inside(name: str | Path, missing: str) -> Path:
    """Give a file's path, links resolved, once it is known to be there and inside the project."""
    path = (root() / name).resolve()
    if not path.is_relative_to(root().resolve()):
        raise UserError(f"{name} leads out of the project: data sets live inside it")
    if not path.is_file():
        raise UserError(missing)
    return path


def locate(file: File, data: Data) -> Path:
    """Give the file's path, once it is known to be there, inside the project and unchanged."""
    fetch = data.fetch or "put the file there, or correct data.files in conf/data/"
    missing = f"{file.path} is missing (data set '{data.name}'). To get it: {fetch}"
    path = inside(file.path, missing)
    if file.sha256 and (found := sha256(path)) != file.sha256:
        raise UserError(
            f"{file.path} is not the file that conf/data/{data.name}.yaml pins: SHA-256 is "
            f"{found[:12]}…, expected {file.sha256[:12]}…. To get the right one: {fetch}; "
            f"if the new content is meant, pin its hash."
        )
    return path


def decode(path: Path, name: str) -> str:
    """Read a file as UTF-8; a UserError that names it and the line if it is none, or is empty."""
    raw = path.read_bytes()
    for sign, what in SIGNS.items():
        if raw.startswith(sign):
            raise UserError(f"{name} is {what}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8. Save the file as "
            f"UTF-8 (e.g. `iconv -f windows-1252 -t utf-8`) and run again."
        ) from error
    if not text.strip():
        raise UserError(f"{name} is empty: it needs a header line and at least one message")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(
            f"{name}, line {line}: NUL character; this is no text file (UTF-16?): save it as UTF-8"
        )
    return text


def raw(data: Data, wanted: dict[str, str]) -> pd.DataFrame:
    """Read all files, one below the other: id, the columns of ``wanted``, file, row, split.

    Everything is text as it stands in the file, unchecked; only ids lose the blanks around them,
    so that tables beside the messages find them. ``wanted`` maps a name to its source column.
    ``_id`` and ``_split`` are the declared columns.
    """
    wanted = wanted | ({"_id": data.id} if data.id else {})
    columns = list(dict.fromkeys(wanted.values()))
    parts = []
    for file in data.files:
        text = decode(locate(file, data), file.path)
        read = read_json(text, file, data, columns) if file.keys else read_csv(text, file, columns)
        parts.append(read.assign(**{FILE: file.path}))
    frame = pd.concat(parts, ignore_index=True)
    out = pd.DataFrame({name: frame[source] for name, source in wanted.items()})
    out[["file", "row"]] = frame[[FILE, ROW]].astype(str)
    out["split"] = out.pop("_split").str.strip().str.lower() if "_split" in out else frame[SPLIT]
    stems = {file.path: Path(file.path).stem for file in data.files}
    if len(set(stems.values())) < len(stems):
        stems = {path: path for path in stems}
    named = out["file"].map(stems) + "-" + out["row"]
    out["id"] = out.pop("_id").str.strip() if data.id else named
    return out


def _refuse(frame: pd.DataFrame, bad: pd.Series, message: str) -> None:
    """Raise with the first bad row's file and number; ``message`` may name columns in braces."""
    if bad.any():
        first = frame[bad].iloc[0]
        more = f" (and {int(bad.sum()) - 1} more)" if bad.sum() > 1 else ""
        raise UserError(f"{first['file']}, row {first['row']}{more}: {message.format(**first)}")


def _check_rows(frame: pd.DataFrame, data: Data) -> None:
    """Refuse rows that cannot be used; the message names file, row, value and what to do."""
    for name in ("text", "label"):
        half = frame[name].map(lambda value: HALF.search(value) is not None)
        _refuse(
            frame,
            half,
            f"the {name} holds half a character (a lone surrogate, \\ud800 to \\udfff) and cannot "
            f"be saved as UTF-8. Write the whole character, or remove it.",
        )
    for name in ("id", "text", "label"):
        blank = frame[name].str.strip() == ""
        _refuse(frame, blank, f"the {name} is empty. Fill it in or remove the row.")
    sized = frame.assign(size=frame["text"].str.len())
    _refuse(
        sized,
        sized["size"] > data.max_characters,
        f"a text of {{size:,}} characters; data.max_characters is {data.max_characters:,}. Shorten "
        f"the message, remove the row, or raise the limit in conf/data/{data.name}.yaml.",
    )
    _refuse(frame, frame["id"].duplicated(), "the id {id!r} occurs twice. Ids must be unique.")
    known = ", ".join(SPLITS)
    odd = ~frame["split"].isin(["", *SPLITS])
    _refuse(frame, odd, f"split {{split!r}} is not one of {known}.")
    unsplit = frame["split"] == ""
    if not unsplit.all():
        _refuse(frame, unsplit, f"no split, though other rows have one. State {known} for all.")


def _check_slices(data: Data) -> None:
    for name in data.slices:
        if data.slices.count(name) > 1:
            raise UserError(f"config: data.slices names {name!r} twice: name each column once")
        if name in (data.text, data.label, data.gold, data.id):
            raise UserError(
                f"config: data.slices: {name!r} cannot be a slice: it is the text, the label, "
                f"the gold label or the id. Give another column in data.slices, or none."
            )
        if name in RESERVED:
            raise UserError(
                f"config: data.slices: {name!r} cannot be a slice: the name is reserved. Rename "
                f"the column in the file and in data.slices, or take it out."
            )


def load(data: Data) -> pd.DataFrame:
    """Read every message: the columns ``OWN`` and the slice columns (blank: "not stated").

    ``split`` is empty where the data brings none, ``created_at`` is NaT where the data has no
    date. Gold labels are not among the columns.

    Raises:
        UserError: a missing or changed file, wrong encoding, missing column, empty file or field,
            over-long text, repeated id, unreadable date; names file, row, value, what to do.

    """
    _check_slices(data)
    wanted = {"text": data.text, "label": data.label} | {name: name for name in data.slices}
    wanted |= {"created_at": data.created_at} if data.created_at else {}
    wanted |= {"_split": data.split_column} if data.split_column else {}
    frame = raw(data, wanted)
    frame["label"] = frame["label"].str.strip()
    _check_rows(frame, data)
    for name in data.slices:
        frame[name] = frame[name].str.strip().replace("", "not stated")
    frame["created_at"] = _dates(frame, data)
    frame["in_scope"] = frame["label"] != data.out_of_scope
    if 0 < data.sample < len(frame):
        drawn = frame.sample(data.sample, random_state=data.split.seed).sort_index()
        frame = drawn.reset_index(drop=True)
    return frame[[*OWN, *data.slices]]


def _dates(frame: pd.DataFrame, data: Data) -> pd.Series:
    if data.created_at is None:
        return pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us, UTC]")
    dates = pd.to_datetime(frame["created_at"], format="ISO8601", errors="coerce", utc=True)
    wrong = "{created_at!r} is not an ISO 8601 date (2026-03-31T14:05:00)."
    _refuse(frame, dates.isna(), wrong)
    return dates.astype("datetime64[us, UTC]")
