"""What lies beside the messages: verified labels, several people's labels, decisions, defects."""

from __future__ import annotations

import pandas as pd

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


def planted(data: Data) -> pd.DataFrame | None:
    """Read the defects on record: ``id, kind, detail``. For scorers only."""
    return _beside(data, data.planted, ["id", "kind", "detail"])


def annotators(data: Data) -> pd.Series | None:
    """Read who gave the label, by id (blank: "not stated"); None where the data does not say."""
    if data.annotator is None:
        return None
    who = raw(data, {"annotator": data.annotator}).set_index("id")["annotator"]
    return who.str.strip().replace("", "not stated")
