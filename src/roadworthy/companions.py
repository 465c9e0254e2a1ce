"""What lies beside the messages: verified labels, several people's labels, decisions, defects."""

from __future__ import annotations

import re

import pandas as pd
import yaml

from roadworthy.data import decode, locate, raw
from roadworthy.errors import UserError
from roadworthy.formats import read_csv
from roadworthy.settings import Data, File


def gold(data: Data) -> pd.Series | None:
    """Read the verified label by id (blank: unverified, left out); None where there is none.

    For scorers only.
    """
    if data.gold is None:
        return None
    frame = raw(data, {"gold": data.gold})
    verified = frame.set_index("id")["gold"].str.strip()
    return verified[verified != ""]


def _beside(data: Data, path: str | None, columns: list[str]) -> pd.DataFrame | None:
    """Read a table that lies beside the messages; None where the data set has none."""
    if path is None:
        return None
    file = File(path=path)
    return read_csv(decode(locate(file, data), path), file, columns)[columns].astype(str)


def votes(data: Data) -> pd.DataFrame | None:
    """Read several people's labels of the same messages: ``id, annotator, label``.

    Raises:
        UserError: an empty field, or one annotator twice for a message.
    """
    frame = _beside(data, data.annotations, ["id", "annotator", "label"])
    if frame is None:
        return None
    frame = frame.assign(**{name: frame[name].str.strip() for name in frame.columns})
    if (frame == "").any(axis=None):
        raise UserError(f"{data.annotations}: an empty field; fill it in or remove the row")
    for row in frame[frame.duplicated(["id", "annotator"])].itertuples():
        raise UserError(f"{data.annotations}: {row.annotator!r} labelled {row.id!r} twice")
    return frame


def decisions(data: Data, messages: pd.DataFrame) -> pd.DataFrame:
    """Read what people decided about doubted labels: ``id, label``; no row where nothing was.

    Raises:
        UserError: an id that no message has, an id twice, or a label that no message in scope has.
    """
    frame = _beside(data, data.decisions, ["id", "label"])
    if frame is None:
        return pd.DataFrame(columns=["id", "label"], dtype="str")
    scope = messages.loc[messages["in_scope"], "label"]
    known = {"id": set(messages["id"]), "label": set(scope)}
    for name, values in known.items():
        for value in frame.loc[~frame[name].isin(values), name]:
            raise UserError(f"{data.decisions}: no message in scope has the {name} {value!r}")
    for value in frame.loc[frame["id"].duplicated(), "id"]:
        raise UserError(
            f"{data.decisions}: the id {value!r} occurs twice: keep one decision a row."
        )
    return frame


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
    known = set(messages.loc[messages["in_scope"], "label"])
    for value in frame.loc[~frame["label"].isin(known), "label"]:
        raise UserError(f"{data.synthetic}: no message in scope has the label {value!r}")
    return frame


def labelling(data: Data, messages: pd.DataFrame) -> pd.DataFrame:
    """Read the labelling functions: ``name, label, pattern, unless``; no row where there are none.

    Raises:
        UserError: not such a list, a name twice, an unknown label, or no regular expression.
    """
    columns = ["name", "label", "pattern", "unless"]
    if data.labelling is None:
        return pd.DataFrame(columns=columns, dtype="str")
    where, file = data.labelling, File(path=data.labelling)
    try:
        entries = yaml.safe_load(decode(locate(file, data), where))
        rules = [{name: str(entry.get(name, "")) for name in columns} for entry in entries]
        extra = [sorted(set(entry) - {*columns}) for entry in entries]
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        raise UserError(f"{where}: not a list of name, label, pattern ({error})") from error
    known = set(messages.loc[messages["in_scope"], "label"])
    for number, rule in enumerate(rules):
        names = {one["name"] for one in rules[:number]}
        problem = f"unknown key {extra[number][0]!r}" if extra[number] else ""
        problem = problem or _rule_problem(rule, known, names)
        if problem:
            raise UserError(f"{where}, entry {number + 1} ({rule['name'] or 'no name'}): {problem}")
    return pd.DataFrame(rules, columns=columns, dtype="str")


def _rule_problem(rule: dict[str, str], known: set[str], names: set[str]) -> str:
    """What is wrong with a labelling function; empty if nothing is."""
    if not rule["name"] or rule["name"] in names:
        return "it needs a name of its own"
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


def for_cleaning(data: Data, messages: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What people decided and the rules they wrote, by name: ``decisions, labelling``."""
    return {"decisions": decisions(data, messages), "labelling": labelling(data, messages)}


def planted(data: Data) -> pd.DataFrame | None:
    """Read the defects on record: ``id, kind, detail``. For scorers only."""
    return _beside(data, data.planted, ["id", "kind", "detail"])


def annotators(data: Data) -> pd.Series | None:
    """Read who gave the label, by id (blank: "not stated"); None where the data does not say."""
    if data.annotator is None:
        return None
    who = raw(data, {"annotator": data.annotator}).set_index("id")["annotator"]
    return who.str.strip().replace("", "not stated")
