"""How well are wrong labels found? Noise of four kinds put into a clean data set, and measured.

`python -m roadworthy noise_benchmark data=banking77` (after `make data`). Each cell (kind, rate,
draw) is a folder under scratch/noise_benchmark/, so a run that is stopped goes on where it was, and
the same command started twice shares the work. The tables go to
reports/tables/noise_benchmark.md and, what looks add, noise_looks.md, the cells beside them. The
given labels are taken for right, which they are not quite: natural errors count as false alarms,
for every score alike.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from roadworthy import admission, drafts, duplicates
from roadworthy.commit import commit
from roadworthy.config import compose, parse, root
from roadworthy.corruption import KINDS, corrupt
from roadworthy.data import id_hash, locate, sha256
from roadworthy.errors import UserError
from roadworthy.models.encoder import SentenceEncoder
from roadworthy.noise import out_of_fold
from roadworthy.noise_cell import LOOKS, Material, measure
from roadworthy.noise_table import looks_table, table
from roadworthy.settings import Settings
from roadworthy.views import Views, joint

CELL = "cell.json"
NATURAL = "natural"
"""Cells without injected noise: what cleaning costs where nothing was put in."""


def _material(settings: Settings, folder: Path) -> Material:
    """The clean data set, its sentence vectors computed once."""
    messages, _, _ = admission.admit(settings.data, settings.audit)
    messages = messages[messages["in_scope"]].reset_index(drop=True)
    test = (messages["split"] == "test").to_numpy()
    if not test.any():
        raise UserError(
            f"data set '{settings.data.name}' brings no test rows: choose one that does, "
            f"e.g. data=banking77"
        )
    saved = folder / "embeddings.npy"
    with drafts.locked(saved.with_suffix(".lock"), wait=True):  # two runs may share the work
        if not saved.exists():
            draft = saved.with_suffix(".draft.npy")
            np.save(draft, SentenceEncoder(settings.encoder)(messages["text"].tolist()))
            draft.replace(saved)
    vectors = np.load(saved, allow_pickle=False)
    y, labels = pd.factorize(messages["label"], sort=True)
    rule = (settings.audit.jaccard, settings.audit.shingle, settings.audit.permutations)
    train, texts = ~test, messages.loc[~test, "text"].tolist()
    clusters = duplicates.find(messages.loc[train, "text"], *rule).rows["cluster"].to_numpy()
    both = joint(vectors[train], texts, np.ones(len(texts), dtype=bool), settings.seed)
    views = Views(vectors[train], both, clusters, len(labels))
    fair = out_of_fold(
        views.vectors, y[train], clusters, len(labels), settings.clean, settings.seed
    )
    return Material(views, texts, y[train], vectors[test], y[test], fair)


def folder_of(settings: Settings) -> Path:
    """Where the cells of these settings lie: others are another experiment, never mixed."""
    hashes = [sha256(locate(file, settings.data)) for file in settings.data.files]
    audit = settings.audit
    rule = (audit.jaccard, audit.shingle, audit.permutations, audit.max_breaches)
    parts = (settings.data, settings.clean, settings.encoder, rule, settings.seed)
    key = id_hash([*map(repr, parts), *hashes])[:8]
    return root() / "scratch" / "noise_benchmark" / f"{settings.data.name}-{key}"


def run(overrides: list[str], rates: list[float], draws: int, tuned_rates: list[float]) -> str:
    """Measure every cell that is not there yet, and write the table.

    Raises:
        UserError: a rate that is no share, or a fine-tuned detector without folds.
    """
    for option, given in (("--rates", rates), ("--tuned", tuned_rates)):
        for rate in given:
            if not 0.001 <= rate < 1:
                raise UserError(f"{option} {rate:g}: a share of wrong labels lies in [0.001, 1)")
    settings = parse(compose(overrides))
    if settings.clean.tuned.folds < 2 and set(rates) & set(tuned_rates):
        raise UserError("clean.tuned.folds: the fine-tuned detector needs two, or give --tuned")
    folder = folder_of(settings)
    folder.mkdir(parents=True, exist_ok=True)
    material, at = _material(settings, folder), commit()
    cells = [(kind, rate, draw) for draw in range(draws) for rate in rates for kind in KINDS]
    cells += [(NATURAL, 0.0, draw) for draw in range(draws)]

    def do(cell: tuple[str, float, int], wait: bool) -> None:
        kind, rate, draw = cell
        with_tuned = rate in tuned_rates
        result = {"kind": kind, "rate": rate, "draw": draw, "commit": at, "tuned": with_tuned}
        with drafts.once(folder / _name(result), wait) as draft:
            if draft is None:
                return
            noisy = material.y
            if kind != NATURAL:
                noisy = corrupt(material.y, material.fair, kind, rate, draw)
            result |= measure(material, noisy, settings, settings.seed + draw, with_tuned)
            drafts.write_text(draft / CELL, json.dumps(result, indent=1))

    drafts.share(cells, do, "noise benchmark", "cell")
    found = [json.loads(path.read_text()) for path in drafts.finished(folder, CELL)]
    tables = root() / "reports" / "tables"
    record = tables / "noise_benchmark.json"
    every = _known(record, folder.name) | {_name(one): one for one in found}
    results = [every[name] for name in sorted(every)]
    target = tables / "noise_benchmark.md"
    pages = {target: table(results, settings, overrides)}
    pages |= {tables / "noise_looks.md": looks_table(results, settings, overrides)}
    drafts.write_text(
        record,
        json.dumps({"folder": folder.name, "looks": LOOKS, "cells": results}, indent=1) + "\n",
    )
    for path, page in pages.items():
        drafts.write_text(path, page)
    return f"{target.relative_to(root())} written from {len(results)} cells"


def _name(cell: dict[str, Any]) -> str:
    return f"{cell['kind']}-{cell['rate']:g}-{cell['draw']}{'-tuned' if cell['tuned'] else ''}"


def _known(record: Path, folder: str) -> dict[str, dict[str, Any]]:
    """Cells of earlier runs with the same settings, wherever these were: a run adds to them."""
    if not record.exists():
        return {}
    kept = json.loads(record.read_text())
    same = (kept["folder"], kept["looks"]) == (folder, LOOKS)
    return {_name(one): one for one in kept["cells"]} if same else {}
