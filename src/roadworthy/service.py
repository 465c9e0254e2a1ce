"""The model as it is served: network and TF-IDF, temperature, guard and threshold in one place.

``evaluate`` has judged exactly this (``scope.served``); the demo and ``predict`` serve it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import calibration, embeddings, guard, store
from roadworthy.calibration import Flags, Floats
from roadworthy.config import recorded
from roadworthy.errors import UserError
from roadworthy.models import pooled
from roadworthy.models.architecture import softmax

AUTOMATED, UNSURE, UNLIKE = "automated", "to a person: unsure", "to a person: like no known intent"


@dataclass(frozen=True)
class Service:
    """Everything that a decision needs."""

    model: Any
    """Network and TF-IDF together, with ``labels`` and ``pooled``."""
    network: Any
    """The network alone, with ``vectors`` and ``head``."""
    fitted: dict[str, Any]
    """``temperature, threshold, guard``, as ``evaluate`` chose them."""
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
        return np.exp(calibration.log_tempered(raw, self.fitted["temperature"])), strange

    def decide(self, probabilities: Floats, strange: Flags) -> pd.DataFrame:
        """What happens to each message, by what ``judge`` says: ``label, confidence, decision``."""
        confidence, threshold = probabilities.max(axis=1), self.fitted["threshold"]
        sure = confidence >= (np.inf if threshold is None else threshold)
        return pd.DataFrame(
            {
                "label": np.array(self.labels, dtype=object)[probabilities.argmax(axis=1)],
                "confidence": confidence,
                "decision": np.select([strange, sure], [UNLIKE, AUTOMATED], UNSURE),
            }
        )


def fitted() -> dict[str, Any]:
    """Temperature, threshold and guard of the fine-tuned model, as ``evaluate`` wrote them.

    They are tied to the model by its predictions, which are made and published together with it.

    Raises:
        UserError: they were fitted on what another model had said.

    """
    path = "artifacts/evaluate/calibration.json"
    found: dict[str, Any] = store.read_json(path, "evaluate")["lora"]
    if "guard" not in found or found.get("predictions_sha256") != store.frame_sha256(
        "finetune", "predictions/lora"
    ):
        raise UserError(
            f"{path} was fitted on another model than the one in artifacts/finetune: "
            f"run `dvc repro`, then start again"
        )
    return found


def load() -> Service:
    """The model in artifacts/finetune, with what ``evaluate`` fitted on it.

    Raises:
        UserError: a stage has not run yet, or since another one has; names the command.

    """
    from roadworthy.models.lora import LoraClassifier

    chosen, messages = fitted(), store.read_messages()
    network = LoraClassifier(store.folder("finetune", "merged"), recorded().encoder)
    model = pooled.load(network, store.folder("finetune", "tfidf"))
    beyond = messages.loc[(messages["split"] == "train") & ~messages["in_scope"], "text"]
    _, known = embeddings.read_tuned()
    return Service(model, network, chosen, guard.unlike(chosen, network, known, beyond.tolist()))
