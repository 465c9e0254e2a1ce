"""What people decide about doubted labels: the rows that wait, and the file of decisions.

``clean`` writes a queue for each split, the demo's second tab shows them, and the audit of the next
run reads the decisions.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pandas as pd

from roadworthy import companions, drafts, store
from roadworthy.config import root
from roadworthy.data import text_hash
from roadworthy.errors import UserError
from roadworthy.settings import Data

LOCK = "scratch/decisions.lock"
"""Held from reading the decisions until they are replaced: of two at once, neither is lost.

Relative to the root, and not beside the decisions: DVC watches data/.
"""
QUEUES = {"train": "review_queue", "validation": "review_validation", "test": "review_test"}
"""The file of each split's queue in artifacts/clean/."""


def file_name(data: Data) -> str:
    """Where decisions go, relative to the root: ``data.decisions``, or beside the messages."""
    return data.decisions or f"data/{data.name}/decisions.csv"


def _path(data: Data) -> Path:
    """The file of decisions; a path or a link that leads out of data/ is refused."""
    path = (root() / file_name(data)).resolve()
    if not path.is_relative_to(root().resolve() / "data"):
        raise UserError(f"{file_name(data)} leads out of data/: decisions are written below it")
    return path


def labels(data: Data, messages: pd.DataFrame) -> list[str]:
    """The labels that can be decided for: those in scope, and the one for what fits none."""
    known = sorted(set(messages.loc[messages["in_scope"], "label"]))
    return known + ([] if data.out_of_scope is None else [data.out_of_scope])


def _as_filed(data: Data) -> Data:
    """The data set, with the file of decisions that is there."""
    return replace(data, decisions=file_name(data) if _path(data).exists() else None)


def decided(data: Data, messages: pd.DataFrame) -> pd.DataFrame:
    """The decisions so far about these messages, latest last: ``id, label``.

    Raises:
        UserError: what the audit would refuse.
    """
    return companions.decisions(_as_filed(data), messages)


def _others(data: Data, messages: pd.DataFrame, id: str) -> pd.DataFrame:
    """All decisions on file but that about one message, those about messages not drawn too.

    The columns are ``companions.DECIDED``.
    """
    decided(data, messages)  # a file that the audit would refuse is not written over
    return companions.written(_as_filed(data)).query("id != @id")


def queue(data: Data, split: str = "train") -> pd.DataFrame:
    """A split's rows that wait, as queued: ``id, text, label, suggested, confidence, part``.

    All but the order, the suggestion and the confidence comes from the messages: the queue's file
    is for spreadsheets, so its cells may be defused.
    """
    messages = store.read_messages()
    rows = store.read_csv("clean", QUEUES[split])[["id", "suggested", "confidence", "part"]]
    names = {store.defused(label): label for label in labels(data, messages)}
    rows["suggested"] = rows["suggested"].map(lambda name: names.get(name, name))
    rows["confidence"] = rows["confidence"].astype(float)
    filed = messages[["id", "text", "label"]].assign(key=messages["id"].map(store.defused))
    rows = rows.rename(columns={"id": "key"}).merge(filed, on="key")
    waiting = rows[~rows["id"].isin(decided(data, messages)["id"])]
    columns = ["id", "text", "label", "suggested", "confidence", "part"]
    return waiting[columns].reset_index(drop=True)


def decide(data: Data, id: str, label: str) -> None:
    """Write down one decision, and which text it is about; it replaces an earlier one.

    The text's hash stands by the id: where that is a row number, it may mean another message later.
    """
    messages = store.read_messages()
    texts = messages.loc[messages["id"] == id, "text"]
    if texts.empty:
        raise UserError(f"no message has the id {id!r}")
    if label not in labels(data, messages):
        raise UserError(f"{label!r} is no label to decide for: choose one of the data set's own")
    with drafts.locked(root() / LOCK, wait=True):
        about = [text_hash(text) for text in texts]
        one = pd.DataFrame({"id": [id], "label": [label], "text_sha256": about})
        _write(data, pd.concat([_others(data, messages, id), one]))


def undo(data: Data, id: str) -> None:
    """Take back the decision about one message: it waits again."""
    messages = store.read_messages()
    with drafts.locked(root() / LOCK, wait=True):
        _write(data, _others(data, messages, id))


def _write(data: Data, rows: pd.DataFrame) -> None:
    """Replace the file of decisions by renaming; without rows only one that conf/ names is kept."""
    path, name = _path(data), file_name(data)
    draft = path.with_name(path.name + ".draft")
    try:
        have = [*pd.read_csv(path, nrows=0).columns] if path.exists() else []
        if more := [column for column in have if column not in companions.DECIDED]:
            raise UserError(f"{name} has the column {more[0]!r}, which a decision here would lose")
        if rows.empty and not data.decisions:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        # "x" writes through no link. Python 3.11 leaves a bare carriage return unquoted: quote all.
        with draft.open("x", encoding="utf-8", newline="") as stream:
            rows.to_csv(stream, index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)
        draft.replace(path)
    except OSError as error:
        raise UserError(f"{name} cannot be written: {error}") from error
