"""Decide about the messages of a file: ``python -m roadworthy predict MESSAGES.csv DECIDED.csv``.

By the very model, guard and threshold that the verdict is about.
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


def _messages(path: Path, data: Data) -> pd.DataFrame:
    """The file's messages: ``row``, the id if it has that column, ``text``."""
    if not path.is_file():
        raise UserError(f"{path} is missing, or no file")
    text = decode(path, str(path))
    header = next(csv.reader(text.splitlines()[:1]), [])
    ids = [data.id] if data.id in header else []
    frame = read_csv(text, File(path=str(path)), [*ids, data.text])
    return frame.rename(columns={ROW: "row", data.text: "text"})[["row", *ids, "text"]]


def run(path: str, out: str) -> str:
    """Write ``row``, the id if there is one, ``label, confidence, decision`` of each message.

    Message text is not repeated: a spreadsheet might take it for a formula.

    Raises:
        UserError: no such file, no column with messages, no trained model, ``out`` cannot be
            written.

    """
    settings = recorded()
    messages = _messages(Path(path), settings.data)
    served = service.load()
    blank = messages["text"].str.strip() == ""
    found = served.decide(*served.judge(messages.loc[~blank, "text"].tolist()))
    found = found.set_index(messages.index[~blank])
    decided = messages.drop(columns="text").join(found.round(4))
    decided["decision"] = decided["decision"].fillna(EMPTY)
    try:
        drafts.write_text(Path(out), decided.to_csv(index=False))
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error})") from error
    automated = int((decided["decision"] == service.AUTOMATED).sum())
    verdict, _ = verdict_on(settings.data.name, store.read_metrics("readiness"))
    return (
        f"{out}: {len(decided):,} messages, {automated:,} automated, the others to people. "
        f"Readiness of this model: {verdict}"
    )
