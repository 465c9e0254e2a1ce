"""The benchmark's cells: one fine-tuned network each, on a published data set, with its baselines.

A cell is a folder of predictions frames under scratch/, so a run that is stopped goes on where it
was, and a cell that was killed at its last checkpoint. Nothing is judged here. Training rows are
taken as labelled: nothing is cleaned.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from roadworthy import drafts, familiarity, soup
from roadworthy.audit import split_rows
from roadworthy.baseline import fit_all
from roadworthy.benchmark_record import code, environment
from roadworthy.commit import commit
from roadworthy.config import compose, parse, root
from roadworthy.data import id_hash, locate, sha256
from roadworthy.errors import UserError
from roadworthy.finetune import counts, key
from roadworthy.models import lora, pooled
from roadworthy.models.architecture import (
    Labelled,
    labelled,
    load_arrays,
    numbers,
    opinion,
    predictions_frame,
    save_arrays,
    softmax,
)
from roadworthy.models.encoder import Lookup, SentenceEncoder
from roadworthy.models.network import centroids
from roadworthy.settings import Finetune, Settings
from roadworthy.training import Trained

log = logging.getLogger("roadworthy")
SCRATCH = "scratch/benchmark"
FORMAT = "2"
"""Of what a cell holds: cells of an earlier one are not found."""
FULL = 0
"""Shots of a cell that learns from all training rows."""
FEW = ("probe", "tfidf")
"""Baselines that cells with few labels are held against."""


@dataclass(frozen=True)
class Material:
    """One data set, ready to learn from."""

    settings: Settings
    folder: Path
    """Of the cells: other data or another recipe is another folder, never mixed."""
    messages: pd.DataFrame
    """As the audit annotates them, the frozen split included."""
    split: dict[str, Any]
    """What the audit would write as split.json."""
    embed: Lookup
    commit: str
    """What the code that runs was read from."""

    def rows(self, split: str, shots: int = FULL, seed: int = 0) -> Labelled:
        """Rows in scope of a split; with ``shots`` at most that many of each class."""
        messages = self.messages
        chosen = messages[(messages["split"] == split) & messages["in_scope"]]
        if shots:
            chosen = chosen.sample(frac=1, random_state=seed).groupby("label").head(shots)
        return labelled(chosen, self.split["labels"])

    @property
    def judged(self) -> pd.DataFrame:
        """Validation and test rows, out of scope included."""
        return self.messages[self.messages["split"] != "train"]


def settings_of(data: str, overrides: Iterable[str]) -> Settings:
    """What is trained: the recipe for thousands of rows, with the command's overrides."""
    return parse(compose([f"data={data}", "finetune=long", *overrides]))


def material(data: str, overrides: Iterable[str]) -> Material:
    """Read, split and embed a data set as the audit does it.

    Raises:
        UserError: an architecture of ``FEW`` is not among those of the settings.
    """
    settings = settings_of(data, overrides)
    if missing := set(FEW) - set(settings.baseline.architectures):
        raise UserError(
            f"benchmark: baseline.architectures lacks {', '.join(sorted(missing))}, which the "
            f"fine-tuned model is compared with: add it"
        )
    messages, frozen = split_rows(settings.data, settings.audit)
    split = frozen.record(messages, settings.data.slices)
    hashes = [sha256(locate(file, settings.data)) for file in settings.data.files]
    what = [repr((settings.data, settings.encoder)), *hashes]
    audit = settings.audit
    rule = (audit.jaccard, audit.shingle, audit.permutations)
    how = [repr((settings.baseline, settings.finetune, rule)), FORMAT]
    vectors = _vectors(messages, settings, id_hash(what)[:8])
    embed = Lookup(messages["text"].tolist(), vectors, settings.encoder)
    folder = root() / SCRATCH / f"{data}-{id_hash(what + how)[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    return Material(settings, folder, messages, split, embed, commit())


def _vectors(messages: pd.DataFrame, settings: Settings, key: str) -> NDArray[np.float32]:
    """The frozen encoder's vectors, computed once."""
    saved = root() / SCRATCH / f"embeddings-{key}.safetensors"
    with drafts.locked(saved.with_suffix(".lock"), wait=True):  # two runs may share the work
        if not saved.exists():
            draft, embed = saved.with_suffix(".draft"), SentenceEncoder(settings.encoder)
            save_arrays(draft, messages=embed(messages["text"].tolist()))
            draft.replace(saved)
    return load_arrays(saved)["messages"].astype(np.float32)


