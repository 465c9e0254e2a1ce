"""Messages of a file are decided about, row by row; what is wrong with the file is said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from test_service import service

from roadworthy import predict, store
from roadworthy.drafts import DRAFT
from roadworthy.errors import UserError
from roadworthy.settings import Data


@pytest.fixture
def served(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose model says of a number whether it is high; its messages have ids."""
    data = Data(name="helpdesk", files=[], text="said", id="key")
    monkeypatch.setattr(predict, "recorded", lambda: SimpleNamespace(data=data))
    monkeypatch.setattr(
        predict.service, "load", lambda engine: service(0.9 if engine == "torch" else None)
    )
    monkeypatch.setenv(DRAFT, str(project))
    store.write_metrics("readiness", {"dataset": "helpdesk", "verdict": "no-go", "reasons": []})
    return project


def test_every_row_gets_a_label_a_confidence_and_a_decision(served: Path):
    (served / "in.csv").write_text("key,said,more\nk1,2,=1+1\nk2,0.5,\n=k3, ,x\n")
    said = predict.run("in.csv", "out.csv")
    assert said == (
        "out.csv: 3 messages, 1 automated, the others to people. Readiness of this model: no-go"
    )
    found = pd.read_csv("out.csv")
    assert list(found.columns) == ["row", "key", "label", "confidence", "decision"]
    assert found["key"].tolist() == ["k1", "k2", "'=k3"]
    decisions = ["automated", "to a person: unsure", "to a person: empty"]
    assert found["decision"].tolist() == decisions
    assert found["confidence"].tolist()[:2] == [0.982, 0.7311]
    assert found["label"].isna().tolist() == [False, False, True]


def test_a_file_without_ids_or_with_blanks_alone_is_decided_about_too(served: Path):
    (served / "in.csv").write_text('said\n" "\n')
    predict.run("in.csv", "out.csv")
    found = pd.read_csv("out.csv")
    assert found["decision"].tolist() == ["to a person: empty"]
    assert "key" not in found


def test_an_empty_line_of_a_file_with_one_column_is_an_empty_message(served: Path):
    (served / "in.csv").write_text("said\n2\n\n0.5\n\n")
    assert predict.run("in.csv", "out.csv").startswith("out.csv: 3 messages, 1 automated")
    found = pd.read_csv("out.csv")
    assert found["row"].tolist() == [1, 2, 3]
    assert found["decision"].tolist()[1] == predict.EMPTY


def test_another_column_and_another_engine_may_be_named(served: Path):
    (served / "in.csv").write_text("key,words\nk1,2\n")
    said = predict.run("in.csv", "out.csv", "int8", "words")
    assert "0 automated, the others to people (on validation rows no confidence" in said
    assert pd.read_csv("out.csv")["decision"].tolist() == ["to a person: unsure"]


@pytest.mark.parametrize(
    ("content", "out", "match"),
    [
        ("words\nhello\n", "out.csv", "no column 'said'; its columns are 'words'.*--text"),
        ("said;more\n1;2\n", "out.csv", "separated by a semicolon"),
        ("", "out.csv", "empty"),
        ("key,words\n1,hello\n", "out.csv", "'key', 'words'. Name the one that.*--text"),
        ("said\n1\n", "./in.csv", "holds the messages: name another file"),
        (None, "out.csv", "in.csv is missing"),
        ("said\n1\n", "nowhere/out.csv", "cannot be written"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(served: Path, content, out, match):
    if content is not None:
        (served / "in.csv").write_text(content)
    with pytest.raises(UserError, match=match):
        predict.run("in.csv", out)
    assert not (served / "out.csv").exists()


def test_the_command_line_asks_for_both_files(capsys: pytest.CaptureFixture[str]):
    from roadworthy.__main__ import parser

    options = parser().parse_args(["predict", "in.csv", "out.csv"])
    assert (options.file, options.out) == ("in.csv", "out.csv")
    with pytest.raises(SystemExit):
        parser().parse_args(["predict", "in.csv"])
    assert "out" in capsys.readouterr().err
