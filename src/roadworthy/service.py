"""The model as it is served: network and TF-IDF, calibration, guard and threshold in one place.

``evaluate`` has judged exactly this (``scope.served``); the demo and ``predict`` serve it. Exported
(``make export``) it is one folder, which a process serves without torch and without the project:

    served = service.exported(Path("model"))
    served.decide(*served.judge(["where is my parcel?"]))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import calibration, guard, manifest, store
from roadworthy.calibration import Flags, Floats
from roadworthy.config import recorded, root
from roadworthy.data import sha256
from roadworthy.errors import UserError
from roadworthy.models import pooled
from roadworthy.models.architecture import load_arrays, softmax
from roadworthy.models.onnx import PRECISIONS, REDO, OnnxClassifier

AUTOMATED, UNSURE, UNLIKE = "automated", "to a person: unsure", "to a person: like no known intent"
CALIBRATION = "artifacts/evaluate/calibration.json"
EXPORT = "artifacts/export/model"
VECTORS = "vectors.{}.safetensors"
"""Of the training rows by an exported engine, ``known`` and ``strange``: what the guard needs."""


@dataclass(frozen=True)
class Service:
    """Everything that a decision needs."""

    model: Any
    """Network and TF-IDF together, with ``labels`` and ``pooled``."""
    network: Any
    """The network alone, with ``vectors`` and ``head``."""
    fitted: dict[str, Any]
    """``temperature, lapse, threshold, guard``, as ``evaluate`` chose them."""
    unlike: Callable[[NDArray[np.floating], Floats], Flags] | None
    """From vectors and raw probabilities to whether a message is like no known class."""

    @property
    def labels(self) -> list[str]:
        """Class names."""
        return list(self.model.labels)

    def judge(self, texts: Sequence[str]) -> tuple[Floats, Flags]:
        """Calibrated probabilities (n, classes), and which messages are like no known class."""
        if not len(texts):
            return np.zeros((0, len(self.labels))), np.zeros(0, dtype=bool)
        vectors = self.network.vectors(texts)
        raw = softmax(self.model.pooled(texts, self.network.head(vectors)))
        strange = np.zeros(len(texts), dtype=bool)
        if self.unlike is not None:
            strange = self.unlike(vectors, raw)
        return calibration.calibrated(raw, calibration.Scale.of(self.fitted)), strange

    def decide(self, probabilities: Floats, strange: Flags) -> pd.DataFrame:
        """What happens to each message, by what ``judge`` says: ``label, confidence, decision``."""
        confidence = probabilities.max(axis=1)
        return pd.DataFrame(
            {
                "label": np.array(self.labels, dtype=object)[probabilities.argmax(axis=1)],
                "confidence": confidence,
                "decision": decision(confidence, strange, self.fitted["threshold"]),
            }
        )


def decision(confidence: Floats, strange: Flags, threshold: float | None) -> NDArray[np.str_]:
    """What happens to each message; without a threshold none is automated."""
    sure = confidence >= (np.inf if threshold is None else threshold)
    return np.asarray(np.select([strange, sure], [UNLIKE, AUTOMATED], UNSURE))


def fitted() -> dict[str, Any]:
    """Temperature, threshold and guard of the fine-tuned model, as ``evaluate`` wrote them.

    They are tied to the model by its predictions, which are made and published together with it.

    Raises:
        UserError: they were fitted on what another model had said.

    """
    written = manifest.read(store.existing(CALIBRATION, "evaluate"), manifest.anew("evaluate"))
    found: dict[str, Any] = written["lora"]
    if "guard" not in found or found.get("predictions_sha256") != store.frame_sha256(
        "finetune", "predictions/lora"
    ):
        raise UserError(
            f"{CALIBRATION} was fitted on another model than the one in artifacts/finetune: "
            f"run `dvc repro`, then start again"
        )
    return found


def load(engine: str = "torch") -> Service:
    """The model in artifacts/finetune, with what ``evaluate`` fitted on it; or its export.

    Raises:
        UserError: a stage has not run yet, or since another one has; names the command.

    """
    if engine != "torch":
        found = exported(root() / EXPORT, engine)
        if found.network.about.source != sources():
            raise UserError(f"{EXPORT} is not of the model and calibration of now: `make export`")
        return found
    from roadworthy import embeddings
    from roadworthy.models.lora import LoraClassifier

    chosen, messages = fitted(), store.read_messages()
    network = LoraClassifier(store.folder("finetune", "merged"), recorded().encoder)
    model = pooled.load(network, store.folder("finetune", "tfidf"))
    beyond = messages.loc[(messages["split"] == "train") & ~messages["in_scope"], "text"]
    _, known = embeddings.read_tuned()
    strange = network.vectors(beyond.tolist())
    return Service(model, network, chosen, guard.unlike(chosen, network, known, strange))


def sources() -> dict[str, str]:
    """What an export depends on: hashes of the files that answer for network, TF-IDF, decisions."""
    files = {
        "network": store.folder("finetune", "merged") / "model.json",
        "tfidf": store.folder("finetune", "tfidf") / pooled.ABOUT,
        "calibration": store.existing(CALIBRATION, "evaluate"),
    }
    return {name: sha256(path) for name, path in files.items()}


def exported(folder: Path, engine: str = "int8") -> Service:
    """An export, wherever its folder lies.

    Raises:
        UserError: a file is missing or is not what was exported, or no such engine.

    """
    if engine not in PRECISIONS:
        raise UserError(f"no engine {engine!r} in an export: {', '.join(PRECISIONS)}")
    network = OnnxClassifier(folder, engine)
    chosen = network.about.decisions.get(engine)
    if chosen is None:
        raise UserError(f"{folder} was exported without its decisions: {REDO}")
    model = pooled.load(network, folder, REDO)
    arrays = load_arrays(folder / VECTORS.format(engine))
    known, strange = (arrays[name].astype(np.float32) for name in ("known", "strange"))
    return Service(model, network, chosen, guard.unlike(chosen, network, known, strange))
