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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from roadworthy import admission, drafts, duplicates, tuned
from roadworthy.clean import ARMS, treat
from roadworthy.commit import commit
from roadworthy.config import compose, parse, root
from roadworthy.corruption import KINDS, corrupt
from roadworthy.data import id_hash, locate, sha256
from roadworthy.detectors import STOCK, Found, detect, stock
from roadworthy.doubt import given, margin
from roadworthy.errors import UserError
from roadworthy.looks import sample
from roadworthy.models.encoder import SentenceEncoder
from roadworthy.models.probe import fit_probe
from roadworthy.noise import Flags, Floats, Integers, out_of_fold
from roadworthy.noise_table import looks_table, table
from roadworthy.settings import Settings
from roadworthy.views import Views, joint

BUDGET = 0.1
"""Share of the rows that people look at, for recall at a review budget."""
CELL = "cell.json"
LOOKS = 100
"""Rows that a person looks at, spread evenly over the ranking, for recovery with looks."""
NATURAL = "natural"
"""Cells without injected noise: what cleaning costs where nothing was put in."""


@dataclass(frozen=True)
class Material:
    """A clean data set: views and right labels of the training rows, and the test rows."""

    views: Views
    texts: list[str]
    y: Integers
    test: NDArray[np.floating]
    """Vectors of the test rows, which nothing is chosen on."""
    y_test: Integers
    fair: Floats
    """Out-of-fold probabilities of a probe that learnt the right labels."""


def _accuracy(material: Material, labels: Integers, weights: Floats, C: float) -> float:
    keep = weights > 0
    X = material.views.vectors[keep]
    probe = fit_probe(X, labels[keep], material.views.n_classes, C, weights[keep])
    return float((probe.predict(material.test) == material.y_test).mean())


def _ranking(wrong: Flags, score: Floats) -> dict[str, float]:
    """Average precision, precision at the true number of errors, recall at the review budget."""
    order = np.argsort(score, kind="stable")
    return {
        "average_precision": float(average_precision_score(wrong, 1 - score)),
        "precision_at_errors": float(wrong[order[: int(wrong.sum())]].mean()),
        "recall_at_budget": float(wrong[order[: round(BUDGET * len(order))]].sum() / wrong.sum()),
    }


def _hits(wrong: Flags, flag: Flags) -> dict[str, float | None]:
    return {
        "flagged": int(flag.sum()),
        "precision": float(wrong[flag].mean()) if flag.any() else None,
        "recall": float(flag[wrong].mean()) if wrong.any() else None,
    }


def measure(
    material: Material, noisy: Integers, settings: Settings, seed: int, with_tuned: bool
) -> dict[str, Any]:
    """Score every detector on one corrupted training set, and what acting on it recovers.

    Args:
        material: the clean data set.
        noisy: given labels of the training rows.
        settings: of the detectors and the encoder.
        seed: of folds and injected errors.
        with_tuned: whether the fine-tuned network is one of the detectors.

    """
    views, clean = material.views, settings.clean
    expert = partial(
        tuned.out_of_fold,
        material.texts,
        views.vectors,
        noisy,
        views.groups,
        settings=clean.tuned,
        encoder=settings.encoder,
        seed=seed,
    )
    found = detect(views, noisy, clean, seed, None, expert if with_tuned else None)
    plain, confident = stock(views, noisy, clean, seed)
    every, wrong = np.ones(len(noisy)), noisy != material.y
    issues = found.issues(noisy)
    accuracy = {"clean": _accuracy(material, material.y, every, clean.C)}
    for arm in ARMS:
        accuracy[arm] = _accuracy(material, *treat(noisy, issues, arm), clean.C)
    accuracy["oracle"] = _accuracy(material, noisy, np.where(wrong, 0.0, 1.0), clean.C)
    cell = {
        "errors": int(wrong.sum()),
        "base_rate": float(wrong.mean()),
        "tuned": with_tuned,
        "chosen": found.chosen,
        "flags": _hits(wrong, found.flag),
        "confident_learning": _hits(wrong, confident),
        "accuracy": accuracy,
    }
    cell |= _looked(material, noisy, found, clean.C)
    return cell | (_ranked(material, noisy, found, plain, confident) if wrong.any() else {})


def _looked(material: Material, noisy: Integers, found: Found, C: float) -> dict[str, Any]:
    """The arms once more after a person has looked at a few rows and corrected these."""
    wrong, score = noisy != material.y, found.scores[found.chosen]
    looked = np.zeros(len(noisy), dtype=bool)
    looked[sample(score, LOOKS)] = True
    told, corrected = found.learnt(score, looked, wrong), np.where(looked, material.y, noisy)
    issues = told.issues(corrected)
    accuracy = {arm: _accuracy(material, *treat(corrected, issues, arm), C) for arm in ARMS}
    hits = _hits(wrong & ~looked, told.flag)
    return {"looked": {"rows": LOOKS, "flags": hits, "accuracy": accuracy}}


def _ranked(
    material: Material, noisy: Integers, found: Found, plain: dict[str, Floats], confident: Flags
) -> dict[str, Any]:
    wrong = noisy != material.y
    ranking = {name: _ranking(wrong, score) for name, score in (plain | found.scores).items()}
    order = np.argsort(found.scores[found.chosen], kind="stable")
    same = wrong[order[: int(confident.sum())]]
    # What the stock scores would reach, had their probe learnt the right labels.
    ceiling = max(
        _ranking(wrong, f(material.fair, noisy))["average_precision"] for f in (given, margin)
    )
    return {
        "ranking": ranking,
        "best_stock": max(STOCK, key=lambda name: ranking[name]["average_precision"]),
        "chosen_precision_at_stock_flags": float(same.mean()) if len(same) else None,
        "ceiling": ceiling,
    }


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
    """Measure every cell that is not there yet, and write the table."""
    settings = parse(compose(overrides))
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
    drafts.write_text(
        record, json.dumps({"folder": folder.name, "cells": results}, indent=1) + "\n"
    )
    target = tables / "noise_benchmark.md"
    drafts.write_text(target, table(results, settings, overrides))
    drafts.write_text(tables / "noise_looks.md", looks_table(results, settings, overrides))
    return f"{target.relative_to(root())} written from {len(results)} cells"


def _name(cell: dict[str, Any]) -> str:
    return f"{cell['kind']}-{cell['rate']:g}-{cell['draw']}{'-tuned' if cell['tuned'] else ''}"


def _known(record: Path, folder: str) -> dict[str, dict[str, Any]]:
    """Cells of earlier runs with the same settings, wherever these were: a run adds to them."""
    if not record.exists():
        return {}
    kept = json.loads(record.read_text())
    return {_name(one): one for one in kept["cells"]} if kept["folder"] == folder else {}
