"""The frozen sentence encoder.

All-MiniLM-L6-v2, carried by an installed package, or another from a folder; pinned by SHA-256.

Mean pooling over tokens, then unit length (Reimers and Gurevych 2019, Sentence-BERT).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from roadworthy.config import root
from roadworthy.data import sha256
from roadworthy.errors import UserError
from roadworthy.settings import Encoder


def _carrier(package: str) -> Path:
    """The folder of an installed package, or one of the project that is named by its path."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # a dotted name without its parent, or no name
        spec = None
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent
    own = (root() / package).resolve()
    if own.is_dir() and own != root().resolve() and own.is_relative_to(root().resolve()):
        return own
    raise UserError(
        f"encoder.package = '{package}' is neither an installed package (the default one comes "
        f"with `make install`) nor a folder of this project. For another encoder, put its folder "
        f"here, say encoders/NAME with config.json, tokenizer.json and model.safetensors; then set "
        f"encoder.package to that path, encoder.folder to '.', and encoder.sha256 to what "
        f"`sha256sum` says of model.safetensors"
    )


def model_folder(settings: Encoder) -> Path:
    """Where the weights are, once their hash is checked.

    Raises:
        UserError: there is no such package or folder, or the weights are not the pinned ones.

    """
    folder = _carrier(settings.package) / settings.folder
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"'{settings.package}' has no {settings.folder}/model.safetensors")
    if (found := sha256(weights)) != settings.sha256:
        raise UserError(
            f"the weights of '{settings.package}' are not the pinned ones: SHA-256 {found[:12]}…, "
            f"encoder.sha256 is {settings.sha256[:12]}…. Reinstall it or pin what you mean."
        )
    return folder


def encoder_bytes(settings: Encoder) -> int:
    """Size of the encoder's weights on disk."""
    return (model_folder(settings) / "model.safetensors").stat().st_size


def device(settings: Encoder) -> torch.device:
    """The GPU when there is one and the settings allow it, else the CPU."""
    if settings.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("encoder.accelerator = 'gpu', but torch sees no GPU: set it to auto or cpu")
    return torch.device(
        "cuda" if settings.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
    )


def load_transformer(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and transformer from a local folder, safetensors only, nothing fetched."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = transformers.AutoModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True
    )
    return tokenizer, model


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over tokens of (batch, tokens, d), padding left out, scaled to unit length.

    (batch, d).
    """
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
    return torch.nn.functional.normalize(pooled, dim=-1)


def by_length(lengths: Sequence[int], size: int) -> list[NDArray[np.int64]]:
    """Indices in batches of similar length, so that little is spent on padding."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


class SentenceEncoder:
    """Texts to unit-length vectors; loads the weights on construction."""

    def __init__(self, settings: Encoder) -> None:
        """Load the pinned weights and set torch's thread count to ``settings.threads``."""
        self.settings, self.device = settings, device(settings)
        torch.set_num_threads(settings.threads)
        self.tokenizer, model = load_transformer(model_folder(settings))
        self.model = model.to(self.device).eval()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (n, d), d = 384 for MiniLM; a progress bar beyond a few batches."""
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.settings.max_length)[
            "input_ids"
        ]
        batches = by_length([len(ids) for ids in tokens], self.settings.batch_size)
        vectors = np.zeros((len(texts), self.model.config.hidden_size), dtype=np.float32)
        with torch.inference_mode():
            for batch in tqdm(batches, desc="embed", unit="batch"):
                padded = self.tokenizer.pad(
                    {"input_ids": [tokens[i] for i in batch]}, return_tensors="pt"
                )
                padded = padded.to(self.device)
                pooled = mean_pool(self.model(**padded).last_hidden_state, padded["attention_mask"])
                vectors[batch] = pooled.float().cpu().numpy()
        return vectors


class Lookup:
    """Vectors computed once, found again by text.

    So that no stage embeds the same message twice.
    """

    def __init__(
        self, texts: Sequence[str], vectors: NDArray[np.float32], settings: Encoder | None = None
    ) -> None:
        """``vectors`` has one row per text; ``settings``: the encoder of texts not among them."""
        self.vectors, self.row = vectors, {text: number for number, text in enumerate(texts)}
        self.settings = settings

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (n, d); an unknown text without ``settings`` is a programming error."""
        unknown = [text for text in dict.fromkeys(texts) if text not in self.row]
        if unknown and self.settings:  # the encoder is loaded only where there is need
            self.row |= {text: n for n, text in enumerate(unknown, start=len(self.vectors))}
            self.vectors = np.vstack([self.vectors, SentenceEncoder(self.settings)(unknown)])
        return self.vectors[[self.row[text] for text in texts]]
