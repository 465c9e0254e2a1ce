"""The exported network: tokenizer and ONNX graph, without the training code.

What is served is its pool with TF-IDF, ``pooled.load(OnnxClassifier(folder), folder)``; the
``decisions`` of export.json are that pool's.

One folder holds everything, and ``export.json`` the hash of each file: what was changed or damaged
since is not loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadworthy import manifest
from roadworthy.errors import UserError
from roadworthy.models.architecture import load_arrays, softmax

ABOUT = "export.json"
BATCH = 32
AT_ONCE = 4096
"""Texts whose tokens are found at once."""
INPUTS, OUTPUTS = ("input_ids", "attention_mask"), ("vectors", "logits")
HEAD = "head.safetensors"
PRECISIONS = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
REDO = "run `python -m roadworthy export`"
SLOW = ["SkipLayerNormFusion"]
"""What ONNX Runtime shall not fuse: its one node for sum and layer norm takes several times as long
as the two."""


@dataclass(frozen=True)
class About:
    """What export.json says."""

    labels: list[str]
    max_length: int
    source: dict[str, str]
    """SHA-256 of the files that answer for what was exported, see ``service.sources``."""
    sha256: dict[str, str]
    decisions: dict[str, dict[str, Any]]
    """By precision: ``temperature, lapse, threshold, guard``, fitted on validation rows."""


def about(folder: Path) -> About:
    """Read export.json and check every file against its hash.

    Raises:
        UserError: a file is missing, or not what was exported.
    """
    try:
        found = About(**manifest.read(folder / ABOUT, REDO))
    except TypeError as error:
        raise UserError(f"{folder} holds the export of another version: {REDO}") from error
    if missing := {"tokenizer.json", HEAD, *PRECISIONS.values()} - set(found.sha256):
        raise UserError(f"{folder} holds no complete export (no {min(missing)}): {REDO}")
    return found


def tokenizer(folder: Path, max_length: int) -> Any:  # noqa: ANN401 - tokenizers.Tokenizer
    """The tokenizer of a folder; whatever its file says of padding, whoever batches pads."""
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found.enable_truncation(max_length)
    found.no_padding()
    return found


def session(graph: str | bytes, threads: int = 1) -> Any:  # noqa: ANN401 - InferenceSession
    """ONNX Runtime on the CPU, for a graph's path or its bytes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOW
    )


class OnnxClassifier:
    """Texts in, the network's class probabilities out, one thread a session."""

    def __init__(self, folder: Path, precision: str = "int8", threads: int = 1) -> None:
        """Load one precision (``fp32`` or ``int8``) of a folder that ``export`` wrote."""
        self.about = about(folder)
        self.labels = self.about.labels
        self.tokenizer = tokenizer(folder, self.about.max_length)
        self.session = session(str(folder / PRECISIONS[precision]), threads)
        self.classes: NDArray[np.float32] = load_arrays(folder / HEAD)["classes"].astype(np.float32)

    def vectors(self, texts: Sequence[str], batch_size: int = BATCH) -> NDArray[np.float32]:
        """Sentence vectors (n, d) of unit length, batched by the number of tokens."""
        out = np.zeros((len(texts), self.classes.shape[1]), dtype=np.float32)
        encoded: list[list[int]] = []
        for start in range(0, len(texts), AT_ONCE):  # what else a tokenizer gives takes much memory
            batch = list(texts[start : start + AT_ONCE])
            encoded += [one.ids for one in self.tokenizer.encode_batch(batch)]
        order = sorted(range(len(texts)), key=lambda row: len(encoded[row]))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            shape = len(rows), len(encoded[rows[-1]])
            inputs = {name: np.zeros(shape, dtype=np.int64) for name in INPUTS}
            for place, row in enumerate(rows):
                seen = slice(len(encoded[row]))
                inputs["input_ids"][place, seen] = encoded[row]
                inputs["attention_mask"][place, seen] = 1
            out[rows] = self.session.run(["vectors"], inputs)[0]
        return out

    def head(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (n, classes) of sentence vectors, as the graph gives them, too."""
        return vectors @ self.classes.T

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits (n, classes), in the order of ``texts``."""
        return self.head(self.vectors(texts))

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, classes), not yet calibrated."""
        return softmax(self.logits(texts))
