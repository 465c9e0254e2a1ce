"""The reader: what it gives, and the message for each kind of bad file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from roadworthy import companions
from roadworthy import data as reader
from roadworthy.errors import UserError
from roadworthy.settings import Data, File

GOOD = "id,text,label,gold,when,channel,part\na,hello there,greet,greet,2026-03-01,chat,train\n"
GOOD += 'b,"good, bye",leave,greet,2026-03-02T10:00:00+02:00,,test\n'


def write(project: Path, content: str | bytes, name: str = "data/x/messages.csv") -> Path:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def settings(**changes: object) -> Data:
    given: dict[str, object] = {"name": "x", "files": [File(path="data/x/messages.csv")]}
    return Data(**(given | changes))  # type: ignore[arg-type]


def refused(data: Data, *parts: str) -> None:
    """``load`` raises a user error that names every part."""
    with pytest.raises(UserError) as caught:
        reader.load(data)
    for part in parts:
        assert part in str(caught.value)


def test_reads_declared_columns_only_and_never_gold(project: Path):
    write(project, GOOD)
    frame = reader.load(settings(id="id", gold="gold", created_at="when", slices=["channel"]))
    assert list(frame.columns) == [*reader.OWN, "channel"]
    assert frame["text"].tolist() == ["hello there", "good, bye"]
    assert frame["channel"].tolist() == ["chat", "not stated"]
    assert frame["created_at"].tolist() == [
        pd.Timestamp("2026-03-01", tz="UTC"),
        pd.Timestamp("2026-03-02T08:00", tz="UTC"),
    ]
    assert (frame["split"] == "").all()
    assert frame["in_scope"].all()


def test_without_an_id_column_file_and_row_make_the_id(project: Path):
    write(project, GOOD)
    frame = reader.load(settings())
    assert frame["id"].tolist() == ["messages-1", "messages-2"]
    assert frame["created_at"].isna().all()
    write(project, GOOD, "data/y/messages.csv")
    two = [File(path="data/x/messages.csv"), File(path="data/y/messages.csv")]
    assert reader.load(settings(files=two))["id"].is_unique


def test_gold_is_by_id_and_leaves_out_the_unverified(project: Path):
    write(project, GOOD + "c,hi,greet,,2026-03-03,web,train\n")
    gold = companions.gold(settings(id="id", gold="gold"))
    assert gold is not None
    assert gold.to_dict() == {"a": "greet", "b": "greet"}
    assert companions.gold(settings()) is None


def test_split_from_column_and_from_file(project: Path):
    write(project, GOOD)
    assert reader.load(settings(split_column="part"))["split"].tolist() == ["train", "test"]
    file = File(path="data/x/messages.csv", split="validation")
    assert set(reader.load(settings(files=[file]))["split"]) == {"validation"}


def test_an_odd_or_partial_split_is_refused(project: Path):
    write(project, GOOD.replace(",test\n", ",holdout\n"))
    refused(settings(split_column="part"), "messages.csv, row 2", "'holdout'", "validation")
    write(project, GOOD.replace(",test\n", ",\n"))
    refused(settings(split_column="part"), "messages.csv, row 2", "no split")


def test_json_lists(project: Path):
    content = {"train": [["hi", "greet"], ["help", "oos"]], "test": [["bye", "leave"]], "more": 3}
    write(project, json.dumps(content), "data/x/all.json")
    file = File(path="data/x/all.json", keys={"train": "train", "test": "test"})
    frame = reader.load(settings(files=[file], out_of_scope="oos"))
    assert frame["id"].tolist() == ["all-train-1", "all-train-2", "all-test-1"]
    assert frame["split"].tolist() == ["train", "train", "test"]
    assert frame["in_scope"].tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ('{"train": [["hi", "greet"], ["help"]]}', ["all.json, row train-2", '["help"]']),
        ('{"train": [["hi", 3]]}', ["all.json, row train-1", '["hi", 3]']),
        ('{"train": []}', ["all.json", "'train'"]),
        ('{"other": []}', ["all.json", "'train'"]),
        ('[["hi", "greet"]]', ["all.json", "'train'"]),
        ('{"train": ', ["all.json", "not valid JSON"]),
    ],
)
def test_json_of_another_shape_is_refused(project: Path, content: str, parts: list[str]):
    write(project, content, "data/x/all.json")
    refused(settings(files=[File(path="data/x/all.json", keys={"train": "train"})]), *parts)


def test_json_has_no_other_columns(project: Path):
    write(project, '{"train": [["hi", "greet"]]}', "data/x/all.json")
    files = [File(path="data/x/all.json", keys={"train": "train"})]
    refused(settings(files=files, slices=["channel"]), "all.json", "no column 'channel'")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["messages.csv is empty"]),
        ("\ufeff \n", ["messages.csv is empty"]),
        ("text,label\n", ["header line but no message"]),
        ("text,intent\nhi,greet\n", ["no column 'label'", "'intent'"]),
        ("text,label,label\nhi,greet,x\n", ["more than one column 'label'"]),
        ("text,label\nhi,greet\nwell, now,greet\n", ["row 2 (line 3)", "3 fields", "has 2"]),
        ('text,label\nhi,greet\n"no end,greet\n', ["row 2", "double quote"]),
        ("text,label\nhi,greet\n  ,greet\n", ["row 2", "text is empty"]),
        ("text,label\nhi,greet\n\nbye,\n", ["row 3", "label is empty"]),
        ("text,label\nhi,gr\0eet\n", ["line 2", "NUL"]),
        ("text,label\nhi,greet\ncaf\xe9,greet\n".encode("cp1252"), ["line 3", "0xe9", "UTF-8"]),
        ("text,label\nhi,greet\n".encode("utf-16"), ["UTF-16", "iconv -f utf-16"]),
        (b"PK\x03\x04 and what a workbook holds", ["Excel workbook", "CSV"]),
        ("text;label\nhi;greet\n", ["separated by a semicolon", "with commas"]),
        ("text\tlabel\nhi\tgreet\n", ["separated by a tab", "with commas"]),
    ],
)
def test_bad_files_are_refused_with_the_place(
    project: Path, content: str | bytes, parts: list[str]
):
    write(project, content)
    refused(settings(), "data/x/messages.csv", *parts)


def test_a_text_of_100_kb_is_refused(project: Path):
    long = "text,label\nhi,greet\n" + "lorem " * 17_000 + ",greet\n"
    write(project, long)
    refused(settings(), "row 2", "102,000 characters", "20,000", "conf/data/x.yaml")
    assert len(reader.load(settings(max_characters=200_000))) == 2


def test_a_repeated_id_is_refused(project: Path):
    write(project, GOOD.replace("\nb,", "\na,"))
    refused(settings(id="id"), "row 2", "'a' occurs twice")
    write(project, GOOD.replace("\nb,", "\n ,"))
    refused(settings(id="id"), "row 2", "id is empty")


def test_hostile_values_are_quoted_not_interpreted(project: Path):
    write(project, "id,text,label\n{0.x},hi,greet\n{0.x},hi,greet\n")
    refused(settings(id="id"), "'{0.x}' occurs twice")


def test_a_bad_date_is_refused(project: Path):
    write(project, GOOD.replace("2026-03-01", "1 March"))
    refused(settings(created_at="when"), "row 1", "'1 March'", "ISO 8601")


def test_a_changed_file_is_refused(project: Path):
    path = write(project, GOOD)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    pinned = settings(files=[File(path="data/x/messages.csv", sha256=digest)], fetch="make data")
    assert len(reader.load(pinned)) == 2
    path.write_text(GOOD + "c,hi,greet,greet,2026-03-03,web,train\n")
    refused(pinned, "messages.csv", digest[:12], "make data")


def test_a_missing_file_names_the_fetch_command(project: Path):
    refused(settings(fetch="make data"), "data/x/messages.csv is missing", "'x'", "make data")


def test_a_path_out_of_the_project_is_refused(project: Path):
    outside = project.parent / "secret.csv"
    outside.write_text(GOOD)
    refused(settings(files=[File(path="../secret.csv")]), "../secret.csv", "out of the project")
    (project / "link.csv").symlink_to(outside)
    refused(settings(files=[File(path="link.csv")]), "link.csv", "out of the project")


TAKEN = ["index", "correct", "action", "pred", "split", "cluster", "leaked", "in_scope", "length"]


@pytest.mark.parametrize("name", [*TAKEN, "file", "row", "id", "gold", "text", "label"])
def test_a_slice_cannot_take_a_name_or_leak_the_gold_label(project: Path, name: str):
    write(project, f"text,label,gold,{name}\nhi,greet,greet,x\n")
    refused(settings(gold="gold", slices=[name]), "data.slices", f"'{name}'", "data.slices, or")


def test_a_slice_is_named_once(project: Path):
    write(project, GOOD)
    refused(settings(slices=["channel", "channel"]), "data.slices names 'channel' twice")


def test_columns_may_have_the_names_that_the_project_uses(project: Path):
    write(project, "row,file,split,id\nhi,greet,train,a\nbye,leave,test,b\n")
    frame = reader.load(settings(text="row", label="file", split_column="split", id="id"))
    assert frame[["id", "text", "label", "split"]].to_numpy().tolist() == [
        ["a", "hi", "greet", "train"],
        ["b", "bye", "leave", "test"],
    ]
    assert frame["row"].tolist() == ["1", "2"]
    assert set(frame["file"]) == {"data/x/messages.csv"}
    write(project, "text,label,row,file\nhi,greet,7,greet\nbye,leave,9,leave\n")
    frame = reader.load(settings(id="row", gold="file"))
    assert frame["id"].tolist() == ["7", "9"]
    gold = companions.gold(settings(id="row", gold="file"))
    assert gold is not None
    assert gold.to_dict() == {"7": "greet", "9": "leave"}


def test_json_fields_may_be_called_row_and_split(project: Path):
    write(project, '{"train": [["hi", "greet"]]}', "data/x/all.json")
    file = File(path="data/x/all.json", keys={"train": "train"})
    frame = reader.load(settings(files=[file], text="row", label="split"))
    assert frame[["id", "text", "label", "split"]].to_numpy().tolist() == [
        ["all-train-1", "hi", "greet", "train"]
    ]


@pytest.mark.parametrize(
    ("pair", "name"), [(["hi \ud83d", "greet"], "text"), (["hi", "gr\udc00eet"], "label")]
)
def test_half_a_character_is_refused(project: Path, pair: list[str], name: str):
    file = File(path="data/x/all.json", keys={"train": "train"})
    write(project, json.dumps({"train": [["hi", "greet"], pair]}), "data/x/all.json")
    refused(settings(files=[file]), "all.json, row train-2", f"the {name} holds half", "UTF-8")
    write(project, json.dumps({"train": [["hi \U0001f600", "greet"]]}), "data/x/all.json")
    assert reader.load(settings(files=[file]))["text"].tolist() == ["hi \U0001f600"]


def test_id_hash_is_of_the_set():
    assert reader.id_hash(["b", "a"]) == reader.id_hash(["a", "b"])
    assert reader.id_hash(["a"]) != reader.id_hash(["a", "b"])


def test_a_sample_is_drawn_once_and_for_all(project: Path):
    rows = "".join(f"r{n},text {n},greet,,2026-03-03,web,train\n" for n in range(50))
    write(project, GOOD + rows)
    some = reader.load(settings(id="id", sample=20))
    assert len(some) == 20
    assert some.index.tolist() == list(range(20))
    assert some["id"].tolist() == reader.load(settings(id="id", sample=20))["id"].tolist()
    assert len(reader.load(settings(id="id", sample=500))) == 52
