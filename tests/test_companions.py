"""Tables beside the messages: read, or absent, or refused with what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadworthy import companions
from roadworthy import data as reader
from roadworthy.errors import UserError
from roadworthy.settings import Data, File

GOOD = "id,text,label,channel\na,hello there,greet,chat\nb,good bye,leave,\n"


def write(project: Path, content: str, name: str = "data/x/messages.csv") -> None:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def settings(**changes: object) -> Data:
    given: dict[str, object] = {"name": "x", "files": [File(path="data/x/messages.csv")]}
    return Data(**(given | changes))  # type: ignore[arg-type]


def test_tables_beside_the_messages_are_read_or_absent(project: Path):
    write(project, GOOD)
    frame = reader.load(settings(id="id"))
    assert companions.votes(settings()) is None
    assert companions.planted(settings()) is None
    assert companions.decisions(settings(), frame).empty
    write(project, "id,annotator,label,x\na,r1,greet,1\n", "data/x/votes.csv")
    votes = companions.votes(settings(annotations="data/x/votes.csv"))
    assert votes is not None
    assert votes.to_dict("list") == {"id": ["a"], "annotator": ["r1"], "label": ["greet"]}
    write(project, "id,kind\na,typo\n", "data/x/planted.csv")
    with pytest.raises(UserError, match="no column 'detail'"):
        companions.planted(settings(planted="data/x/planted.csv"))


def test_who_filed_a_label_is_by_id(project: Path):
    write(project, GOOD)
    who = companions.annotators(settings(id="id", annotator="channel"))
    assert who is not None
    assert who.to_dict() == {"a": "chat", "b": "not stated"}
    assert companions.annotators(settings()) is None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("z,greet\n", "no message in scope has the id 'z'"),
        ("a,great\n", "no message in scope has the label 'great'"),
        ("a,greet\na,leave\n", "the id 'a' occurs twice"),
    ],
)
def test_decisions_that_fit_no_message_are_refused(project: Path, rows: str, words: str):
    write(project, GOOD)
    frame = reader.load(settings(id="id"))
    write(project, "id,label\n" + rows, "data/x/decisions.csv")
    with pytest.raises(UserError, match=words):
        companions.decisions(settings(decisions="data/x/decisions.csv"), frame)


@pytest.mark.parametrize(
    ("rows", "words"),
    [("a,r1,greet\na,r1,leave\n", "'r1' labelled 'a' twice"), ("a,,greet\n", "empty")],
)
def test_votes_that_cannot_be_counted_are_refused(project: Path, rows: str, words: str):
    write(project, GOOD)
    write(project, "id,annotator,label\n" + rows, "data/x/votes.csv")
    with pytest.raises(UserError, match=words):
        companions.votes(settings(annotations="data/x/votes.csv"))
