"""What each part of the recipe is worth: ``python -m roadworthy ablation``.

Every arm is one training of the recipe with one thing changed, or several averaged. All learn with
several seeds from four fifths of a data set's training and validation rows and are judged on the
other fifth, near-duplicates kept on one side: test rows have no part in it. An arm with a seed is a
folder in scratch/, so a run that is stopped goes on where it was, and the same command started
twice shares the work. The table goes to reports/tables/ablation.md.
"""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from roadworthy import calibration, drafts
from roadworthy.benchmark_cells import Material, material, settings_of, train
from roadworthy.config import root
from roadworthy.errors import UserError
from roadworthy.finetune import counts
from roadworthy.markdown import table
from roadworthy.models import lora
from roadworthy.models.architecture import Labelled, labelled, softmax
from roadworthy.noise import folds
from roadworthy.noise_table import mean_of
from roadworthy.settings import Finetune

TABLE = "reports/tables/ablation.md"
FOLDS = 5
"""One of them judges, the others are learnt from."""
ALONE = "++finetune.networks=1"
BASE = "one training"
"""The arm that the others are held against, seed by seed."""
ANEW = "class vectors at random"
"""The arm whose head does not start at the centroids of the classes."""
ARMS = {
    BASE: [],
    ANEW: [],
    "three trainings averaged": ["++finetune.networks=3"],
    "no token dropout": ["++finetune.token_dropout=0"],
    "weights as learnt": ["++finetune.interpolation=1"],
    "weights a fifth of the way back": ["++finetune.interpolation=0.8"],
    "dropout in the adapters": ["++finetune.lora.dropout=0.1"],
    "no label smoothing": ["++finetune.label_smoothing=0"],
    "adapters of rank 8": ["++finetune.lora.r=8", "++finetune.lora.alpha=16"],
    "adapters in the top three layers": ["++finetune.lora.layers=3"],
    "half the steps": ["++finetune.max_steps=1000"],
}
"""What each arm changes in one training, as Hydra overrides after those of the command; one that
changes nothing of a recipe is left out."""

Facts = dict[str, Any]


def _parts(source: Material) -> tuple[Labelled, Labelled]:
    """Rows to learn from and rows to judge by, from all training and validation rows in scope."""
    known = source.messages.query("split != 'test' and in_scope")
    y = labelled(known, source.split["labels"]).y
    learn, judge = folds(y, known["cluster"].to_numpy(), FOLDS, seed=0)[0]
    first, second = (labelled(known.iloc[part], source.split["labels"]) for part in (learn, judge))
    return first, second


