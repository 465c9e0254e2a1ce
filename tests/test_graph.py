"""Quantising: channels that tower over the others cost these nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from roadworthy import graph

VOCABULARY, WIDTH, CLASSES = 40, 32, 5
TOKENS = [[n % VOCABULARY for n in range(start, start + 8)] for start in range(0, 300, 7)]


def network(path: Path, shared: bool = False) -> Path:
    """Word vectors, two channels made 40 times as large, one product: a transformer's fault.

    ``shared``: the word vectors themselves are multiplied by the same weights, and added.
    """
    generator = np.random.default_rng(0)
    gain = np.ones(WIDTH, dtype=np.float32)
    gain[[3, 17]] = 40.0
    weights = generator.normal(size=(WIDTH, CLASSES)).astype(np.float32)
    weights[[3, 17]] /= 1.0 if shared else 40.0
    values = {
        "words": generator.normal(size=(VOCABULARY, WIDTH)).astype(np.float32),
        "gain": gain,
        "weights": weights,
        "zero": np.zeros(1, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["embedded"]),
        helper.make_node("Mul", ["embedded", "gain"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "weights"], ["product"], name="product"),
        helper.make_node("MatMul", ["embedded", "weights"], ["plain"], name="plain"),
        helper.make_node("Add", ["product", "plain" if shared else "zero"], ["logits"]),
    ]
    nodes = [node for node in nodes if shared or node.name != "plain"]
    both = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    filled = [numpy_helper.from_array(value, name) for name, value in values.items()]
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", both, [out], filled), opset_imports=opset
    )
    model.ir_version = 10
    onnx.save(model, path)
    return path


def logits(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ids = np.array(TOKENS, dtype=np.int64)
    return session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]


def test_scaling_outliers_keeps_the_answers_that_plain_int8_loses(tmp_path: Path):
    single = network(tmp_path / "single.onnx")
    graph.quantise(single, tmp_path / "ours.onnx", TOKENS[::4])
    quantize_dynamic(single, tmp_path / "plain.onnx", per_channel=True, weight_type=QuantType.QInt8)
    right = logits(single)
    ours, plain = (
        np.abs(logits(tmp_path / f"{name}.onnx") - right).mean() for name in ("ours", "plain")
    )
    assert ours < plain / 2
    assert ours < 0.05 * np.abs(right).mean()


def test_weights_that_two_products_share_are_left_alone(tmp_path: Path):
    single = network(tmp_path / "single.onnx", shared=True)
    graph.quantise(single, tmp_path / "ours.onnx", TOKENS[::4])
    right = logits(single)
    assert np.abs(logits(tmp_path / "ours.onnx") - right).mean() < 0.1 * np.abs(right).mean()


def test_the_same_graph_is_written_twice_and_the_source_left_alone(tmp_path: Path):
    single = network(tmp_path / "single.onnx")
    before = single.read_bytes()
    for name in ("a", "b"):
        graph.quantise(single, tmp_path / f"{name}.onnx", TOKENS)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert single.read_bytes() == before


def test_quantising_leaves_the_process_its_warnings(tmp_path: Path):
    root = logging.getLogger()
    before = root.level
    graph.quantise(network(tmp_path / "single.onnx"), tmp_path / "ours.onnx", TOKENS[::8])
    assert root.level == before < logging.ERROR