def train(
    source: Material,
    cfg: Finetune,
    rows: Labelled,
    held: Labelled | None,
    seed: int,
    name: str,
    start: torch.Tensor | None = None,
) -> tuple[Trained, Any]:
    """A network tuned on ``rows``, adapters merged, and its tokenizer.

    The best epoch on ``held``, the last without. A training that was killed goes on from its
    checkpoint below ``scratch/checkpoints/NAME``, which the caller removes when all is kept. Class
    vectors begin at ``start``, or the centroids.
    """
    encoder = source.settings.encoder
    if start is None:
        start = centroids(source.embed(rows.texts), rows.y, rows.n_classes)
    judged = held or Labelled([], np.empty(0, np.int64), rows.n_classes)
    with drafts.checkpoints(name, key(rows, judged, cfg, encoder, seed)) as folder:
        trained, tokenizer = soup.train(rows, held, start, encoder, cfg, seed, folder)
    lora.merge(trained.network)
    return trained, tokenizer


def tune(source: Material, shots: int, seed: int) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Train one network; its ``predictions, familiarity, curve`` as frames, and what it took.

    With few labels there are no validation rows either: all epochs are run.
    """
    encoder, labels, judged = source.settings.encoder, source.split["labels"], source.judged
    rows = source.rows("train", shots, seed)
    held = None if shots else source.rows("validation")
    name = _checkpoints(source, shots, seed)
    trained, tokenizer = train(source, source.settings.finetune, rows, held, seed, name)
    strange = source.messages.query("split == 'train' and not in_scope")
    known, found, strangers = (
        lora.predict_vectors(
            trained.network, tokenizer, texts, encoder.max_length, encoder.batch_size
        )
        for texts in (rows.texts, judged["text"].tolist(), strange["text"].tolist())
    )
    logits = lora.head(trained.network, found)
    frames = {
        "predictions": predictions_frame(judged, labels, softmax(logits)),
        "familiarity": familiarity.frame(judged["id"], logits, found, known, strangers),
        "curve": trained.curve,
    }
    return frames, counts(trained) | {"rows": len(rows.texts), "commit": source.commit}


def _checkpoints(source: Material, shots: int, seed: int) -> str:
    """The name under which a training's checkpoints lie."""
    return f"benchmark-{source.settings.data.name}-{shots}-{seed}"


def baselines(source: Material, shots: int, seed: int) -> dict[str, pd.DataFrame]:
    """Predictions frames of the architectures of conf/baseline, or of ``FEW`` with few labels."""
    settings = source.settings
    own = replace(settings.baseline, architectures=list(FEW)) if shots else settings.baseline
    train, labels = source.rows("train", shots, seed), source.split["labels"]
    fitted = fit_all(train, source.judged, labels, own, source.embed, seed)
    return {name: frame for name, _, frame in fitted}


def make(source: Material, shots: int, seed: int, wait: bool) -> None:
    """Train a cell and its baselines, unless it is there or another process does, see ``once``."""
    with drafts.once(source.folder / f"{shots or 'full'}-{seed}", wait) as draft:
        if draft is None:
            return
        frames = baselines(source, shots, seed)
        own, facts = tune(source, shots, seed)
        for name, frame in (frames | own).items():
            frame.to_parquet(draft / f"{name}.parquet")
        facts |= {"code": code(), "environment": environment(source.settings.encoder)}
        (draft / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    drafts.forget(_checkpoints(source, shots, seed))


def check(source: Material) -> None:
    """Name cells that other code has made: whether a change matters is for people to say."""
    now = code()
    for cell in finished(source).values():
        if json.loads((cell / "facts.json").read_text(encoding="utf-8"))["code"] != now:
            log.warning("%s was made by other code: delete it to make it again", cell)


def finished(source: Material) -> dict[tuple[int, int], Path]:
    """The cells that are there, by shots and seed, whichever run made them."""
    cells = {}
    for facts in drafts.finished(source.folder, "facts.json"):
        shots, _, seed = facts.parent.name.partition("-")
        cells[FULL if shots == "full" else int(shots), int(seed)] = facts.parent
    return cells


def served(cell: Path) -> pd.DataFrame:
    """Predictions of a cell's network and of its baseline TF-IDF, pooled as ``pooled`` does it.

    With few labels there are no validation rows to fit the weight on: the network answers alone.
    """
    own = pd.read_parquet(cell / "predictions.parquet")
    if not cell.name.startswith("full"):
        return own
    columns = [name for name in own if str(name).startswith("p_")]
    labels = [str(name).removeprefix("p_") for name in columns]
    beside = pd.read_parquet(cell / "tfidf.parquet")
    network, tfidf = (opinion(frame[columns].to_numpy(np.float64)) for frame in (own, beside))
    held = ((own["split"] == "validation") & own["label"].isin(labels)).to_numpy()
    truth = numbers(own.loc[held, "label"], labels)
    weight = pooled.fit_weight(network[held], tfidf[held], truth)
    return predictions_frame(own, labels, softmax(network + weight * tfidf))
