"""Cells are trained once, judged together, and the record says what the frames say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks import TOPICS, sentences

from roadworthy import benchmark, benchmark_cells
from roadworthy.benchmark_cells import Material
from roadworthy.config import compose, parse
from roadworthy.models.architecture import predictions_frame, softmax
from roadworthy.models.encoder import Lookup


def test_near_twins_are_test_rows_like_a_training_row():
    rows = pd.DataFrame(
        [
            ("a", "train", True, "How do I top up with my card?"),
            ("b", "train", False, "An outside question about the weather"),
            ("c", "test", True, "how do i top up with my card"),
            ("d", "test", True, "An outside question about the weather"),
            ("e", "test", True, "Where is the parcel that I sent?"),
            ("f", "validation", True, "Please pay back what I have paid twice"),
            ("g", "test", True, "please pay back what I've paid twice"),
            ("h", "test", True, "Where's the parcel that I sent?"),
        ],
        columns=["id", "split", "in_scope", "text"],
    )
    assert list(benchmark.twins(rows)) == ["c", "g"]


def test_few_labels_are_as_many_of_each_class_and_drawn_by_the_seed():
    rows = pd.DataFrame(sentences("train", 10), columns=["split", "label", "text"])
    rows = rows.assign(in_scope=rows["label"] != "oos", number=range(len(rows)))
    rows["text"] += " " + rows["number"].astype(str)
    split = {"labels": sorted(TOPICS)}
    none = Lookup([], np.empty((0, 2)))
    material = Material(parse(compose([])), Path(), rows, split, none, "")
    few, again, other = (material.rows("train", 2, seed) for seed in (0, 0, 1))
    assert np.bincount(few.y).tolist() == [2, 2, 2]
    assert few.texts == again.texts
    assert set(few.texts) != set(other.texts)
    assert len(material.rows("train").texts) == 30


def test_a_cells_network_is_pooled_with_tf_idf_by_what_validation_rows_say(tmp_path: Path):
    generator, names = np.random.default_rng(0), ["a", "b", "c"]
    y, folder = generator.integers(0, 3, 600), tmp_path / "full-0"
    folder.mkdir()
    split = np.repeat(["validation", "test"], 300)
    rows = pd.DataFrame({"id": range(600), "split": split, "label": np.array(names)[y]})
    said = (softmax(2 * np.eye(3)[y] + generator.normal(size=(600, 3))) for _ in range(2))
    for name, p in zip(("predictions", "tfidf"), said, strict=True):
        predictions_frame(rows, names, p).to_parquet(folder / f"{name}.parquet")
    alone = pd.read_parquet(folder / "predictions.parquet")
    both = benchmark_cells.served(folder)
    right, before = ((frame["pred"] == frame["label"])[300:].mean() for frame in (both, alone))
    assert right > before + 0.03
    np.testing.assert_allclose(both[["p_a", "p_b", "p_c"]].sum(axis=1), 1, rtol=1e-5)
    # Test labels have no part in it.
    for name in ("predictions", "tfidf"):
        frame = pd.read_parquet(folder / f"{name}.parquet")
        frame.loc[300:, "label"] = "a"
        frame.to_parquet(folder / f"{name}.parquet")
    pd.testing.assert_series_equal(benchmark_cells.served(folder)["p_a"], both["p_a"])
    few = folder.rename(tmp_path / "5-0")  # no validation rows to choose by
    pd.testing.assert_series_equal(benchmark_cells.served(few)["p_a"], alone["p_a"])


@pytest.mark.slow
def test_the_command_trains_each_cell_once_and_judges_it(tiny, monkeypatch):
    short = ["+encoder.threads=1", "finetune.precision=32-true", "+finetune.batch_size=8"]
    short += ["finetune.max_epochs=2", "finetune.networks=1"]
    short += ["baseline.architectures=[majority,tfidf,static,pool,probe]"]
    message = benchmark.run(short, ["tiny"], [0, 1], [3])
    assert message == "reports/benchmarks/ written from 4 cells"
    folder = tiny / "reports" / "benchmarks"
    result = json.loads((folder / "results.json").read_text())["data"]["tiny"]
    assert (result["train_rows"], result["test_rows"], result["classes"]) == (30, 18, 3)
    assert result["test_rows_out_of_scope"] == 4
    tuned = result["models"]["lora"]
    assert len(tuned["accuracy"]["seeds"]) == 2
    assert tuned["accuracy"]["value"] > 0.8 > result["models"]["majority"]["accuracy"]["value"]
    assert set(tuned["scope"]) == {"confidence", "energy", "nearness", "contrast", "joint"}
    assert set(result["few"]["3"]) == {*benchmark_cells.FEW, "network", "ensemble", "lora", "facts"}
    assert result["models"]["ensemble"]["accuracy"]["value"] > 0.8
    assert [facts["rows"] for facts in result["models"]["facts"]] == [30, 30]
    assert result["few"]["3"]["facts"][0]["rows"] == 9
    assert "Tiny, made up" in (folder / "table.md").read_text()
    assert {path.name for path in folder.glob("*.png")} == {"few_labels.png", "trade_off_tiny.png"}
    assert set(tuned["cascade"]) == {"tfidf", "static", "pool"}
    record = json.loads((folder / "results.json").read_text())
    record["data"]["other"] = record["data"]["tiny"] | {"title": "Another"}
    (folder / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    benchmark.run(short, ["tiny"], [0, 1], [3])  # what it is not asked about stays
    assert "## Another" in (folder / "table.md").read_text()
    first = (folder / "results.json").read_bytes()
    monkeypatch.setattr(benchmark_cells, "tune", None)  # nothing may be trained again
    benchmark.run(short, ["tiny"], [0, 1], [3])
    assert (folder / "results.json").read_bytes() == first
    assert not any((tiny / "scratch" / "checkpoints").rglob("*.ckpt"))
    # A checkout without the cells of one seed keeps what is on record of it.
    shutil.rmtree(next((tiny / "scratch" / "benchmark").glob("tiny-*/full-1")))
    benchmark.run(short, ["tiny"], [0], [3])
    assert (folder / "results.json").read_bytes() == first
