"""One network out of one training or of several: their weights averaged.

Trainings that begin at the same weights end near one another: the mean of what they have learnt is
better than each of them, and costs one forward pass (model soups: Wortsman et al. 2022). What
differs between them is chance: the adapters' random half, dropout, the order of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from roadworthy.models.architecture import Labelled
from roadworthy.models.encoder import device
from roadworthy.models.lora import fresh_network
from roadworthy.models.network import IntentNetwork
from roadworthy.settings import Encoder, Finetune
from roadworthy.tokens import Tokens
from roadworthy.training import Progress, Trained, fit

APART = 1000
"""Between the seeds of two trainings of one soup; the first one's is the soup's own."""


def train(
    rows: Labelled,
    held: Labelled | None,
    start: torch.Tensor,
    encoder: Encoder,
    settings: Finetune,
    seed: int,
    folder: Path | None = None,
) -> tuple[Trained, Any]:
    """Tune ``settings.networks`` networks and average them; what is left behind, and the tokenizer.

    Args:
        rows: to learn from.
        held: rows by which each network's best epoch is chosen; None: its last one.
        start: class vectors to begin with, shape (classes, d).
        encoder: the encoder, threads and device.
        settings: the recipe.
        seed: of adapters, dropout and the order of rows.
        folder: as for ``fit``; each of several networks has a folder in it.

    """
    progress, made = Progress(settings.networks), []
    for number in range(settings.networks):
        where = folder / str(number) if folder and settings.networks > 1 else folder
        own = seed + APART * number
        network, tokenizer = fresh_network(encoder, settings.lora, start, settings.scale, own)
        size, length = settings.batch_size, encoder.max_length
        tokens = Tokens(tokenizer, network, rows, held, length, size, own)
        one = fit(network, tokens, settings, device(encoder).type, own, where, progress)
        made.append(replace(one, curve=one.curve.assign(network=number)))
    if len(made) == 1:
        return made[0], tokenizer
    network = _mean([one.network for one in made], encoder, settings)
    parameters = [(p.numel(), p.requires_grad) for p in network.parameters()]
    return Trained(
        network=network,
        curve=pd.concat([one.curve for one in made], ignore_index=True),
        best_epochs=[epoch for one in made for epoch in one.best_epochs],
        steps=sum(one.steps for one in made),
        examples=sum(one.examples for one in made),
        tokens=sum(one.tokens for one in made),
        trainable=sum(count for count, trained in parameters if trained),
        total=sum(count for count, _ in parameters),
    ), tokenizer


def _mean(networks: Sequence[IntentNetwork], encoder: Encoder, settings: Finetune) -> IntentNetwork:
    """A network whose weights are the mean of theirs.

    The mean of products of rank r is a product of as many times the rank: adapters are put side by
    side, not averaged, which would mix one's A with another's B.
    """
    number, lora = len(networks), settings.lora
    wide = replace(lora, r=number * lora.r, alpha=number * lora.alpha)
    out, _ = fresh_network(encoder, wide, networks[0].start, settings.scale, seed=0)
    parts: list[dict[str, torch.Tensor]] = [dict(one.named_parameters()) for one in networks]
    with torch.no_grad():
        for name, weights in out.named_parameters():
            theirs = [part[name] for part in parts]
            if "lora_A" in name:
                weights.copy_(torch.cat(theirs, dim=0))
            elif "lora_B" in name:
                weights.copy_(torch.cat(theirs, dim=1) / number)
            elif weights.requires_grad:
                weights.copy_(torch.stack(theirs).mean(dim=0))
    return out
