"""Frozen vectors with a linear head, and deciding many texts at once: ours and stock.

Like ``rival_models``: a process for each, which imports what it uses when it is called.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.rival_models import Decide, Result, Rows, learnt, peak_gb, scores
from roadworthy.settings import Settings


def probe(rows: Rows, settings: Settings, keep: Path | None) -> Result:
    """Our logistic regression on frozen vectors; kept for bulk scoring."""
    from roadworthy.models.encoder import SentenceEncoder
    from roadworthy.models.probe import Probe

    model = Probe(settings.baseline, SentenceEncoder(settings.encoder), settings.seed)
    start = time.perf_counter()
    model.fit(rows.train)
    result = learnt(time.perf_counter() - start, len(rows.train.texts))
    if keep:
        model.save(keep)
    return result | scores(rows, lambda texts: model.predict_proba(texts).argmax(axis=1))


def stock(rows: Rows, settings: Settings, keep: Path) -> Result:
    """scikit-learn's logistic regression on sentence-transformers' vectors, C as in our probe."""
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    from roadworthy.models.encoder import model_folder
    from roadworthy.models.estimator import save_estimator

    encoder = SentenceTransformer(str(model_folder(settings.encoder)), device="cpu")
    start = time.perf_counter()
    head = LogisticRegression(C=settings.baseline.probe.C, max_iter=2000)
    head.fit(encoder.encode(rows.train.texts), rows.train.y)
    result = learnt(time.perf_counter() - start, len(rows.train.texts))
    save_estimator(keep / "stock.skops", head)
    return result | scores(rows, lambda texts: head.predict(encoder.encode(list(texts))))


def _stock(settings: Settings, kept: Path) -> Decide:
    from sentence_transformers import SentenceTransformer

    from roadworthy.models.encoder import model_folder
    from roadworthy.models.estimator import load_estimator

    encoder = SentenceTransformer(str(model_folder(settings.encoder)), device="cpu")
    head = load_estimator(kept / "stock.skops")
    return lambda texts: head.predict(encoder.encode(list(texts)))


def _probe(settings: Settings, kept: Path) -> Decide:
    from roadworthy.models.encoder import SentenceEncoder
    from roadworthy.models.probe import Probe

    model = Probe(settings.baseline, SentenceEncoder(settings.encoder), settings.seed)
    model.load(kept)
    return lambda texts: model.predict_proba(texts).argmax(axis=1)


def _tuned(settings: Settings, kept: Path) -> Decide:
    import torch

    from roadworthy.models.lora import LoraClassifier

    model, half = LoraClassifier(kept / "merged", settings.encoder), torch.bfloat16
    mixed = settings.finetune.precision == "bf16-mixed"

    def decide(texts: Sequence[str]) -> NDArray[np.int64]:
        with torch.autocast("cpu", half, enabled=mixed):
            found: NDArray[np.int64] = model.predict_proba(texts).argmax(axis=1)
        return found

    return decide


def _int8(settings: Settings, kept: Path) -> Decide:
    from roadworthy.models.onnx import OnnxClassifier

    model = OnnxClassifier(kept / "onnx", "int8", settings.encoder.threads)
    return lambda texts: model.predict_proba(texts).argmax(axis=1)


ENGINES = {"stock": _stock, "probe": _probe, "tuned": _tuned, "int8": _int8}


def bulk(rows: Rows, settings: Settings, kept: Path, engine: str) -> Result:
    """Decide all test texts at once, after a short warm-up."""
    decide, part = ENGINES[engine](settings, kept), rows.test
    decide(part.texts[:64])
    start = time.perf_counter()
    found = decide(part.texts)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "texts_per_s": len(part.texts) / seconds,
        "test_accuracy": float((found == part.y).mean()),
        "peak_gb": peak_gb(),
    }
