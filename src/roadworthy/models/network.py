"""The network that is fine-tuned: transformer, mean pooling, cosine head.

The head compares the sentence vector with one vector per class by cosine; the class vectors start
at the centroids of the frozen embeddings, so that training begins from a nearest-centroid
classifier.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from roadworthy.models.encoder import mean_pool


class IntentNetwork(nn.Module):
    """Transformer, mean pooling, cosine head.

    For training, the transformer comes in two parts: ``lower``, the embeddings and the layers
    without adapters, is the same in every epoch; ``upper`` is what is trained.
    """

    def __init__(
        self,
        transformer: Any,  # noqa: ANN401
        prototypes: torch.Tensor,
        scale: float,
        frozen: int = 0,
    ) -> None:
        """``prototypes`` (classes, d); ``scale``: cosines to logits; ``frozen``: lower layers."""
        super().__init__()
        self.transformer = transformer
        self.prototypes = nn.Parameter(prototypes.clone())
        self.start, self.scale, self.frozen = prototypes, scale, frozen

    @property
    def base(self) -> Any:  # noqa: ANN401
        """The transformer without peft's wrapping."""
        inner = getattr(self.transformer, "get_base_model", None)
        return inner() if inner else self.transformer

    def lower(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Hidden states (batch, tokens, d) that enter the first layer with adapters."""
        hidden: torch.Tensor = self.base.embeddings(input_ids=input_ids)
        return self._through(self.base.encoder.layer[: self.frozen], hidden, attention_mask)

    def upper(self, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes) from what ``lower`` gives."""
        layers = self.base.encoder.layer[self.frozen :]
        through = self._through(layers, hidden, attention_mask)
        return self.head(mean_pool(through, attention_mask))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits of shape (batch, classes), each in [-scale, scale]."""
        return self.head(self.vectors(input_ids, attention_mask))

    @staticmethod
    def _through(
        layers: Any,  # noqa: ANN401
        hidden: torch.Tensor,
        attention_mask: torch.Tensor,
    ) -> torch.Tensor:
        visible = attention_mask[:, None, None, :].to(hidden.dtype)
        mask = (1.0 - visible) * torch.finfo(hidden.dtype).min
        for layer in layers:
            hidden = layer(hidden, mask)
        return hidden

    def vectors(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Sentence vectors (batch, d) of unit length."""
        hidden = self.transformer(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state
        return mean_pool(hidden, attention_mask)

    def head(self, vectors: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes) of sentence vectors, each in [-scale, scale]."""
        classes = nn.functional.normalize(self.prototypes, dim=-1)
        logits: torch.Tensor = self.scale * vectors @ classes.T
        return logits


def centroids(vectors: NDArray[np.float32], y: NDArray[np.int64], n_classes: int) -> torch.Tensor:
    """Mean vector of each class, of unit length (n_classes, d); zeros where a class has no row.

    Each row counts alike, whatever its weight: see reports/LOG.md, 2026-11-28.
    """
    sums = np.stack([vectors[y == label].sum(axis=0) for label in range(n_classes)])
    return nn.functional.normalize(torch.from_numpy(sums.astype(np.float32)), dim=-1)
