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
        companions.decisions(settings(id="id", decisions="data/x/decisions.csv"), frame)


@pytest.mark.parametrize(
    ("header", "row"),
    [("id,label", "messages-1,greet"), ("id,label,text_sha256", "messages-1,greet,")],
)
def test_a_row_number_alone_is_not_decided_about(project: Path, header: str, row: str):
    """Without a column of ids, one row more would give the decision to another message."""
    write(project, GOOD)
    write(project, f"{header}\n{row}\n", "data/x/decisions.csv")
    unnamed = settings(decisions="data/x/decisions.csv")
    with pytest.raises(UserError, match=r"decisions\.csv: without text_sha256 .* data\.id") as said:
        companions.decisions(unnamed, reader.load(unnamed))
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("name", [None, "id"])
def test_a_decision_about_another_text_is_refused(project: Path, name: str | None):
    named = settings(id=name, decisions="data/x/decisions.csv")
    id = "a" if name else "messages-1"
    write(project, GOOD)
    rows = f"id,label,text_sha256\n{id},leave,{reader.text_hash('hello there')}\n"
    write(project, rows, "data/x/decisions.csv")
    found = companions.decisions(named, reader.load(named))
    assert found.to_dict("list") == {"id": [id], "label": ["leave"]}
    write(project, GOOD.replace("hello there", "good evening"))
    with pytest.raises(UserError, match=f"the message '{id}' has another text"):
        companions.decisions(named, reader.load(named))


def test_a_hash_is_no_duty_where_ids_are_named(project: Path):
    """The demo's decisions have one, those by hand beside them need not."""
    own = settings(id="id", decisions="data/x/decisions.csv")
    write(project, GOOD)
    frame = reader.load(own)
    rows = f"id,label,text_sha256\na,leave,\nb,greet,{reader.text_hash('good bye')}\n"
    write(project, rows, "data/x/decisions.csv")
    assert companions.decisions(own, frame)["id"].tolist() == ["a", "b"]
    for header in ("id,label\n", '"id","label","text_sha256"\n'):
        write(project, header, "data/x/decisions.csv")
        assert companions.decisions(own, frame).empty
    write(project, "id,text_sha256\n", "data/x/decisions.csv")
    with pytest.raises(UserError, match="no column 'label'"):
        companions.decisions(own, frame)


def test_blanks_around_an_id_are_no_part_of_it(project: Path):
    """On either side: what is counted in a check must be found in a join."""
    write(project, "id,text,label,gold,who\n a,hello,greet,leave,r1\nb ,bye,leave,,r2\n")
    write(project, "id,annotator,label\na ,r1,greet\n b,r1,leave\n", "data/x/votes.csv")
    write(project, "id,label\n b,greet\n", "data/x/decisions.csv")
    write(project, "id,kind,detail\na ,typo,x\n", "data/x/planted.csv")
    own = settings(
        id="id",
        gold="gold",
        annotator="who",
        annotations="data/x/votes.csv",
        decisions="data/x/decisions.csv",
        planted="data/x/planted.csv",
    )
    frame = reader.load(own)
    assert frame["id"].tolist() == ["a", "b"]
    gold, who, votes = companions.people(own)
    assert gold is not None
    assert who is not None
    assert votes is not None
    assert (gold.to_dict(), who.to_dict()) == ({"a": "leave"}, {"a": "r1", "b": "r2"})
    assert frame.merge(votes, on="id")["annotator"].tolist() == ["r1", "r1"]
    assert companions.decisions(own, frame).to_numpy().tolist() == [["b", "greet"]]
    planted = companions.planted(own)
    assert planted is not None
    assert planted["id"].tolist() == ["a"]
    write(project, "id,text,label\na,hello,greet\na ,bye,leave\n")
    with pytest.raises(UserError, match="the id 'a' occurs twice"):
        reader.load(settings(id="id"))


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
