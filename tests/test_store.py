"""Where results go: published whole or not at all, and safe to open."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from roadworthy import drafts, store
from roadworthy.data import id_hash
from roadworthy.errors import UserError

FOLDER, METRICS = "artifacts/toy", "reports/metrics/toy.json"


@pytest.fixture
def draft(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stage's draft folder, as under the runner."""
    folder = drafts.draft_folder("toy")
    folder.mkdir(parents=True)
    monkeypatch.setenv(drafts.DRAFT, str(folder))
    return folder


def write(version: int) -> None:
    """Two files and the record of one version."""
    folder = store.new_folder("toy", "model")
    (folder / "weights").write_text(str(version))
    store.write_frame("toy", f"only-{version}", pd.DataFrame({"x": [version]}))
    store.write_csv("toy", "table", pd.DataFrame({"x": [version]}))
    store.write_metrics("toy", {"version": version})


def state(project: Path) -> dict[str, str]:
    """Every published file's path and which version it is."""
    names = [FOLDER, "reports/tables/toy", METRICS]
    files = [
        file
        for name in names
        for file in [project / name, *(project / name).rglob("*")]
        if file.is_file()
    ]
    return {
        str(file.relative_to(project)): file.name[5]
        if file.suffix == ".parquet"
        else "".join(character for character in file.read_text() if character.isdigit())
        for file in files
    }


def test_by_hand_nothing_is_published(project: Path):
    write(1)
    assert state(project) == {}
    assert (project / "scratch" / METRICS).is_file()


def test_publish_swaps_and_stale_files_vanish(project: Path, draft: Path):
    write(1)
    assert state(project) == {}
    drafts.publish("toy")
    first = state(project)
    assert set(first.values()) == {"1"}
    write(2)
    assert state(project) == first
    drafts.publish("toy")
    assert set(state(project).values()) == {"2"}
    assert not (project / FOLDER / "only-1.parquet").exists()
    assert not draft.exists()


@pytest.mark.parametrize("kill", range(1, 6))
def test_a_kill_while_publishing_leaves_each_result_old_or_new(
    project: Path, draft: Path, monkeypatch: pytest.MonkeyPatch, kill: int
):
    write(1)
    drafts.publish("toy")
    write(2)
    calls, rename = 0, Path.replace

    def killed(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == kill:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            drafts.publish("toy")
    for name in (FOLDER, "reports/tables/toy", METRICS):
        # Between the two renames of a folder the old one is whole in the draft; DVC then runs
        # the stage again.
        places = [project / name, project / "scratch" / "drafts" / "toy" / "retired" / name]
        assert any(place.exists() for place in places)
        here = {value for key, value in state(project).items() if key.startswith(name)}
        assert len(here) <= 1
    assert not any(drafts.clear("toy").iterdir())  # as the next run begins
    assert all((project / name).exists() for name in (FOLDER, "reports/tables/toy", METRICS))


def test_numbers_are_plain_and_missing_ones_are_null(project: Path):
    content = {"a": np.float32(0.1), "b": float("nan"), 3: (np.int64(2), float("inf")), "c": 1 / 3}
    path = store.write_json("reports/metrics/toy.json", content)
    assert json.loads(path.read_text()) == {"a": 0.1, "b": None, "3": [2, None], "c": 0.333333}
    assert "NaN" not in path.read_text()


def test_formulas_are_defused_and_numbers_are_not(project: Path):
    frame = pd.DataFrame(
        {"text": ["=cmd()", " +1", "@x", "-2", "fine"], "score": [-0.5, 1, 2, 3, 1 / 3]}
    )
    lines = store.write_csv("toy", "t", frame).read_text().splitlines()
    assert lines == [
        "text,score",
        "'=cmd(),-0.5000",
        "' +1,1.0000",
        "'@x,2.0000",
        "'-2,3.0000",
        "fine,0.3333",
    ]
    assert frame["text"].iloc[0] == "=cmd()"


def test_a_missing_result_names_the_command(project: Path):
    for read in (
        lambda: store.read_frame("audit", "messages"),
        lambda: store.read_metrics("audit"),
    ):
        with pytest.raises(UserError, match="is missing: run `dvc repro audit` first"):
            read()


def test_formulas_in_index_and_header_are_defused(project: Path):
    index = pd.MultiIndex.from_tuples([("=cmd()", "-1+1"), ("fine", "@x")], names=["a", "=b"])
    frame = pd.DataFrame({"=HYPERLINK(1)": ["+1", "b"], "n": [-1, 2]}, index=index)
    lines = store.write_csv("toy", "t", frame, index=True).read_text().splitlines()
    assert lines == ["a,'=b,'=HYPERLINK(1),n", "'=cmd(),'-1+1,'+1,-1", "fine,'@x,b,2"]
    assert list(frame.columns) == ["=HYPERLINK(1)", "n"]


@pytest.mark.parametrize(
    ("stage", "command"), [("audit", "dvc repro audit"), ("timings", "make timings")]
)
def test_a_record_that_is_missing_or_damaged_names_the_command(
    project: Path, stage: str, command: str
):
    path = f"reports/{stage}/record.json"
    with pytest.raises(UserError, match=f"{path} is missing: run `{command}`"):
        store.read_json(path, stage)
    (project / path).parent.mkdir(parents=True)
    for damaged in (b'{"a": 1', b"", b"[]", b"3", b'{"a": "\xff"}'):
        (project / path).write_bytes(damaged)
        with pytest.raises(UserError, match=f"{path} is damaged.*`{command}`"):
            store.read_json(path, stage)
    (project / path).write_text('{"a": 1}')
    assert store.read_json(path, stage) == {"a": 1}


def test_figures_are_byte_stable(project: Path):
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    assert (
        store.write_figure("toy", "a", figure).read_bytes()
        == store.write_figure("toy", "b", figure).read_bytes()
    )


def test_an_unfrozen_test_set_is_refused():
    frozen = id_hash(["b", "a"])
    store.check_test_ids(["a", "b"], frozen, "x")
    with pytest.raises(UserError, match="not the frozen test set"):
        store.check_test_ids(["a"], frozen, "x")


def test_messages_are_checked_against_the_frozen_split(project: Path):
    folder = project / "artifacts" / "audit"
    folder.mkdir(parents=True)
    pd.DataFrame({"id": ["a", "b"], "split": ["train", "test"]}).to_parquet(
        folder / "messages.parquet"
    )
    (folder / "split.json").write_text(json.dumps({"test_id_sha256": id_hash(["b"])}))
    assert len(store.read_messages()) == 2
    (folder / "split.json").write_text(json.dumps({"test_id_sha256": id_hash(["a"])}))
    with pytest.raises(UserError, match="not the frozen test set"):
        store.read_messages()
