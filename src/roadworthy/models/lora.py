"""Low-rank adapters on a small transformer: a fresh network, its files on disk, inference.

LoRA: Hu et al. 2021, by peft.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from roadworthy import manifest
from roadworthy.errors import UserError
from roadworthy.models.architecture import load_arrays, save_arrays, softmax
from roadworthy.models.encoder import by_length, device, load_transformer, model_folder
from roadworthy.models.network import IntentNetwork
from roadworthy.settings import Encoder, Lora

ABOUT = "model.json"


def fresh_network(
    encoder: Encoder, lora: Lora, prototypes: torch.Tensor, scale: float, seed: int
) -> tuple[IntentNetwork, Any]:
    """An untrained network and its tokenizer: the pinned encoder, frozen, with adapters at zero.

    Args:
        encoder: which encoder, and torch's thread count.
        lora: rank, scale, dropout and the layers that get adapters.
        prototypes: class vectors to start from, shape (classes, d).
        scale: cosines to logits.
        seed: of the adapters' random half.
    """
    from peft import LoraConfig, get_peft_model

    torch.set_num_threads(encoder.threads)
    torch.manual_seed(seed)
    tokenizer, transformer = load_transformer(model_folder(encoder))
    targets, frozen = list(lora.target_modules), _frozen_layers(transformer, lora)
    # The pooler is never used here: an adapter on it would be counted and saved, but not trained.
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        exclude_modules=".*pooler.*",
        layers_to_transform=list(range(frozen, len(transformer.encoder.layer))),
        layers_pattern="layer",
    )
    with warnings.catch_warnings():  # peft asks transformers by a name that is going away
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        try:
            adapted = get_peft_model(transformer, config)
        except ValueError as error:
            raise UserError(f"config: finetune.lora.target_modules = {targets}: {error}") from error
    adapted.peft_config[
        "default"
    ].base_model_name_or_path = encoder.package  # not a path of this machine
    return IntentNetwork(adapted, prototypes, scale, frozen), tokenizer


def _frozen_layers(transformer: Any, lora: Lora) -> int:  # noqa: ANN401
    """Layers below the first one with adapters."""
    try:
        layers = len(transformer.encoder.layer)
    except AttributeError as error:
        raise UserError(
            f"the encoder is a {type(transformer).__name__}; fine-tuning needs one built like BERT "
            f"(embeddings, then encoder.layer)"
        ) from error
    if lora.layers > layers:
        raise UserError(
            f"config: finetune.lora.layers = {lora.layers}, but the encoder has {layers} layers"
        )
    return layers - lora.layers if lora.layers else 0


def save_adapter(network: IntentNetwork, folder: Path) -> None:
    """Adapter and class vectors alone: a few MB, without the frozen base."""
    network.transformer.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty card
    save_arrays(folder / "head.safetensors", prototypes=network.prototypes.detach().cpu().numpy())


def adapter_keys(folder: Path) -> list[str]:
    """Names of the tensors in an adapter's file."""
    return sorted(load_arrays(folder / "adapter_model.safetensors"))


def interpolate(network: IntentNetwork, share: float) -> None:
    """Go back some of the way to where training began, in place: 1 changes nothing, 0 is the start.

    Weights between the two know most of what was learnt and generalise better than either (WiSE-FT:
    Wortsman et al. 2022). Adapters shrink; class vectors keep their length.
    """
    if share == 1:
        return
    with torch.no_grad():
        for name, weights in network.transformer.named_parameters():
            if "lora_B" in name:  # the update is a product: half of it is enough
                weights *= share
        lengths = network.prototypes.norm(dim=-1, keepdim=True)
        start = lengths * torch.nn.functional.normalize(network.start, dim=-1).to(lengths.device)
        network.prototypes.lerp_(start, 1 - share)


def merge(network: IntentNetwork) -> None:
    """Add the adapters into the weights, in place: the same answers with less to compute."""
    network.transformer = network.transformer.merge_and_unload()


def save_merged(
    network: IntentNetwork,
    tokenizer: Any,  # noqa: ANN401
    labels: Sequence[str],
    max_length: int,
    folder: Path,
) -> None:
    """One self-contained model folder, adapters merged into the weights.

    Its manifest is model.json.

    Merging changes the network in place.
    """
    merge(network)
    network.transformer.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    save_arrays(folder / "head.safetensors", prototypes=network.prototypes.detach().cpu().numpy())
    content = {"labels": list(labels), "scale": network.scale, "max_length": max_length}
    files = {path.name for path in folder.iterdir()} - {ABOUT}
    manifest.write(folder / ABOUT, content, files)


class LoraClassifier:
    """The merged model as read from disk: texts in, class probabilities out."""

    def __init__(self, folder: Path, settings: Encoder) -> None:
        """Load a folder that ``save_merged`` wrote.

        Raises:
            UserError: a file is missing or not what was saved.

        """
        about = manifest.read(folder / ABOUT, manifest.anew("finetune"))
        torch.set_num_threads(settings.threads)
        self.labels: list[str] = about["labels"]
        self.max_length, self.batch_size = int(about["max_length"]), settings.batch_size
        self.device = device(settings)
        self.tokenizer, transformer = load_transformer(folder)
        prototypes = torch.from_numpy(load_arrays(folder / "head.safetensors")["prototypes"])
        self.network = (
            IntentNetwork(transformer, prototypes, float(about["scale"])).to(self.device).eval()
        )

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sentence vectors of the tuned encoder, shape (n, d), unit length."""
        return predict_vectors(
            self.network, self.tokenizer, texts, self.max_length, self.batch_size
        )

    def head(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (n, classes) of sentence vectors."""
        return head(self.network, vectors)

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits of shape (n, classes)."""
        return self.head(self.vectors(texts))

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities of shape (n, classes)."""
        return softmax(self.logits(texts))


def predict_vectors(
    network: IntentNetwork,
    tokenizer: Any,  # noqa: ANN401
    texts: Sequence[str],
    max_length: int,
    batch_size: int,
) -> NDArray[np.float32]:
    """Sentence vectors of shape (n, d), batched by length, in the order of ``texts``.

    ``head`` gives their logits.
    """
    out = np.zeros((len(texts), network.prototypes.shape[1]), dtype=np.float32)
    if not len(texts):
        return out
    tokens = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    network.eval()
    batches = by_length([len(ids) for ids in tokens], batch_size)
    quiet = len(batches) <= 4
    with torch.inference_mode():
        for batch in tqdm(batches, desc="predict", unit="batch", leave=False, disable=quiet):
            padded = tokenizer.pad({"input_ids": [tokens[i] for i in batch]}, return_tensors="pt")
            padded = padded.to(network.prototypes.device)
            found = network.vectors(padded["input_ids"], padded["attention_mask"])
            out[batch] = found.float().cpu().numpy()
    return out


def head(network: IntentNetwork, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (n, classes) of sentence vectors (n, d)."""
    with torch.inference_mode():
        tensor = torch.from_numpy(vectors).to(network.prototypes.device)
        logits: NDArray[np.float32] = network.head(tensor).float().cpu().numpy()
    return logits
