"""Rivals: the page says what the results say, a run goes on where it was, both trainings run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roadworthy import rivals
from roadworthy.config import compose, parse
from roadworthy.errors import UserError
from roadworthy.models.architecture import Labelled
from roadworthy.rival_engines import ENGINES, bulk, probe, stock
from roadworthy.rival_models import Rows, recipe, trainer
from roadworthy.rivals_table import page, same_level, seconds_to
from roadworthy.settings import Finetune, Lora

WORDS = ("where is my parcel", "give my money back", "please close my account")
"""Of one length: batches of similar length would else be batches of one class."""
SMALL = ["data=banking77", "finetune=long"]


def curve(*points: tuple[float, float]) -> list[dict[str, float]]:
    return [{"seconds": at, "validation_accuracy": got} for at, got in points]


@pytest.fixture(scope="module")
def settings():
    whole = parse(compose(SMALL))
    encoder = replace(whole.encoder, threads=1, accelerator="cpu", max_length=16)
    return replace(whole, encoder=encoder)


@pytest.fixture
def results():
    """As they would be read from scratch/rivals."""
    about = {"machine": {"cpu": "a processor", "threads": 1, "torch": "2.0"}}
    ours = {"curve": curve((60, 0.80), (100, 0.92)), "seconds": 100.0, "examples_per_s": 150.0}
    other = {"curve": curve((200, 0.85), (400, 0.92)), "seconds": 400.0, "examples_per_s": 75.0}
    quality = {"validation_accuracy": 0.92, "test_accuracy": 0.93, "peak_gb": 1.0}
    line = quality | {"seconds": 2.0, "examples_per_s": 385.0}
    out = {
        "rows": {"train": 9000, "validation": 500, "test": 3000, "few": 770, "shots": 10},
        "recipe": about | quality | ours | {"precision": "bf16-mixed"},
        "trainer": about | quality | other | {"precision": "32-true", "target": 0.92},
    }
    out |= {name: line for name in ("probe", "stock", "few_probe", "few_recipe", "few_setfit")}
    speeds = {"stock": (100, 200, 300), "probe": (210, 200, 100), "tuned": (500, 400, 300)}
    for way, rates in (speeds | {"int8": (1100, 900, 1000)}).items():
        for turn, rate in enumerate(rates):
            out[f"bulk_{way}.{turn}"] = quality | {"texts_per_s": rate}
    return out


def test_the_time_to_an_accuracy_is_that_of_the_first_epoch_that_has_it():
    points = curve((10, 0.5), (20, 0.9), (30, 0.8), (40, 0.9))
    assert seconds_to(points, 0.9) == 20
    assert seconds_to(points, 0.4) == 10
    assert seconds_to(points, 0.91) == float("inf")
    assert same_level({"curve": points}, {"curve": curve((1, 0.7), (2, 0.6))}) == 0.7
    assert same_level({"curve": points}, {"curve": curve((1, 0.95))}) == 0.9


def test_the_page_shows_ratios_and_medians(results, settings):
    text = page(results, settings, SMALL, "0123456789")
    assert "at commit 0123456789 on a processor" in text
    assert "Trainer takes **4.0** times as long" in text
    assert "passes **2.0** times as many examples a second" in text
    assert "| Trainer + peft | 32-true | 400 | 400 | 2 | 75 | 92.0 (" in text
    assert "| sentence-transformers `encode` + scikit-learn `predict` | 200 (100 to 300) |" in text
    assert "| 1000 (900 to 1100) | 5.0 |" in text
    assert "int8: **5.0** times the texts a second" in text
    assert "| SetFit, 1 iteration | 2.0 | 385 | 92.0 (89.3 to 94.1) | 93.0 (" in text
    assert "not installed" not in text


def test_the_page_says_what_was_not_reached_and_what_is_not_there(results, settings):
    del results["few_setfit"]
    results["trainer"]["curve"] = curve((120, 0.81), (240, 0.84))
    for turn in range(3):
        results[f"bulk_int8.{turn}"]["texts_per_s"] = 390
    text = page(results, settings, SMALL, "0123456789")
    assert "To 84.0 % of 500 validation rows, the best that Trainer reached" in text
    assert "Trainer takes **2.4** times as long" in text
    assert "Roadworthy, fine-tuned network: **2.0** times the texts a second" in text
    assert "SetFit is not in the table: it is not installed. `make rivals` installs it" in text
    assert "SetFit, 1 iteration" not in text


def test_a_run_goes_on_where_it_was(project: Path, settings, results, monkeypatch):
    """What has a file is not measured again; a draft left behind is no result."""
    asked: list[str] = []

    def alone(name: str, *_: object) -> str:
        asked.append(name)
        return json.dumps(results[name])

    monkeypatch.setattr(rivals, "compose", list)
    monkeypatch.setattr(rivals, "parse", lambda _: settings)
    monkeypatch.setattr(rivals, "locate", lambda file, data: project / "dvc.yaml")
    monkeypatch.setattr(rivals, "_alone", alone)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = rivals.run([], 1)
    assert asked == rivals.names()
    assert asked[:3] == ["rows", "recipe", "trainer"]
    assert "few_setfit" not in asked
    assert [name for name in asked if name.startswith("bulk")][:5] == [
        "bulk_stock.0", "bulk_probe.0", "bulk_tuned.0", "bulk_int8.0", "bulk_stock.1",
    ]  # fmt: skip
    folder = rivals.folder_of(rivals.prepared([], 1))
    (folder / "trainer.json").rename(folder / "trainer.draft")
    asked.clear()
    assert rivals.run([], 1) == said
    assert asked == ["trainer"]
    record = json.loads((project / "reports" / "benchmarks" / "rivals.json").read_text())
    assert record["results"]["trainer"]["target"] == 0.92
    assert "not installed" in (project / "reports" / "benchmarks" / "rivals.md").read_text()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    asked.clear()
    rivals.run([], 1)
    assert asked == ["few_setfit"]


def test_other_settings_are_other_results(project: Path, settings, monkeypatch):
    monkeypatch.setattr(rivals, "locate", lambda file, data: project / "dvc.yaml")
    others = [
        replace(settings, seed=1),
        replace(settings, data=replace(settings.data, sample=10)),
        replace(settings, encoder=replace(settings.encoder, threads=2)),
        replace(settings, finetune=replace(settings.finetune, scale=10.0)),
    ]
    folders = {rivals.folder_of(one) for one in [settings, *others]}
    assert len(folders) == 5
    assert rivals.folder_of(replace(settings, cost=settings.cost)) in folders
    (project / "dvc.yaml").write_text("stages: {}\n# other data\n")
    assert rivals.folder_of(settings) not in folders


def test_a_failure_is_a_message(project: Path, settings, monkeypatch):
    monkeypatch.setattr(rivals, "_rows", lambda folder: Rows(*[Labelled([], np.empty(0), 0)] * 4))
    with pytest.raises(UserError, match="nothing is called 'guess': rows, recipe, trainer"):
        rivals.measure("guess", settings, project)
    monkeypatch.setattr("sys.executable", "false")
    with pytest.raises(UserError, match="rows could not be measured"):
        rivals._alone("rows", [], 1)


@pytest.mark.slow
def test_both_trainings_and_every_way_of_scoring_run(settings, tmp_path: Path):
    texts = [f"{words} {n}" for n in range(8) for words in WORDS]
    part = Labelled(texts, np.tile([0, 1, 2], 8), 3)
    rows = Rows(part, part, part, part)
    cfg = Finetune(
        lora=Lora(r=4), max_steps=9, max_epochs=3, batch_size=8, learning_rate=1e-3, patience=3
    )
    own = replace(settings, finetune=cfg)
    ours, other = recipe(rows, own, tmp_path), trainer(rows, own, 2.0)
    for one in (ours, other):
        assert len(one["curve"]) == 3
        assert one["examples"] == 72
        times = [point["seconds"] for point in one["curve"]]
        assert 0 < times[0] < times[1] < times[2] <= one["seconds"]
        assert one["validation_accuracy"] == max(p["validation_accuracy"] for p in one["curve"])
        assert 0.2 < one["peak_gb"] < 20
    assert ours["test_accuracy"] == 1
    few = recipe(rows, own, None, choose=False)
    assert few["curve"] == []
    assert few["examples"] == 72
    assert other["test_accuracy"] == other["validation_accuracy"]
    early = trainer(rows, own, 0.0)  # the target is reached in the first epoch
    assert len(early["curve"]) == 1
    assert probe(rows, own, tmp_path)["test_accuracy"] == 1
    assert stock(rows, own, tmp_path)["test_accuracy"] == 1
    for way in ENGINES:
        one = bulk(rows, own, tmp_path, way)
        assert one["test_accuracy"] == 1, way
        assert one["texts_per_s"] == pytest.approx(24 / one["seconds"])
