"""The benchmark's cells: one training each, on a published data set, with its baselines.

A cell is a folder of predictions frames under scratch/, so a run that is stopped goes on where it
was, and a cell that was killed at its last checkpoint. Nothing is judged here. Training rows are
taken as labelled: nothing is cleaned.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import drafts, familiarity
from roadworthy.audit import split_rows
from roadworthy.baseline import fit_all
from roadworthy.config import compose, parse, root
from roadworthy.data import id_hash, locate, sha256
from roadworthy.finetune import counts, key
from roadworthy.models import lora
from roadworthy.models.architecture import (
    Labelled,
    labelled,
    load_arrays,
    predictions_frame,
    save_arrays,
    softmax,
)
from roadworthy.models.encoder import Lookup, SentenceEncoder, device
from roadworthy.models.network import centroids
from roadworthy.settings import Settings
from roadworthy.tokens import Tokens
from roadworthy.training import fit

SCRATCH = "scratch/benchmark"
FULL = 0
"""Shots of a cell that learns from all training rows."""
FEW = ("probe", "tfidf")
"""Baselines that few-label cells are held against."""


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


def material(data: str, overrides: Iterable[str]) -> Material:
    """Read, split and embed a data set as the audit does it."""
    settings = parse(compose([f"data={data}", "finetune=long", *overrides]))
    messages, frozen = split_rows(settings.data, settings.audit)
    split = frozen.record(messages, settings.data.slices)
    hashes = [sha256(locate(file, settings.data)) for file in settings.data.files]
    what = [repr((settings.data, settings.encoder)), *hashes]
    audit = settings.audit
    rule = (audit.jaccard, audit.shingle, audit.permutations)
    how = [repr((settings.baseline, settings.finetune, rule))]
    embed = Lookup(messages["text"].tolist(), _vectors(messages, settings, id_hash(what)[:8]))
    folder = root() / SCRATCH / f"{data}-{id_hash(what + how)[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    return Material(settings, folder, messages, split, embed)


def _vectors(messages: pd.DataFrame, settings: Settings, key: str) -> NDArray[np.float32]:
    """The frozen encoder's vectors, computed once."""
    saved = root() / SCRATCH / f"embeddings-{key}.safetensors"
    if not saved.exists():
        saved.parent.mkdir(parents=True, exist_ok=True)
        draft = saved.with_suffix(".draft")
        save_arrays(draft, messages=SentenceEncoder(settings.encoder)(messages["text"].tolist()))
        draft.replace(saved)
    return load_arrays(saved)["messages"].astype(np.float32)


def tune(source: Material, shots: int, seed: int) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Train one network; its ``predictions, familiarity, curve`` as frames, and what it took.

    With few labels there are no validation rows either: all epochs are run.
    """
    settings, cfg = source.settings, source.settings.finetune
    labels, judged = source.split["labels"], source.judged
    train = source.rows("train", shots, seed)
    validation = None if shots else source.rows("validation")
    start = centroids(source.embed(train.texts), train.y, train.n_classes)
    network, tokenizer = lora.fresh_network(settings.encoder, cfg.lora, start, cfg.scale, seed)
    length, size = settings.encoder.max_length, settings.encoder.batch_size
    tokens = Tokens(tokenizer, network, train, validation, length, cfg.batch_size, seed)
    held = validation or Labelled([], np.empty(0, np.int64), train.n_classes)
    place = f"benchmark-{settings.data.name}-{shots}-{seed}"
    with drafts.checkpoints(place, key(train, held, cfg, settings.encoder, seed)) as folder:
        trained = fit(network, tokens, cfg, device(settings.encoder).type, seed, folder)
    known = lora.predict_vectors(trained.network, tokenizer, train.texts, length, size)
    found = lora.predict_vectors(trained.network, tokenizer, judged["text"].tolist(), length, size)
    logits = lora.head(trained.network, found)
    frames = {
        "predictions": predictions_frame(judged, labels, softmax(logits)),
        "familiarity": familiarity.frame(judged["id"], logits, found, known),
        "curve": trained.curve,
    }
    return frames, counts(trained) | {"rows": len(train.texts), "commit": commit()}


def baselines(source: Material, shots: int, seed: int) -> dict[str, pd.DataFrame]:
    """Predictions frames of the architectures of conf/baseline, or of ``FEW`` with few labels."""
    settings = source.settings
    own = replace(settings.baseline, architectures=list(FEW)) if shots else settings.baseline
    train, labels = source.rows("train", shots, seed), source.split["labels"]
    fitted = fit_all(train, source.judged, labels, own, source.embed, seed)
    return {name: frame for name, _, frame in fitted}


def commit() -> str:
    """The commit that runs, with a + where the working tree differs from it."""
    git = partial(subprocess.run, cwd=root(), capture_output=True, text=True, check=False)
    head = git(["git", "rev-parse", "--short=10", "HEAD"]).stdout.strip()
    changed = git(["git", "status", "--porcelain", "--", "src", "conf"]).stdout.strip()
    return f"{head}+" if changed else head or "unknown"


def made(source: Material, shots: int, seed: int) -> Path:
    """Folder of a training and its baselines; made by renaming, so that it is there whole."""
    done = source.folder / f"{shots or 'full'}-{seed}"
    if done.exists():
        return done
    draft = done.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    frames, facts = tune(source, shots, seed)
    for name, frame in (baselines(source, shots, seed) | frames).items():
        frame.to_parquet(draft / f"{name}.parquet")
    (draft / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    draft.replace(done)
    place = f"benchmark-{source.settings.data.name}-{shots}-{seed}"
    shutil.rmtree(root() / "scratch" / "checkpoints" / place, ignore_errors=True)
    return done
