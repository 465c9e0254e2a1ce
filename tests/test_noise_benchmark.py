"""A cell measures ranking, flags and recovery, and the table says what the cells say."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from roadworthy import noise_benchmark as benchmark
from roadworthy.config import compose, parse
from roadworthy.corruption import KINDS, corrupt
from roadworthy.errors import UserError
from roadworthy.noise_cell import Material, measure
from roadworthy.noise_table import looks_table, mean_of, recovery, shortfall_left, table
from roadworthy.views import Views


@pytest.fixture(scope="module")
def settings():
    return parse(compose(["data=banking77", "clean.folds=3", "clean.tuned.folds=2"]))


@pytest.fixture(scope="module")
def material(noise_sample):
    X, y, p = noise_sample
    views = Views(X, X, np.arange(300), 5)
    return Material(views, ["t"] * 300, y, X, y, p)


@pytest.fixture(scope="module", autouse=True)
def _few_epochs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roadworthy.dynamics.EPOCHS", 10)
        yield


@pytest.fixture(scope="module")
def cell(material, settings):
    noisy = corrupt(material.y, material.fair, "pair", 0.2, seed=0)
    return measure(material, noisy, settings, seed=0, with_tuned=False)


def test_a_cell_measures_ranking_flags_and_recovery(cell):
    assert cell["base_rate"] == pytest.approx(0.2)
    own = cell["ranking"][cell["chosen"]]
    assert own["average_precision"] > 0.8
    assert 0.3 < own["recall_at_budget"] <= 0.5
    assert own["precision_at_errors"] > 0.7
    assert cell["flags"]["precision"] > 0.7
    assert cell["accuracy"]["clean"] >= cell["accuracy"]["none"]
    assert {"drop", "relabel", "weight", "oracle"} < set(cell["accuracy"])
    assert cell["ceiling"] > 0.8
    looked = cell["looked"]
    assert (looked["rows"], looked["of"]) == (100, 300)
    assert looked["flags"]["precision"] > 0.7
    assert looked["flags"]["recall"] > 0.7
    assert looked["counted"]["wrong"] == pytest.approx(20, abs=3)  # a fifth, as everywhere
    assert looked["counted"]["low"] < 60 < looked["counted"]["high"]
    assert looked["accuracy"]["none"] >= cell["accuracy"]["none"]  # corrections alone


@pytest.mark.slow
def test_the_table_shows_every_kind_of_cell(cell, material, settings):
    natural = measure(material, material.y, settings, 0, False)
    at = [{"draw": n, "commit": "0123456789"} for n in range(3)]
    rows = [cell | {"kind": "pair", "rate": 0.2} | one for one in at]
    rows += [natural | {"kind": "natural", "rate": 0.0} | one for one in at]
    text = table(rows, settings, ["data=banking77"])
    assert text.count("| pair | 20 % | 3 |") == 3
    looks = looks_table(rows, settings, ["data=banking77"])
    assert looks.count("| pair | 20 % | 3 |") == 2
    assert "A person looks at 100 of 300 training rows" in looks
    assert "3 of 3 |" in looks
    assert "| posterior_last |" in text
    assert "| drop | " in text
    assert "noise_benchmark data=banking77`\nat commit 0123456789;" in text


def test_shortfall_recovery_and_mean_by_hand():
    ranking = {"own": {"average_precision": 0.98}, "plain": {"average_precision": 0.95}}
    cell = {"chosen": "own", "best_stock": "plain", "ranking": ranking}
    assert shortfall_left(cell) == pytest.approx(0.4)
    accuracy = {"none": 0.80, "oracle": 0.90, "drop": 0.88}
    looked = {"accuracy": {"drop": 0.89}}
    assert recovery({"accuracy": accuracy, "looked": looked}, "drop", True) == pytest.approx(90)
    assert recovery({"accuracy": accuracy}, "drop") == pytest.approx(80)
    assert recovery({"accuracy": accuracy | {"oracle": 0.805}}, "drop") is None
    assert mean_of([0.5, 0.7, None], 2) == "0.60 ± 1.27"
    assert mean_of([None]) == "–"
    assert mean_of([0.25]) == "0.250"


@pytest.fixture
def measured(project: Path, settings, monkeypatch, cell):
    """The command with nothing to load; one entry a cell that was measured."""
    (project / "reports" / "tables").mkdir(parents=True)
    calls = []
    monkeypatch.setattr(benchmark, "compose", list)
    monkeypatch.setattr(benchmark, "parse", lambda _: settings)
    monkeypatch.setattr(benchmark, "locate", lambda file, data: project / "dvc.yaml")
    monkeypatch.setattr(benchmark, "_material", lambda *_: SimpleNamespace(y=None, fair=None))
    monkeypatch.setattr(benchmark, "corrupt", lambda *_: None)
    monkeypatch.setattr(benchmark, "measure", lambda *_: calls.append(1) or cell)
    return calls


def test_cells_of_an_earlier_machine_stay_in_the_table(project: Path, settings, measured):
    benchmark.run([], [0.2], 1, [])
    shutil.rmtree(benchmark.folder_of(settings))
    said = benchmark.run([], [0.4], 1, [])
    assert said == f"reports/tables/noise_benchmark.md written from {2 * len(KINDS) + 1} cells"
    assert len(measured) == 2 * (len(KINDS) + 1)
    record = project / "reports" / "tables" / "noise_benchmark.json"
    record.write_text(record.read_text().replace(benchmark.folder_of(settings).name, "other"))
    said = benchmark.run([], [0.4], 1, [])  # of other settings: no cell of this table
    assert said.endswith(f"from {len(KINDS) + 1} cells")


@pytest.mark.parametrize(
    ("rates", "tuned", "words"),
    [([0.0], [], "--rates 0"), ([1.5], [], "--rates 1.5"), ([0.2], [0.2], "clean.tuned.folds")],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(
    project: Path, settings, measured, monkeypatch, rates, tuned, words
):
    monkeypatch.setattr(settings.clean.tuned, "folds", 0)
    with pytest.raises(UserError, match=words):
        benchmark.run([], rates, 1, tuned)
    assert not measured
    assert not (project / "reports" / "tables" / "noise_benchmark.json").exists()


def test_a_run_goes_on_where_it_was(project: Path, settings, measured):
    """Cells that are there are not measured again; a draft left behind is no cell."""
    said = benchmark.run([], [0.2], 1, [])
    assert len(measured) == len(KINDS) + 1
    folder = benchmark.folder_of(settings)
    (folder / "pair-0.2-0").rename(folder / "pair-0.2-0.draft")
    assert benchmark.run([], [0.2], 1, []) == said
    assert len(measured) == len(KINDS) + 2
    assert json.loads((folder / "pair-0.2-0" / benchmark.CELL).read_text())["kind"] == "pair"
    assert (project / "reports" / "tables" / "noise_benchmark.md").exists()
    benchmark.run([], [0.2], 1, [0.2])  # with the fine-tuned network: other cells
    assert len(measured) == 2 * len(KINDS) + 2
    other = replace(settings, data=replace(settings.data, sample=10))
    assert benchmark.folder_of(other) != folder
