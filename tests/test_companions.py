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
    votes = companions.votes(settings(id="id", annotations="data/x/votes.csv"))
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
        ("z,greet\n", "no message has the id 'z'"),
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
    [
        ("a,r1,greet\na,r1,leave\n", "'r1' labelled 'a' twice"),
        ("a,,greet\n", "empty"),
        ("z,r1,greet\n", "no message has the id 'z'"),
        ("a,r1,great\n", "no message has the label 'great'"),
    ],
)
def test_votes_that_cannot_be_counted_are_refused(project: Path, rows: str, words: str):
    write(project, GOOD)
    write(project, "id,annotator,label\n" + rows, "data/x/votes.csv")
    with pytest.raises(UserError, match=words):
        companions.votes(settings(id="id", annotations="data/x/votes.csv"))


def test_synthetic_rows_are_read_or_absent_or_refused(project: Path):
    write(project, GOOD)
    frame = reader.load(settings(id="id"))
    assert companions.synthetic(settings(), frame).empty
    own = settings(synthetic="data/x/made.csv")
    write(project, "id,text,label\ns1,hey you,greet\n", "data/x/made.csv")
    assert companions.synthetic(own, frame)["label"].tolist() == ["greet"]
    for rows, words in (
        ("a,hey,greet\n", "the id 'a' is taken"),
        ("s1,hey,greet\ns1,ho,greet\n", "the id 's1' is taken"),
        ("s1, ,greet\n", "row 's1' has no text"),
        ("s1,hey,great\n", "label 'great'"),
    ):
        write(project, "id,text,label\n" + rows, "data/x/made.csv")
        with pytest.raises(UserError, match=words):
            companions.synthetic(own, frame)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("- {name: n, label: greet, pattern: '('}", "no regular expression"),
        ("- {name: n, label: great, pattern: x}", "label 'great'"),
        ("- {name: n, label: greet}", "needs a pattern"),
        ("- {label: greet, pattern: x}", "needs a name"),
        ("- {name: n, label: greet, pattern: x, when: now}", "unknown key 'when'"),
        (
            "- {name: n, label: greet, pattern: x}\n- {name: n, label: greet, pattern: y}",
            "entry 2 .n.: it needs a name of its own",
        ),
        ("name: [", "not a list"),
        ("greet", "not a list"),
    ],
)
def test_labelling_functions_that_are_none_are_refused(project: Path, content: str, words: str):
    write(project, GOOD)
    frame = reader.load(settings(id="id"))
    write(project, content, "data/x/rules.yaml")
    with pytest.raises(UserError, match=words):
        companions.labelling(settings(labelling="data/x/rules.yaml"), frame)


def test_labelling_functions_are_read_or_absent(project: Path):
    write(project, GOOD)
    frame = reader.load(settings(id="id"))
    assert companions.labelling(settings(), frame).columns.tolist() == [
        "name", "label", "pattern", "unless"
    ]  # fmt: skip
    write(project, "- {name: n, label: greet, pattern: hel+o}\n", "data/x/rules.yaml")
    for_later = companions.for_later(settings(labelling="data/x/rules.yaml"), frame)
    assert for_later["labelling"].to_dict("records") == [
        {"name": "n", "label": "greet", "pattern": "hel+o", "unless": ""}
    ]
    assert for_later["decisions"].empty


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("- {name: n, kind: invariance, at_most: 0.1}", "neither what to change"),
        ("- {name: n, kind: invariance, change: shout, at_most: 0.1}", "change 'shout' is not"),
        ("- {name: n, kind: direction, after: x, label: great, at_most: 0.1}", "label 'great'"),
        ("- {name: n, kind: minimum, label: greet, at_most: 0.1}", "nor what to try"),
        ("- {name: n, kind: minimum, label: greet, texts: [1], at_most: 0}", "no list of texts"),
        ("- {name: n, kind: minimum, label: greet, texts: [x], at_most: 2}", "at_most = 2"),
        ("- {name: n, kind: hope, at_most: 0.1}", "kind 'hope' is not"),
        ("- {name: n, kind: invariance, after: 24, at_most: 0.1}", "after = 24 is no text"),
        ("- {name: n, kind: minimum, label: greet, texts: hi, at_most: 0}", "no list of texts"),
        ("- {kind: invariance, change: typo, at_most: 0.1}", "1 .no name.: it needs a name"),
        ("- {name: [n], kind: invariance, change: typo, at_most: 0.1}", "is no text"),
        ("- {name: n, kinds: x}", "unknown key 'kinds'"),
    ],
)
def test_behavioural_tests_that_are_none_are_refused(project: Path, content: str, words: str):
    write(project, GOOD)
    frame = reader.load(settings(id="id"))
    write(project, content, "data/x/behaviour.yaml")
    with pytest.raises(UserError, match=words):
        companions.behaviour(settings(behaviour="data/x/behaviour.yaml"), frame)


def test_behavioural_tests_are_read_or_absent(project: Path):
    write(project, GOOD)
    frame = reader.load(settings(id="id"))
    assert companions.behaviour(settings(), frame).empty
    content = "- {name: n, kind: minimum, label: greet, texts: [hi, hey], at_most: 0}"
    write(project, content, "data/x/behaviour.yaml")
    (row,) = companions.behaviour(settings(behaviour="data/x/behaviour.yaml"), frame).to_dict(
        "records"
    )
    assert (row["texts"], row["before"], row["at_most"]) == (["hi", "hey"], "", 0)
