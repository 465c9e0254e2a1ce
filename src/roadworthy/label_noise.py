"""How well are wrong labels found? Noise of four kinds put into a clean data set, and measured.

`python -m roadworthy label_noise data=banking77` (after `make data`). Each cell (kind, rate, draw)
is a file under scratch/label_noise/, so a run that is stopped goes on where it was. The table goes
to reports/tables/label_noise.md. The given labels are taken for right, which they are not quite:
natural errors count as false alarms, for every score alike.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from tqdm import tqdm

from roadworthy import admission, duplicates
from roadworthy.config import compose, parse, root
from roadworthy.data import id_hash, locate, sha256
from roadworthy.detectors import STOCK, Views, detect, joint
from roadworthy.doubt import others
from roadworthy.errors import UserError
from roadworthy.models.encoder import SentenceEncoder
from roadworthy.models.probe import fit_probe
from roadworthy.noise import Floats, Integers, confident_learning, out_of_fold
from roadworthy.settings import Clean, Settings

KINDS = ("uniform", "pair", "confusion", "instance")
BUDGET = 0.1
"""Share of the rows that people look at, for recall at a review budget."""


def corrupt(y: Integers, probabilities: Floats, kind: str, rate: float, seed: int) -> Integers:
    """Labels with ``rate`` of them wrong.

    Args:
        y: labels, taken for right.
        probabilities: out-of-fold, (n, classes); what a model confuses.
        kind: ``uniform``: any other class; ``pair``: always the next class; ``confusion``: the
            wrong class that the model finds likeliest; ``instance``: the same, in the rows it
            finds hardest.
        rate: share of rows.
        seed: of the draw; for ``instance`` it jitters the order of hardness.

    """
    generator, n, classes = np.random.default_rng(seed), len(y), probabilities.shape[1]
    size, place = round(rate * n), np.arange(n)
    likeliest = others(probabilities, y).argmax(axis=1)
    rows = generator.choice(n, size, replace=False)
    if kind == "instance":
        hardness = probabilities[place, y] + generator.normal(0, 0.02, n)
        rows = np.argsort(hardness, kind="stable")[:size]
    out = y.copy()
    if kind == "uniform":
        out[rows] = (y[rows] + generator.integers(1, classes, size)) % classes
    elif kind == "pair":
        out[rows] = (y[rows] + 1) % classes
    else:
        out[rows] = likeliest[rows]
    return out


def _accuracy(
    X: tuple[NDArray[np.floating], NDArray[np.floating]],
    y: tuple[Integers, Integers],
    keep: NDArray[np.bool_],
    settings: Clean,
) -> float:
    weights, bias = fit_probe(X[0][keep], y[0][keep], int(y[1].max()) + 1, settings.C)
    return float(((X[1] @ weights.T + bias).argmax(axis=1) == y[1]).mean())


def measure(
    views: Views,
    test: NDArray[np.floating],
    y: tuple[Integers, Integers],
    noisy: Integers,
    settings: Clean,
    seed: int,
) -> dict[str, Any]:
    """Score every detector on one corrupted training set, and what dropping its finds recovers.

    Args:
        views: of the training rows.
        test: vectors of the test rows, which nothing is chosen on.
        y: right labels of training and test rows.
        noisy: given labels of the training rows.
        settings: of the detectors.
        seed: of folds and injected errors.

    """
    wrong = noisy != y[0]
    found = detect(views, noisy, settings, seed)
    precision = {
        name: float(average_precision_score(wrong, 1 - score))
        for name, score in found.scores.items()
    }
    order = np.argsort(found.scores[found.chosen], kind="stable")
    alone = out_of_fold(views.vectors, noisy, views.groups, views.n_classes, settings, seed)
    stock = confident_learning(noisy, alone)
    same = wrong[order[: int(stock.sum())]]
    X, every = (views.vectors, test), np.ones(len(noisy), dtype=bool)
    accuracy = {
        "clean": _accuracy(X, y, every, settings),
        "noisy": _accuracy(X, (noisy, y[1]), every, settings),
        "oracle": _accuracy(X, (noisy, y[1]), ~wrong, settings),
        "dropped": _accuracy(X, (noisy, y[1]), ~found.flag, settings),
    }
    gap = accuracy["oracle"] - accuracy["noisy"]
    return {
        "errors": int(wrong.sum()),
        "base_rate": float(wrong.mean()),
        "average_precision": precision,
        "chosen": found.chosen,
        "best_stock": max(STOCK, key=precision.__getitem__),
        "precision_at_errors": float(wrong[order[: int(wrong.sum())]].mean()),
        "recall_at_budget": float(wrong[order[: round(BUDGET * len(order))]].sum() / wrong.sum()),
        "flagged": int(found.flag.sum()),
        "flag_precision": float(wrong[found.flag].mean()) if found.flag.any() else None,
        "flag_recall": float(found.flag[wrong].mean()),
        "stock_flagged": int(stock.sum()),
        "stock_flag_precision": float(wrong[stock].mean()) if stock.any() else None,
        "chosen_precision_at_stock_flags": float(same.mean()) if len(same) else None,
        "accuracy": accuracy,
        "recovery": (accuracy["dropped"] - accuracy["noisy"]) / gap if gap >= 0.01 else None,
    }


def _material(settings: Settings, folder: Path) -> tuple[Views, NDArray[np.float32], Any]:
    """Views of the training rows, vectors of the test rows, and the labels of both."""
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
        np.save(saved, SentenceEncoder(settings.encoder)(messages["text"].tolist()))
    vectors = np.load(saved, allow_pickle=False)
    y, labels = pd.factorize(messages["label"], sort=True)
    rule = (settings.audit.jaccard, settings.audit.shingle, settings.audit.permutations)
    train = ~test
    clusters = duplicates.find(messages.loc[train, "text"], *rule).rows["cluster"].to_numpy()
    both = joint(
        vectors[train],
        messages.loc[train, "text"].tolist(),
        np.ones(int(train.sum()), dtype=bool),
        settings.seed,
    )
    views = Views(vectors[train], both, clusters, len(labels))
    return views, vectors[test], (y[train], y[test])


def run(overrides: list[str], rates: list[float], draws: int) -> str:
    """Measure every cell that is not there yet, and write the table."""
    settings = parse(compose(overrides))
    # Other settings or files are another experiment: their cells are not mixed.
    hashes = [sha256(locate(file, settings.data)) for file in settings.data.files]
    key = id_hash([str(settings.clean), str(settings.encoder), str(settings.seed), *hashes])[:8]
    folder = root() / "scratch" / "label_noise" / f"{settings.data.name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    views, test, y = _material(settings, folder)
    fair = out_of_fold(
        views.vectors, y[0], views.groups, views.n_classes, settings.clean, settings.seed
    )
    cells = [(kind, rate, draw) for rate in rates for kind in KINDS for draw in range(draws)]
    for kind, rate, draw in tqdm(cells, desc="label noise", unit="cell"):
        path = folder / f"{kind}-{rate:g}-{draw}.json"
        if path.exists():
            continue
        noisy = corrupt(y[0], fair, kind, rate, draw)
        result = {"kind": kind, "rate": rate, "draw": draw}
        result |= measure(views, test, y, noisy, settings.clean, settings.seed + draw)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(result, indent=1), encoding="utf-8")
        draft.replace(path)
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    target = root() / "reports" / "tables" / "label_noise.md"
    target.write_text(table(results, settings), encoding="utf-8")
    return str(target.relative_to(root()))


def _spread(values: list[float | None]) -> str:
    """Mean, lowest and highest over the draws; a dash where no draw has a value."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    return f"{np.mean(known):.3f} ({min(known):.3f} to {max(known):.3f})"


