"""What lies beside the messages: verified labels, several people's labels, decisions, defects."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import yaml

from roadworthy import checklist
from roadworthy.data import decode, locate, raw, text_hash
from roadworthy.errors import UserError
from roadworthy.formats import read_csv
from roadworthy.settings import Data, File

DECIDED = ["id", "label", "text_sha256"]
"""Columns of the file of decisions; people who write it by hand may leave out the last."""


def gold(data: Data) -> pd.Series | None:
    """Read the verified label by id (blank: unverified, left out); None where there is none.

    For scorers only.
    """
    if data.gold is None:
        return None
    frame = raw(data, {"gold": data.gold})
    verified = frame.set_index("id")["gold"].str.strip()
    return verified[verified != ""]


def _in_scope(messages: pd.DataFrame) -> set[str]:
    """The labels that may be named: those of the messages in scope."""
    return set(messages.loc[messages["in_scope"], "label"])


def _beside(data: Data, path: str | None, columns: list[str]) -> pd.DataFrame | None:
    """Read a table that lies beside the messages, by id; None where the data set has none."""
    if path is None:
        return None
    file = File(path=path)
    frame = read_csv(decode(locate(file, data), path), file, columns)[columns].astype(str)
    return frame.assign(id=frame["id"].str.strip())  # as the reader of the messages does


def votes(data: Data) -> pd.DataFrame | None:
    """Read several people's labels of the same messages: ``id, annotator, label``.

    Raises:
        UserError: an empty field, one annotator twice for a message, an id or a label that is not
            in the files.
    """
    frame = _beside(data, data.annotations, ["id", "annotator", "label"])
    if frame is None:
        return None
    frame = frame.assign(**{name: frame[name].str.strip() for name in frame.columns})
    if (frame == "").any(axis=None):
        raise UserError(f"{data.annotations}: an empty field; fill it in or remove the row")
    for row in frame[frame.duplicated(["id", "annotator"])].itertuples():
        raise UserError(f"{data.annotations}: {row.annotator!r} labelled {row.id!r} twice")
    filed = raw(data, {"label": data.label})  # rows that break the contract included
    for column in ("id", "label"):
        for value in frame.loc[~frame[column].isin(filed[column].str.strip()), column]:
            raise UserError(f"{data.annotations}: no message has the {column} {value!r}")
    return frame


def written(data: Data) -> pd.DataFrame:
    """Read the file of decisions: ``DECIDED``, a hash that it does not state is blank."""
    none = pd.DataFrame(columns=DECIDED, dtype="str")
    if data.decisions is None:
        return none
    text = decode(locate(File(path=data.decisions), data), data.decisions)
    first, *others = text.strip().splitlines() or [""]
    header = first.replace('"', "").split(",")
    columns = DECIDED if DECIDED[-1] in header else DECIDED[:2]
    if header == columns and not others:
        return none
    frame = _beside(data, data.decisions, columns)
    return none if frame is None else frame.reindex(columns=DECIDED, fill_value="")


def decisions(data: Data, messages: pd.DataFrame) -> pd.DataFrame:
    """Read what people decided about doubted labels: ``id, label``; no row where nothing was.

    Raises:
        UserError: an id that no message has, an id twice, a label that no message in scope has and
            that is not the one for messages of no known class, a message that is not the one that
            was decided about, or nothing that would tell.
    """
    frame, scope = written(data), _in_scope(messages) | {data.out_of_scope}
    if data.sample:  # decisions about messages that were not drawn, or their classes
        frame = frame[frame["id"].isin(messages["id"]) & frame["label"].isin(scope)]
    for value in frame.loc[~frame["id"].isin(messages["id"]), "id"]:
        raise UserError(f"{data.decisions}: no message has the id {value!r}")
    _same_messages(data, frame, messages)
    for value in frame.loc[~frame["label"].isin(scope), "label"]:
        raise UserError(f"{data.decisions}: no message in scope has the label {value!r}")
    for value in frame.loc[frame["id"].duplicated(), "id"]:
        raise UserError(
            f"{data.decisions}: the id {value!r} occurs twice: keep one decision a row."
        )
    return frame[["id", "label"]]


def _same_messages(data: Data, frame: pd.DataFrame, messages: pd.DataFrame) -> None:
    """Refuse a decision about another text: where ids are row numbers, one new row shifts all."""
    stated, texts = frame["text_sha256"].str.strip(), messages.set_index("id")["text"]
    if data.id is None and (stated == "").any():
        raise UserError(
            f"{data.decisions}: without text_sha256 a decision may be about another message, as "
            f"ids are row numbers: name a column in data.id, or take the file away and decide in "
            f"the demo, which writes the hash"
        )
    wrong = (stated != "") & (stated != texts.loc[frame["id"]].map(text_hash).to_numpy())
    for value in frame.loc[wrong, "id"]:
        raise UserError(
            f"{data.decisions}: the message {value!r} has another text than the one that was "
            f"decided about (text_sha256), as after a row was added: take such rows out of the "
            f"file and decide anew"
        )


def synthetic(data: Data, messages: pd.DataFrame) -> pd.DataFrame:
    """Read the rows that no customer wrote: ``id, text, label``; no row where there are none.

    Raises:
        UserError: an id twice or one that a message has, an empty text, or an unknown label.
    """
    frame = _beside(data, data.synthetic, ["id", "text", "label"])
    if frame is None:
        return pd.DataFrame(columns=["id", "text", "label"], dtype="str")
    for value in frame.loc[frame["id"].duplicated() | frame["id"].isin(messages["id"]), "id"]:
        raise UserError(f"{data.synthetic}: the id {value!r} is taken: give each row its own")
    for value in frame.loc[frame["text"].str.strip() == "", "id"]:
        raise UserError(f"{data.synthetic}: row {value!r} has no text: fill it in or remove it")
    known = _in_scope(messages)
    if data.sample:
        frame = frame[frame["label"].isin(known)]
    for value in frame.loc[~frame["label"].isin(known), "label"]:
        raise UserError(f"{data.synthetic}: no message in scope has the label {value!r}")
    return frame


def labelling(data: Data, messages: pd.DataFrame) -> pd.DataFrame:
    """Read the labelling functions: ``name, label, pattern, unless``; no row where there are none.

    Raises:
        UserError: not such a list, a name twice, an unknown label, or no regular expression.
    """
    columns = ["name", "label", "pattern", "unless"]
    entries = _entries(data, data.labelling, columns)
    rules: list[dict[str, Any]] = [
        {name: "" if entry.get(name) is None else str(entry[name]) for name in columns}
        for entry in entries
    ]
    known = _in_scope(messages)
    rules = [rule for rule in rules if not data.sample or rule["label"] in known]
    _check(rules, data.labelling, known, _rule_problem)
    return pd.DataFrame(rules, columns=columns, dtype="str")


def _rule_problem(rule: dict[str, Any], known: set[str]) -> str:
    """What is wrong with a labelling function; empty if nothing is."""
    if rule["label"] not in known:
        return f"no message in scope has the label {rule['label']!r}"
    if not rule["pattern"]:
        return "it needs a pattern"
    for key in ("pattern", "unless"):
        try:
            re.compile(rule[key])
        except re.error as error:
            return f"{key} is no regular expression ({error})"
    return ""


def behaviour(data: Data, messages: pd.DataFrame) -> pd.DataFrame:
    """Read the behavioural tests, one a row; no row where the data brings none.

    ``name, kind, change, before, after, label, texts, at_most``; blank where there is no such key.

    Raises:
        UserError: not such a list, a name twice, an unknown kind, change or label, or no case.
    """
    entries, known = _entries(data, data.behaviour, checklist.COLUMNS), _in_scope(messages)
    if data.sample:
        entries = [entry for entry in entries if entry.get("label", "") in {*known, ""}]
    _check(entries, data.behaviour, known, checklist.problem)
    return checklist.table(entries)


def _entries(data: Data, where: str | None, keys: list[str]) -> list[dict[str, Any]]:
    """The entries of a YAML list of mappings that know no other keys; none without a file."""
    if where is None:
        return []
    try:
        entries = yaml.safe_load(decode(locate(File(path=where), data), where))
        unknown = [(n, sorted(set(entry) - set(keys))) for n, entry in enumerate(entries, start=1)]
        entries = [dict(entry) for entry in entries]
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{where}: not a list of {', '.join(keys)} ({error})") from error
    for number, extra in unknown:
        if extra:
            raise UserError(f"{where}, entry {number}: unknown key {extra[0]!r}")
    return entries


def _check(
    entries: list[dict[str, Any]],
    where: str | None,
    known: set[str],
    problem: Callable[[dict[str, Any], set[str]], str],
) -> None:
    """Raise for the first entry without a name of its own, or with a ``problem`` (else empty)."""
    names = set[str]()
    for number, entry in enumerate(entries, start=1):
        name = str(entry.get("name") or "")
        own = bool(name) and name not in names
        if said := problem(entry, known) if own else "it needs a name of its own":
            raise UserError(f"{where}, entry {number} ({name or 'no name'}): {said}")
        names.add(name)


def people(data: Data) -> tuple[pd.Series | None, pd.Series | None, pd.DataFrame | None]:
    """Verified labels, who filed the labels on file, and several people's labels; None: none."""
    return gold(data), annotators(data), votes(data)


def for_later(data: Data, messages: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What people wrote for the later stages, by name: ``decisions, labelling, behaviour``."""
    readers = {"decisions": decisions, "labelling": labelling, "behaviour": behaviour}
    return {name: read(data, messages) for name, read in readers.items()}


def planted(data: Data) -> pd.DataFrame | None:
    """Read the defects on record: ``id, kind, detail``. For scorers only."""
    return _beside(data, data.planted, ["id", "kind", "detail"])


def annotators(data: Data) -> pd.Series | None:
    """Read who gave the label, by id (blank: "not stated"); None where the data does not say."""
    if data.annotator is None:
        return None
    who = raw(data, {"annotator": data.annotator}).set_index("id")["annotator"]
    return who.str.strip().replace("", "not stated")
