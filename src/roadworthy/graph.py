"""The fine-tuned network as an ONNX graph, in single precision and in int8."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import torch

from roadworthy.models.network import IntentNetwork


def write_graph(network: IntentNetwork, target: Path) -> None:
    """The network as an ONNX graph: ``input_ids, attention_mask`` (batch, tokens) to ``logits``.

    Names of source files are taken out, so that the bytes do not depend on the folder. The
    network's attention is spelt out from then on (``eager``): that takes fewer nodes than the fused
    call, which guards against rows that see nothing, and a tenth less time for one message.
    """
    import onnx

    # With padding: a mask of ones alone would be taken for no mask at all.
    ids, mask = torch.ones((2, 8), dtype=torch.int64), torch.ones((2, 8), dtype=torch.int64)
    mask[1, 5:] = 0
    longest = int(network.base.config.max_position_embeddings)
    shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=2, max=longest)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    network.base.set_attn_implementation("eager")
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="roadworthy-") as folder:
        warnings.simplefilter("ignore")
        draft = Path(folder) / "model.onnx"
        torch.onnx.export(
            network.eval(),
            (ids, mask),
            draft,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
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


def quantise(source: Path, target: Path) -> None:
    """Weights in int8, per channel; activations are quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # advice about pre-processing
    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)
