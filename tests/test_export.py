"""The export is the same model: parity, hashes, decisions fitted again, nothing of the folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_finetune import ENCODER, TEXTS

from roadworthy import calibration, export, service
from roadworthy.errors import UserError
from roadworthy.models import onnx, pooled
from roadworthy.models.architecture import Labelled, save_arrays
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
    np.testing.assert_allclose(single.logits(texts), before, atol=1e-3)
    one_by_one = np.vstack([single.logits([text]) for text in texts])
    np.testing.assert_allclose(one_by_one, before, atol=1e-3)
    quantised = onnx.OnnxClassifier(exported, "int8")
    assert (quantised.logits(TEXTS).argmax(axis=1) == before[:12].argmax(axis=1)).all()
    assert np.abs(quantised.logits(texts) - before).max() < 3
    np.testing.assert_allclose(quantised.predict_proba(texts).sum(axis=1), 1)
    for model in (single, quantised):  # the graph's own logits are those of head and vectors
        row = np.array([model.tokenizer.encode(LONG).ids])
        inputs = {"input_ids": row, "attention_mask": np.ones_like(row)}
        vectors, logits = model.session.run(list(onnx.OUTPUTS), inputs)
        np.testing.assert_allclose(model.head(vectors), logits, atol=1e-4)
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
    with pytest.raises(UserError, match=r"model\.int8\.onnx is missing"):
        onnx.OnnxClassifier(copy)
    with pytest.raises(UserError, match="run `python -m roadworthy export`"):
        onnx.OnnxClassifier(tmp_path)


SERVE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "peft", "pytorch_lightning"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
from pathlib import Path
from roadworthy import service
served = service.exported(Path(sys.argv[1]), sys.argv[2])
print(served.decide(*served.judge(["my parcel is late", "qqq"])).to_json(orient="records"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fp32", "int8"])
def test_one_folder_is_served_without_torch_and_without_the_project(
    merged: Path, exported: Path, tmp_path: Path, engine: str
):
    folder, classifier = tmp_path / "model", LoraClassifier(merged, ENCODER)
    shutil.copytree(exported, folder)
    with pytest.raises(UserError, match="exported without its decisions"):
        service.exported(folder, engine)
    known = Labelled(TEXTS, np.tile([0, 1], 6), 2)
    pool = pooled.build(classifier, known, known, 0, folder)
    vectors = classifier.vectors(TEXTS)
    save_arrays(folder / service.VECTORS.format(engine), known=vectors, strange=vectors[:0])
    guard = {"score": "nearness", "threshold": -1.0, "spread": {}}
    fitted = {"temperature": 1.5, "lapse": 0.1, "threshold": 0.0, "guard": guard}
    export.seal(folder, classifier, {}, {engine: fitted})
    here = pool.predict_proba(["my parcel is late", "qqq"])
    expected = calibration.calibrated(here, calibration.Scale(1.5, 0.1)).max(axis=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-c", SERVE, str(folder), engine]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=elsewhere)
    found = json.loads(done.stdout)
    assert [one["decision"] for one in found] == [service.AUTOMATED] * 2
    confidence = [one["confidence"] for one in found]
    np.testing.assert_allclose(confidence, expected, atol=1e-4 if engine == "fp32" else 0.1)
    with pytest.raises(UserError, match="no engine 'int4'"):
        service.exported(folder, "int4")
