"""Published data sets, several seeds: ``python -m roadworthy benchmark`` (``make benchmark``).

Makes every cell asked for that is not there yet (see ``benchmark_cells``; the same command started
twice shares the work), then judges all that are there, adds what is on record of other seeds with
the same settings, and writes reports/benchmarks/: results.json, table.md, figures.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from roadworthy import cascade, drafts, evaluate, scope, store
from roadworthy.benchmark_cells import FEW, FULL, Material, check, finished, make, material, served
from roadworthy.benchmark_record import mean, merged, over_seeds, seeds_of
from roadworthy.benchmark_table import page
from roadworthy.calibration import Scale
from roadworthy.config import root
from roadworthy.data import id_hash
from roadworthy.models.architecture import predictions_frame
from roadworthy.plots import benchmark as plots
from roadworthy.predictions import Judged, gather

FOLDER = "reports/benchmarks"
TWIN = 0.9
"""Cosine of character 3-5-gram TF-IDF from which a test row has a near-twin in training: the rule
of published deduplicated scores (rkemery/banking77-lora-vs-frontier), used for that column only."""
MOST = 0.85
"""Of the test rows a cheap model answers so many at one point of its trade-off, which is shown."""
AGAINST = "probe"
"""The frozen encoder, which fine-tuning has to beat."""


def twins(messages: pd.DataFrame) -> pd.Series:
    """Ids of test rows in scope that have a near-twin among all others in scope, see ``TWIN``.

    Validation rows count: to the data set's makers they are training rows.
    """
    known = messages[messages["in_scope"]]
    test = known[known["split"] == "test"]
    train = known.drop(index=test.index)
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5))
    learnt = vectorizer.fit_transform(train["text"])
    asked = vectorizer.transform(test["text"])
    nearest = [(asked[at : at + 256] @ learnt.T).max(axis=1) for at in range(0, len(test), 256)]
    found = np.concatenate([part.toarray().ravel() for part in nearest])
    return test["id"][found >= TWIN]


def _judged(source: Material, frames: dict[str, pd.DataFrame]) -> Judged:
    gold = pd.DataFrame({"id": source.messages["id"], "gold": np.nan})
    return gather(frames, source.messages, gold, source.split)


def _frames(cell: Path, names: list[str]) -> dict[str, pd.DataFrame]:
    """Predictions of a cell, the fine-tuned model's as ``lora``, simplest first."""
    found = {name: pd.read_parquet(cell / f"{name}.parquet") for name in names}
    return found | {"lora": served(cell)}


def _seed(source: Material, cell: Path, near: pd.Series) -> dict[str, Any]:
    """One seed of the fine-tuned model against the frozen encoder, from its frames."""
    settings, judged = source.settings, _judged(source, _frames(cell, [AGAINST]))
    scored = evaluate.scores(judged, AGAINST, settings.evaluate, settings.seed)["lora"]
    fresh = ~judged.rows.loc[judged.mask("test"), "id"].isin(near).to_numpy()
    return {
        "accuracy": scored["accuracy"]["value"],
        "accuracy_low": scored["accuracy"]["low"],
        "accuracy_high": scored["accuracy"]["high"],
        "accuracy_deduplicated": scored["accuracy_deduplicated"]["value"],
        "accuracy_without_twins": float(judged.correct("lora", "test")[fresh].mean()),
        "macro_f1": scored["macro_f1"]["value"],
        "gain": scored["mcnemar"]["difference"]["value"],
        "p_value": scored["mcnemar"]["p_value"],
    }


def _confidence(source: Material, cell: Path) -> dict[str, Any]:
    """Calibration, automation, out-of-scope scores, cascades: what validation rows decide."""
    settings = source.settings
    cheap = [name for name in cascade.CHEAP if name in settings.baseline.architectures]
    judged = _judged(source, _frames(cell, cheap))
    calibrated = {
        name: evaluate.calibrate(judged, name, settings.evaluate, settings.seed)
        for name in judged.models
    }
    scales = {name: one.scale for name, one in calibrated.items()}
    familiar = _familiar(judged, cell, scales["lora"])
    found, guard = scope.judge(judged, "lora", familiar), scope.guard(judged, "lora", familiar)
    served = scope.served(judged, "lora", familiar, guard, settings.evaluate.target_risk)
    first = cascade.judge(judged, "lora", scales, settings.evaluate, settings.seed)
    own = calibrated["lora"]
    return {
        "ece": own.ece_after,
        "ece_perfect": own.ece_perfect,
        "coverage": served.coverage,
        "risk": served.risk,
        "scope": None if found is None else found.to_dict("index"),
        "cascade": {
            name: {
                "share": one.share,
                "loss": one.loss.value,
                "promised": one.validation_loss,
                "loss_at_most": cascade.loss_at(one.curve, MOST),
            }
            for name, one in first.items()
        },
    }


def _familiar(judged: Judged, cell: Path, scale: Scale) -> pd.DataFrame:
    return scope.scores(judged, "lora", scale, pd.read_parquet(cell / "familiarity.parquet"))