def table(results: list[dict[str, Any]], settings: Settings) -> str:
    """Lay the cells out as Markdown: mean and range over draws."""
    head = [
        "noise", "rate", "draws", "best stock score", "its average precision", "chosen score's",
        "share of the stock's shortfall left", "recall at 10 % looked at", "flags: precision",
        "flags: recall", "confident learning: precision", "chosen score at as many flags",
        "accuracy noisy → dropped → oracle", "recovery",
    ]  # fmt: skip
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    keys = sorted({(row["rate"], KINDS.index(row["kind"])) for row in results})
    for rate, number in keys:
        cell = [row for row in results if row["rate"] == rate and row["kind"] == KINDS[number]]
        stock = [row["average_precision"][row["best_stock"]] for row in cell]
        own = [row["average_precision"][row["chosen"]] for row in cell]
        left = [(1 - mine) / max(1 - theirs, 1e-9) for mine, theirs in zip(own, stock, strict=True)]
        accuracy = [
            f"{100 * np.mean([row['accuracy'][name] for row in cell]):.1f}"
            for name in ("noisy", "dropped", "oracle")
        ]
        fields = [
            KINDS[number],
            f"{100 * rate:g} %",
            str(len(cell)),
            ", ".join(sorted({row["best_stock"] for row in cell})),
            _spread(stock),
            f"{_spread(own)}, {', '.join(sorted({row['chosen'] for row in cell}))}",
            _spread(left),
            *(
                _spread([row[name] for row in cell])
                for name in (
                    "recall_at_budget",
                    "flag_precision",
                    "flag_recall",
                    "stock_flag_precision",
                    "chosen_precision_at_stock_flags",
                )
            ),
            " → ".join(accuracy),
            _spread([row["recovery"] for row in cell]),
        ]
        lines.append(" | ".join(fields))
    body = "\n".join(f"| {line} |" for line in lines)
    return (
        f"# Wrong labels, injected and found: {settings.data.title or settings.data.name}\n\n"
        f"Made by `python -m roadworthy label_noise data={settings.data.name}`; "
        f"{settings.clean.folds} folds, {settings.clean.rounds} round(s), seed {settings.seed}. "
        f"Mean over draws, lowest and highest in brackets. The score is chosen without knowing the "
        f"noise; test rows only judge. What a model confuses or finds hard (the last two kinds) is "
        f"told by a probe like the stock scores' own.\n\n{body}\n"
    )
