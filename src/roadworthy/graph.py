"""The fine-tuned network as an ONNX graph, in single precision and in int8."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections import Counter
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from roadworthy.models.network import IntentNetwork
from roadworthy.models.onnx import OUTPUTS, session

Floats = NDArray[np.float32]
OUTLIER = 3.0
"""A channel larger than this many medians of all channels is scaled down. Of 1.5, 2, 3 and 5 the
one whose validation answers differ least from those in single precision (helpdesk)."""
WORTH = 2.0
"""A tensor none of whose channels exceeds that by so much is left as it is: each division takes
time, and would win less than one of the eight bits."""


class _Answer(torch.nn.Module):
    """What a graph gives, see ``OUTPUTS``."""

    def __init__(self, network: IntentNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        vectors = self.network.vectors(input_ids, attention_mask)
        return vectors, self.network.head(vectors)


def write_graph(network: IntentNetwork, target: Path) -> None:
    """The network as an ONNX graph: from ``input_ids, attention_mask`` (batch, tokens).

    It gives ``vectors`` (batch, d), by which a guard tells strange messages, and ``logits``.

    Names of source files are taken out, so that the bytes do not depend on the folder. Attention is
    spelt out (``eager``): that takes fewer nodes than the fused call, which guards against rows
    that see nothing, and a tenth less time for one message.
    """
    import onnx

    # With padding: a mask of ones alone would be taken for no mask at all.
    ids, mask = torch.ones((2, 8), dtype=torch.int64), torch.ones((2, 8), dtype=torch.int64)
    mask[1, 5:] = 0
    longest = int(network.base.config.max_position_embeddings)
    shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=2, max=longest)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    network = deepcopy(network)
    network.base.set_attn_implementation("eager")
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="roadworthy-") as folder:
        warnings.simplefilter("ignore")
        draft = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Answer(network).eval(),
            (ids, mask),
            draft,
            input_names=["input_ids", "attention_mask"],
            output_names=list(OUTPUTS),
            dynamic_shapes=(shape, shape),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(draft)
    for node in [*model.graph.node, *(node for f in model.functions for node in f.node)]:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for part in (model, model.graph, *model.functions, *model.graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.checker.check_model(model)
    onnx.save(model, target)


def _extremes(source: Path, names: list[str], tokens: list[list[int]]) -> dict[str, Floats]:
    """The largest magnitude of each channel of the tensors named, over texts; (channels,) each."""
    import onnx

    if not names:
        return {}
    model = onnx.load(source)
    for name in names:
        kind = onnx.TensorProto.FLOAT
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))
    run = session(model.SerializeToString()).run
    found: dict[str, Floats] = {}
    for row in tqdm(tokens, desc="calibrate", unit="text", leave=False):
        ids = np.array([row], dtype=np.int64)
        values = run(names, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        for name, value in zip(names, values, strict=True):
            largest = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
            found[name] = np.maximum(largest, found.get(name, 0))
    return found


def quantise(source: Path, target: Path, tokens: list[list[int]]) -> None:
    """Weights in int8, per channel; activations are quantised as they come, each tensor as a whole.

    The head, a last small product, stays in single precision.

    A few channels that are many times as large as the others would leave these a few steps of the
    256. They are divided by what they exceed ``OUTLIER`` medians, and their weights multiplied by
    it: the same product (SmoothQuant, Xiao et al. 2023, for outliers alone).

    Args:
        source: the graph in single precision.
        target: where the one in int8 goes.
        tokens: training texts as token ids; they show which channels are large.

    """
    import onnx
    from onnx import numpy_helper
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = (model := onnx.load(source)).graph
    weights = {one.name: one for one in graph.initializer}
    used = Counter(name for one in graph.node for name in one.input)
    products = [
        one
        for one in graph.node
        if one.op_type == "MatMul" and one.input[1] in weights and used[one.input[1]] == 1
    ]
    head = [one for one in products if set(OUTPUTS) & set(one.output)]
    products = [one for one in products if one not in head]
    # A weight that is read elsewhere, too, cannot be multiplied for one reader alone.
    entering = list(dict.fromkeys(one.input[0] for one in products))
    for name, largest in _extremes(source, entering, tokens).items():
        excess = np.maximum(1, largest / (OUTLIER * (np.median(largest) or 1))).astype(np.float32)
        if excess.max() < WORTH:
            continue
        users = [one for one in products if one.input[0] == name]
        graph.initializer.append(numpy_helper.from_array(1 / excess, f"{name}_scale"))
        scaled = onnx.helper.make_node("Mul", [name, f"{name}_scale"], [f"{name}_scaled"])
        graph.node.insert(min(list(graph.node).index(one) for one in users), scaled)
        for user in users:
            own = weights[user.input[1]]
            grown = numpy_helper.to_array(own) * excess[:, None]
            own.CopyFrom(numpy_helper.from_array(grown, own.name))
            user.input[0] = f"{name}_scaled"
    everything = logging.getLogger()
    level = everything.level
    everything.setLevel(logging.ERROR)  # advice about pre-processing
    try:
        quantize_dynamic(
            model,
            target,
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[one.name for one in head],
        )
    finally:
        everything.setLevel(level)
