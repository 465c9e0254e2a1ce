"""Sentence vectors on disk: safetensors beside the frames that they belong to, row by row."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import manifest, store
from roadworthy.config import root
from roadworthy.errors import UserError
from roadworthy.models.architecture import load_arrays, save_arrays

Vectors = NDArray[np.float32]
AUDIT = "artifacts/audit/embeddings.safetensors"
TUNED = "artifacts/finetune/vectors.safetensors"


def write(messages: Vectors | None, synthetic: Vectors | None) -> None:
    """The frozen encoder's vectors of the audited messages and the synthetic rows; None: none."""
    if messages is not None and synthetic is not None:
        _save(AUDIT, messages=messages, synthetic=synthetic)


def read(name: str = "messages") -> Vectors:
    """The frozen encoder's vectors of ``messages`` or of ``synthetic`` rows, shape (rows, d).

    Raises:
        UserError: the audit has not run, or went without vectors.
    """
    path = root() / AUDIT
    if not path.exists() and path.parent.exists():
        raise UserError(
            "the audit went without sentence vectors, which this stage needs: the data has more "
            "rows than audit.embed_rows. Raise it (-S +audit.embed_rows=N) and run again."
        )
    return load_arrays(store.existing(AUDIT, "audit"))[name].astype(np.float32)


def known() -> tuple[list[str], Vectors]:
    """Texts of messages and synthetic rows, and the frozen encoder's vectors, shape (texts, d)."""
    made = store.read_frame("audit", "synthetic")["text"]
    return [*store.read_messages()["text"], *made], np.vstack([read(), read("synthetic")])


def write_tuned(train: Vectors) -> None:
    """The tuned encoder's vectors of the rows that it learnt from."""
    _save(TUNED, train=train, rows=_mark(_learnt()))
    manifest.write(store.new(TUNED).with_suffix(".json"), {}, [Path(TUNED).name])


def read_tuned() -> tuple[pd.DataFrame, Vectors]:
    """The rows that ``finetune`` learnt from, and the tuned encoder's vectors of them.

    Raises:
        UserError: the rows have changed since, or the file has.
    """
    path = store.existing(TUNED, "finetune")
    manifest.read(path.with_suffix(".json"), manifest.anew("finetune"))
    rows, arrays = _learnt(), load_arrays(path)
    if not np.array_equal(arrays["rows"], _mark(rows)):
        raise UserError("the training rows have changed since the model was trained: `dvc repro`")
    return rows, arrays["train"].astype(np.float32)


def _learnt() -> pd.DataFrame:
    rows = store.read_frame("clean", "train")
    return rows[rows["action"] != "drop"].reset_index(drop=True)


def _mark(rows: pd.DataFrame) -> NDArray[np.uint8]:
    """A hash of ids and labels in their order, as bytes."""
    text = "\n".join(rows["id"].astype(str) + "\t" + rows["label"])
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint8)


def _save(path: str, **arrays: NDArray[np.generic]) -> None:
    save_arrays(store.new(path), **arrays)
