"""Decide about the messages of a file: ``python -m roadworthy predict MESSAGES.csv DECIDED.csv``.

By the very model, guard and threshold that the verdict is about, or by its export.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from roadworthy import drafts, service, store
from roadworthy.config import recorded
from roadworthy.data import decode
from roadworthy.errors import UserError
from roadworthy.formats import ROW, read_csv
from roadworthy.readiness import verdict_on
from roadworthy.settings import Data, File

EMPTY = "to a person: empty"
NEVER = " (on validation rows no confidence surely keeps the accepted error rate)"


def _messages(path: Path, data: Data, column: str) -> pd.DataFrame:
    """The file's messages: ``row``, the id if it has that column, ``text``."""
    if not path.is_file():
        raise UserError(f"{path} is missing, or no file")
    text = decode(path, str(path))
    header = next(csv.reader(text.splitlines()[:1]), [])
    if column not in header and not any(mark in header[0] for mark in ";\t"):
        raise UserError(
            f"{path} has no column '{column}'; its columns are {', '.join(map(repr, header))}. "
            f"Name the one that holds the messages: --text COLUMN"
        )
    ids = [data.id] if data.id in header else []
    frame = read_csv(text, File(path=str(path)), [*ids, column]).set_index(ROW)
    if len(header) == 1:  # there an empty message is an empty line, which the reader skips
        frame = frame.reindex(range(1, int(frame.index.max()) + 1), fill_value="")
    frame = frame.rename_axis("row").reset_index()
    return frame.rename(columns={column: "text"})[["row", *ids, "text"]]


def run(file: str, out: str, engine: str = "torch", text: str | None = None) -> str:
    """Write ``row``, the id if there is one, ``label, confidence, decision`` of each message.

    Message text is not repeated, and an id that a spreadsheet might take for a formula is defused.

    Args:
        file: a CSV file.
        out: the file to write, another one.
        engine: ``torch``, or a precision of the export.
        text: the column that holds the messages; None: called as in the data the model is from.

    Raises:
        UserError: no such file, no column with messages, no trained model, ``out`` cannot be
            written.

    """
    settings = recorded()
    if Path(out).resolve() == Path(file).resolve():
        raise UserError(f"{out} holds the messages: name another file for the decisions")
    messages = _messages(Path(file), settings.data, text or settings.data.text)
    served = service.load(engine)
    blank = messages["text"].str.strip() == ""
    found = served.decide(*served.judge(messages.loc[~blank, "text"].tolist()))
    found = found.set_index(messages.index[~blank])
    decided = messages.drop(columns="text").join(found.round(4))
    decided["decision"] = decided["decision"].fillna(EMPTY)
    try:
        drafts.write_text(Path(out), decided.map(store.defused).to_csv(index=False))
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error})") from error
    automated = int((decided["decision"] == service.AUTOMATED).sum())
    verdict, _ = verdict_on(settings.data.name, store.read_metrics("readiness"))
    why = "" if served.fitted["threshold"] is not None else NEVER
    return (
        f"{out}: {len(decided):,} messages, {automated:,} automated, the others to people{why}. "
        f"Readiness of this model{'' if engine == 'torch' else ' before its export'}: {verdict}"
    )