def scores(logits: NDArray[np.floating], y: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy and mean log loss (nats) of logits (rows, classes).

    Each half of the rows is calibrated on the other: an arm that is merely less sure gains nothing.
    """
    p, half, losses = softmax(logits), np.arange(len(y)) % 2, []
    for judged in (half == 0, half == 1):
        scale = calibration.fit(p[~judged], y[~judged])
        said = calibration.calibrated(p[judged], scale)
        losses.append(-np.log(said[np.arange(judged.sum()), y[judged]]))
    right = float((logits.argmax(axis=1) == y).mean())
    return {"accuracy": right, "log_loss": float(np.concatenate(losses).mean())}


def _start(arm: str, source: Material, learn: Labelled, seed: int) -> torch.Tensor | None:
    """Class vectors to begin with; None: the centroids."""
    if arm != ANEW:
        return None
    generator = torch.Generator().manual_seed(seed)
    wide = source.embed(learn.texts[:1]).shape[1]
    return normalize(torch.randn(learn.n_classes, wide, generator=generator), dim=-1)


def _make(source: Material, folder: Path, arm: str, cfg: Finetune, seed: int, wait: bool) -> None:
    """Train an arm with a seed and judge it, unless it is there or another process does."""
    slug = f"{arm.replace(' ', '-')}-{seed}"
    name = f"ablation-{source.settings.data.name}-{slug}"
    with drafts.once(folder / slug, wait) as draft:
        if draft is None:
            return
        learn, judge = _parts(source)
        began, encoder = time.perf_counter(), source.settings.encoder
        start = _start(arm, source, learn, seed)
        trained, tokenizer = train(source, cfg, learn, None, seed, name, start)
        facts = {"arm": arm, "seed": seed, "commit": source.commit}
        facts |= counts(trained) | {"seconds": time.perf_counter() - began}
        vectors = lora.predict_vectors(
            trained.network, tokenizer, judge.texts, encoder.max_length, encoder.batch_size
        )
        facts |= {"train_rows": len(learn.texts), "rows": len(judge.texts)}
        facts |= scores(lora.head(trained.network, vectors), judge.y)
        drafts.write_text(draft / "facts.json", json.dumps(facts, indent=1))
    drafts.forget(name)


def lines(found: list[Facts]) -> list[list[str]]:
    """A line an arm: scores, and differences to ``BASE`` over the seeds that both have."""
    arms = {arm: {one["seed"]: one for one in found if one["arm"] == arm} for arm in ARMS}
    base, out = arms[BASE], []
    for arm, runs in arms.items():
        if not runs:
            continue
        shared = [(runs[seed], base[seed]) for seed in runs if seed in base and arm != BASE]
        gains = [100 * (own["accuracy"] - other["accuracy"]) for own, other in shared]
        losses = [own["log_loss"] - other["log_loss"] for own, other in shared]
        out.append(
            [
                arm,
                ", ".join(f"`{change}`" for change in ARMS[arm]),
                str(len(runs)),
                mean_of((100 * one["accuracy"] for one in runs.values()), 2),
                mean_of(gains, 2),
                mean_of((one["log_loss"] for one in runs.values()), 3),
                mean_of(losses, 3),
                f"{np.mean([one['steps'] for one in runs.values()]):.0f}",
            ]
        )
    return out


def page(source: Material, command: str, found: list[Facts]) -> str:
    """reports/tables/ablation.md."""
    head = ["arm", "what differs", "seeds", "accuracy, %", f"against {BASE}, points"]
    head += ["log loss", f"against {BASE}", "steps"]
    data, commits = source.settings.data, sorted({one["commit"] for one in found})
    return f"""# What each part of the recipe is worth: {data.title or data.name}

Made by `python -m roadworthy ablation {command}` at commit {", ".join(commits)}.
{found[0]["train_rows"]:,} of the training and validation rows are learnt from, the other
{found[0]["rows"]:,} judge; test rows have no part in it. Mean over seeds ± half of Student's 95 %
interval; differences are taken seed by seed, against the first line. All epochs are run, none is
chosen; log loss (nats) is that of each half of the judging rows calibrated on the other. The
network answers alone, without TF-IDF.

{table(head, lines(found))}"""


def run(overrides: list[str], data: str, arms: list[str] | None, seeds: list[int]) -> str:
    """Train every arm, or those named, with every seed; write the table of all that are there.

    Raises:
        UserError: an arm is unknown.

    """
    arms = arms or list(ARMS)
    if unknown := sorted(set(arms) - set(ARMS)):
        raise UserError(f"ablation: no arm '{unknown[0]}'; there are {', '.join(ARMS)}")
    source = material(data, overrides)
    base, *others = (
        settings_of(data, [*overrides, ALONE, *ARMS[arm]]).finetune for arm in (BASE, *arms)
    )
    recipes = {
        arm: recipe
        for arm, recipe in zip(arms, others, strict=True)
        if arm in (BASE, ANEW) or recipe != base
    }
    if not recipes:
        raise UserError(f"ablation: {', '.join(arms)}: nothing of this recipe would change")
    folder = source.folder / "ablation"
    folder.mkdir(exist_ok=True)
    wanted = [(source, folder, arm, recipes[arm], seed) for seed in seeds for arm in recipes]
    drafts.share(wanted, lambda job, wait: _make(*job, wait), "ablation", "training")
    found = [json.loads(path.read_text()) for path in drafts.finished(folder, "facts.json")]
    there = [sorted({one[what] for one in found}) for what in ("arm", "seed")]
    named = [arm for arm in ARMS if arm in there[0]]
    asked = ["--arms", *named, "--seeds", *map(str, there[1])]
    command = shlex.join([*overrides, "--data", data, *asked])
    target = root() / TABLE
    target.parent.mkdir(parents=True, exist_ok=True)
    drafts.write_text(target, page(source, command, found))
    return f"{TABLE} written from {len(found)} trainings"
