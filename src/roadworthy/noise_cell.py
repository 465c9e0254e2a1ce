"""One cell of the noise benchmark: what is found among labels corrupted once, and won back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from roadworthy import tuned
from roadworthy.clean import ARMS, treat
from roadworthy.detectors import STOCK, Found, detect, stock
from roadworthy.doubt import given, margin
from roadworthy.looks import Looks, sample
from roadworthy.models.probe import fit_probe
from roadworthy.noise import Flags, Floats, Integers
from roadworthy.settings import Settings
from roadworthy.views import Views

BUDGET = 0.1
"""Share of the rows that people look at, for recall at a review budget."""
LOOKS = 100
"""Rows that a person looks at, spread evenly over the ranking, for recovery with looks."""


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

    def find(labels: Integers, looks: Looks | None = None) -> Found:
        expert = partial(
            tuned.out_of_fold,
            material.texts,
            views.vectors,
            labels,
            views.groups,
            settings=clean.tuned,
            encoder=settings.encoder,
            seed=seed,
        )
        return detect(views, labels, clean, seed, looks, expert if with_tuned else None)

    found = find(noisy)
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
    if wrong.any():
        cell |= _ranked(material, noisy, found, plain, confident)
        cell["looked"] = _looked(material, noisy, found, find, clean.C)
    return cell


def _looked(
    material: Material,
    noisy: Integers,
    found: Found,
    find: Callable[[Integers, Looks], Found],
    C: float,
) -> dict[str, Any]:
    """All once more after a person has looked at a few rows, as the pipeline's next run does it.

    Hits are counted on the other rows, before and after. ``worst``: the accuracy if as many looks
    go to the worst rows instead, and nothing but their labels is corrected.
    """
    score, wrong = found.scores[found.chosen], noisy != material.y
    looked, worst = np.zeros((2, len(noisy)), dtype=bool)
    looked[sample(score, LOOKS)] = True
    worst[np.argsort(score, kind="stable")[:LOOKS]] = True
    decided = np.where(looked, material.y, noisy)
    told, rest = find(decided, Looks(looked, noisy, decided)), ~looked
    issues, every = told.issues(decided), np.ones(len(noisy))
    accuracy = {arm: _accuracy(material, *treat(decided, issues, arm), C) for arm in ARMS}
    accuracy["worst"] = _accuracy(material, np.where(worst, material.y, noisy), every, C)
    return {
        "rows": int(looked.sum()),
        "of": len(noisy),
        "counted": told.counted,
        "before": _hits(wrong[rest], found.flag[rest]),
        "flags": _hits(wrong[rest], told.flag[rest]),
        "accuracy": accuracy,
    }


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