def _simple(source: Material, cells: list[Path], names: list[str]) -> dict[str, Any]:
    """Accuracies of the other architectures, over the seeds that they were fitted with.

    ``network`` is the fine-tuned network alone, without TF-IDF.
    """
    files = {name: name for name in names} | {"network": "predictions"}
    found: dict[str, list[float]] = {name: [] for name in files}
    for cell in cells:
        frames = {name: pd.read_parquet(cell / f"{file}.parquet") for name, file in files.items()}
        judged = _judged(source, frames)
        for name in files:
            found[name].append(float(judged.correct(name, "test").mean()))
    return {name: {"accuracy": mean(values)} for name, values in found.items()}


def _together(source: Material, cells: list[Path], seeds: list[int]) -> dict[str, Any]:
    """Accuracy of all these seeds together, their probabilities averaged."""
    labels = source.split["labels"]
    columns = [f"p_{label}" for label in labels]
    frames = [served(cell) for cell in cells]
    averaged = np.mean([frame[columns].to_numpy(np.float64) for frame in frames], axis=0)
    judged = _judged(source, {"lora": predictions_frame(source.judged, labels, averaged)})
    return {"accuracy": mean([float(judged.correct("lora", "test").mean())]), "of": seeds}


def judge(source: Material) -> dict[str, Any]:
    """What results.json says about one data set, from the cells that are there."""
    cells, near, judged = finished(source), twins(source.messages), source.judged
    counts = sorted({shots for shots, _ in cells})

    def at(shots: int) -> dict[str, Any]:
        seeds = [seed for count, seed in sorted(cells) if count == shots]
        there = [cells[shots, seed] for seed in seeds]
        tuned = [_seed(source, cell, near) for cell in there]
        names = list(FEW)
        if shots == FULL:
            names = source.settings.baseline.architectures
            tuned = [
                seed | _confidence(source, cell) for seed, cell in zip(tuned, there, strict=True)
            ]
        facts = [
            json.loads((cell / "facts.json").read_text(encoding="utf-8"))
            | {"seed": seed, "judged": source.commit}
            for seed, cell in zip(seeds, there, strict=True)
        ]
        found = _simple(source, there, names) | {"lora": over_seeds(tuned)}
        return found | {"ensemble": _together(source, there, seeds), "facts": facts}

    models = at(FULL)

    return {
        "title": source.settings.data.title or source.settings.data.name,
        "classes": len(source.split["labels"]),
        "train_rows": len(source.rows("train").texts),
        "validation_rows": len(source.rows("validation").texts),
        "test_rows": len(source.rows("test").texts),
        "test_rows_out_of_scope": int((~judged["in_scope"] & (judged["split"] == "test")).sum()),
        "test_rows_with_twin": len(near),
        "test_id_sha256": source.split["test_id_sha256"],
        "key": id_hash([source.folder.name, repr(source.settings.evaluate)])[:16],
        "seeds": seeds_of(models),
        "models": models,
        "few": {str(shots): at(shots) for shots in counts if shots != FULL},
    }


def _known() -> dict[str, Any]:
    """What is on record by data set: a run replaces nothing that it does not judge."""
    path = root() / FOLDER / "results.json"
    known: dict[str, Any] = {}
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))["data"]
    return known


def _written(results: dict[str, Any], curves: dict[str, dict[str, pd.DataFrame]]) -> None:
    """Every file of reports/benchmarks/, each by renaming."""
    folder = root() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"few_labels": plots.few_labels(results["data"])}
    figures |= {f"trade_off_{name}": plots.trade_off(one) for name, one in curves.items()}
    for name, figure in figures.items():
        drafts.write_figure(folder / f"{name}.png", figure)
    text = json.dumps(store.plain(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, content in {"results.json": text, "table.md": page(json.loads(text))}.items():
        drafts.write_text(folder / name, content)


def run(overrides: list[str], data: list[str], seeds: list[int], shots: list[int]) -> str:
    """Make every cell that is not there yet, judge all, and write the report."""
    sources = [material(name, overrides) for name in data]
    wanted = [(one, count, seed) for one in sources for count in (FULL, *shots) for seed in seeds]
    drafts.share(wanted, lambda job, wait: make(*job, wait), "benchmark", "cell")
    for source in sources:
        check(source)
    found, known = {}, _known()
    for source in sources:
        name = source.settings.data.name
        result = merged(known.get(name), judge(source))
        asked = ["--data", name, "--seeds", *map(str, result["seeds"]), "--shots", *result["few"]]
        found[name] = result | {
            "command": " ".join(["python -m roadworthy benchmark", *overrides, *asked]),
            "recipe": asdict(source.settings.finetune),
        }
    curves = {
        name: one for source, name in zip(sources, data, strict=True) if (one := trade_offs(source))
    }
    _written({"data": dict(sorted((known | found).items()))}, curves)
    return f"{FOLDER}/ written from {sum(len(finished(source)) for source in sources)} cells"


def trade_offs(source: Material) -> dict[str, pd.DataFrame]:
    """The trade-off curve of each score, first seed; empty where no row is out of scope."""
    cell = next(cell for key, cell in sorted(finished(source).items()) if key[0] == FULL)
    judged = _judged(source, _frames(cell, []))
    if not judged.mask("test", in_scope=False).any():
        return {}
    scale = evaluate.calibrate(judged, "lora", source.settings.evaluate, 0).scale
    familiar = _familiar(judged, cell, scale)
    return {
        score: scope.trade_off(judged, "lora", familiar[score].to_numpy())
        for score in familiar.columns
    }
