"""The export is the same model: parity, hashes, decisions fitted again, nothing of the folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_finetune import ENCODER, TEXTS

from roadworthy import export
from roadworthy.errors import UserError
from roadworthy.models import onnx
from roadworthy.models.encoder import SentenceEncoder, model_folder
from roadworthy.models.lora import LoraClassifier, fresh_network, save_merged
from roadworthy.models.network import centroids
from roadworthy.settings import Lora

LONG = "my parcel should have come on monday, " * 12


@pytest.mark.parametrize(
    ("module", "loaded"),
    [("onnx", "False"), pytest.param("network", "True", marks=pytest.mark.slow)],
)
def test_serving_the_export_loads_no_torch(module: str, loaded: str):
    script = f"import sys, roadworthy.models.{module}; print('torch' in sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == loaded


def engines() -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Logits of torch and of a copy with three test decisions turned, and the truth."""
    generator = np.random.default_rng(0)
    truth = {"validation": generator.integers(0, 3, 300), "test": generator.integers(0, 3, 200)}
    torch = {s: 1.5 * np.eye(3)[y] + generator.normal(size=(len(y), 3)) for s, y in truth.items()}
    other = {s: values.copy() for s, values in torch.items()}
    turned = other["test"][:3].argmax(axis=1)
    other["test"][np.arange(3), (turned + 1) % 3] += 20
    return {"torch": torch, "int8": other}, truth


def test_flips_are_counted_and_decisions_fitted_for_each_engine():
    logits, truth = engines()
    found = export.compare(logits, truth, 0.05)
    assert found["torch"]["flips"] == 0
    assert found["torch"]["largest_logit_difference"] == 0
    assert found["int8"]["flips"] == 3
    assert found["int8"]["largest_logit_difference"] == pytest.approx(20)
    assert found["int8"]["flips_low"] < 3 / 200 < found["int8"]["flips_high"]
    # Validation rows are the same, so are temperature and threshold.
    assert found["int8"]["temperature"] == found["torch"]["temperature"]
    assert found["int8"]["threshold"] == found["torch"]["threshold"]
    colder = {s: 3 * values for s, values in logits["torch"].items()}
    again = export.compare({"torch": logits["torch"], "int8": colder}, truth, 0.05)
    assert again["int8"]["temperature"] == pytest.approx(
        3 * again["torch"]["temperature"], rel=1e-3
    )


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merged")
    start = centroids(SentenceEncoder(ENCODER)(TEXTS), np.tile([0, 1], 6), 2)
    network, tokenizer = fresh_network(ENCODER, Lora(r=2), start, 20.0, 0)
    save_merged(network, tokenizer, ["parcel", "refund"], 64, folder)
    return folder


@pytest.fixture(scope="module")
def exported(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export.build(merged, LoraClassifier(merged, ENCODER), TEXTS, folder)
    return folder


@pytest.mark.slow
def test_both_precisions_answer_like_torch_whatever_the_length_and_the_batch(
    merged: Path, exported: Path
):
    texts = [*TEXTS, LONG, "no", "Größe?", ""]
    before = LoraClassifier(merged, ENCODER).logits(texts)
    single = onnx.OnnxClassifier(exported, "fp32")
    np.testing.assert_allclose(single.logits(texts), before, atol=export.TOLERANCE)
    one_by_one = np.vstack([single.logits([text]) for text in texts])
    np.testing.assert_allclose(one_by_one, before, atol=export.TOLERANCE)
    quantised = onnx.OnnxClassifier(exported, "int8")
    assert (quantised.logits(TEXTS).argmax(axis=1) == before[:12].argmax(axis=1)).all()
    assert np.abs(quantised.logits(texts) - before).max() < 3
    np.testing.assert_allclose(quantised.predict_proba(texts).sum(axis=1), 1)
    sizes = {name: (exported / file).stat().st_size for name, file in onnx.PRECISIONS.items()}
    assert sizes["int8"] < sizes["fp32"] / 3


def test_texts_are_cut_to_one_length():
    tokens = onnx.tokenizer(model_folder(ENCODER), ENCODER.max_length)
    words = "one two three four five six seven eight nine ten eleven twelve red blue green yellow"
    cut, same = export.shortened([f"{words} white black", "a short one"], tokens)
    assert cut == words.removesuffix(" green yellow")
    assert len(tokens.encode(cut).ids) == export.SHORT
    assert same == "a short one"


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_folder(merged: Path, exported: Path, tmp_path: Path):
    elsewhere = tmp_path / "somewhere" / "else"
    elsewhere.mkdir(parents=True)
    moved = tmp_path / "moved"
    shutil.copytree(merged, moved)
    export.build(moved, LoraClassifier(moved, ENCODER), TEXTS, elsewhere)
    for path in sorted(exported.iterdir()):
        assert path.read_bytes() == (elsewhere / path.name).read_bytes(), path.name
    graph = (exported / "model.onnx").read_bytes()
    assert b"site-packages" not in graph
    assert str(exported).encode() not in graph


@pytest.mark.slow
def test_a_flipped_byte_or_a_missing_file_is_refused(exported: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    damaged = bytearray((copy / "model.int8.onnx").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (copy / "model.int8.onnx").write_bytes(damaged)
    with pytest.raises(UserError, match=r"model\.int8\.onnx was changed or damaged"):
        onnx.OnnxClassifier(copy)
    (copy / "model.int8.onnx").unlink()
    with pytest.raises(UserError, match="no complete export"):
        onnx.OnnxClassifier(copy)
    with pytest.raises(UserError, match="run `python -m roadworthy export`"):
        onnx.OnnxClassifier(tmp_path)
