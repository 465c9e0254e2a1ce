"""Roadworthy beside what one would pick instead: `python -m roadworthy rivals` (or `make rivals`).

Everything is measured in one run on one machine, on the same rows, with the same number of threads
and each in a process of its own. Each result is a file under scratch/rivals/, so a run that is
stopped goes on where it was. Imports and loading a model are timed for nobody; tokenising is, for
all. The table goes to reports/benchmarks/rivals.md.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from roadworthy import drafts
from roadworthy.commit import commit
from roadworthy.config import compose, parse, root
from roadworthy.data import id_hash, locate, sha256
from roadworthy.errors import UserError
from roadworthy.rival_engines import ENGINES, bulk, probe, stock
from roadworthy.rival_models import Result, Rows, best, recipe, setfit, trainer
from roadworthy.settings import Settings

SHOTS = 10
"""Rows of each class in the comparison with few."""
ALTERNATIONS = 3
"""Times that the ways of bulk scoring take turns: the machine may be busy with something else."""
CODE = (
    "rivals", "rival_models", "rival_engines", "training", "recipe", "tokens", "distributed",
    "export", "graph",
)  # fmt: skip


def names() -> list[str]:
    """What is measured, in this order: rows and our recipe first, which others build on."""
    few = ["few_setfit"] if importlib.util.find_spec("setfit") else []
    turns = [f"bulk_{engine}.{turn}" for turn in range(ALTERNATIONS) for engine in ENGINES]
    return ["rows", "recipe", "trainer", "probe", "stock", *few, "few_probe", "few_recipe", *turns]


def prepared(overrides: list[str], threads: int) -> Settings:
    """The settings on the CPU, with as many threads for all."""
    settings = parse(compose(overrides))
    encoder = replace(settings.encoder, threads=threads, accelerator="cpu")
    return replace(settings, encoder=encoder)


def folder_of(settings: Settings) -> Path:
    """Where the results of these settings and this code lie; others are never mixed in."""
    hashes = [sha256(locate(file, settings.data)) for file in settings.data.files]
    source = Path(__file__).parent
    code = [source / f"{name}.py" for name in CODE] + sorted((source / "models").glob("*.py"))
    hashes += [sha256(path) for path in code]
    audit = settings.audit
    rule = (audit.jaccard, audit.shingle, audit.permutations, audit.max_breaches, audit.min_rows)
    parts = (settings.data, settings.encoder, settings.finetune, settings.baseline.probe, rule)
    key = id_hash([*map(repr, (*parts, settings.seed)), *hashes])[:8]
    return root() / "scratch" / "rivals" / f"{settings.data.name}-{key}"


def _write_rows(settings: Settings, folder: Path) -> Result:
    """The data set as the audit splits it, and which training rows are the few."""
    from roadworthy.audit import split_rows

    messages, _ = split_rows(settings.data, settings.audit)
    messages = messages.loc[messages["in_scope"], ["text", "label", "split"]]
    mixed = messages[messages["split"] == "train"].sample(frac=1, random_state=settings.seed)
    few = mixed.groupby("label").head(SHOTS).index
    draft = folder / "rows.draft"
    messages.assign(few=messages.index.isin(few)).to_parquet(draft)
    draft.replace(folder / "rows.parquet")
    counts = {str(name): int(n) for name, n in messages["split"].value_counts().items()}
    return counts | {"few": len(few), "shots": SHOTS}


def _rows(folder: Path) -> Rows:
    import pandas as pd

    from roadworthy.models.architecture import labelled

    frame = pd.read_parquet(folder / "rows.parquet")
    train = frame[frame["split"] == "train"]
    labels = sorted(train["label"].unique())
    parts = [frame[frame["split"] == name] for name in ("validation", "test")]
    return Rows(*(labelled(part, labels) for part in (train, train[train["few"]], *parts)))


def measure(name: str, settings: Settings, folder: Path) -> Result:
    """Measure one thing in this process.

    Raises:
        UserError: there is no such thing.
    """
    if name == "rows":
        return _write_rows(settings, folder)
    rows = _rows(folder)
    few = replace(rows, train=rows.few)
    done: dict[str, Callable[[], Result]] = {
        "recipe": lambda: recipe(rows, settings, folder),
        "trainer": lambda: trainer(rows, settings, best(_read(folder, "recipe"))),
        "probe": lambda: probe(rows, settings, folder),
        "stock": lambda: stock(rows, settings, folder),
        "few_setfit": lambda: setfit(few, settings),
        "few_probe": lambda: probe(few, settings, None),
        "few_recipe": lambda: recipe(few, settings, None, choose=False),
    }
    done |= {f"bulk_{way}": lambda way=way: bulk(rows, settings, folder, way) for way in ENGINES}  # type: ignore[misc]
    if name.split(".")[0] not in done:
        raise UserError(f"rivals: nothing is called {name!r}: {', '.join(['rows', *done])}")
    return done[name.split(".")[0]]()


def measured(name: str, overrides: list[str], threads: int) -> str:
    """One line of JSON for the process that compares."""
    settings = prepared(overrides, threads)
    folder = folder_of(settings)
    if not folder.exists():
        raise UserError("rivals: the code or the data changed meanwhile: start again")
    result = measure(name, settings, folder)
    from roadworthy.timings import machine  # brings torch, which not everything here needs

    return json.dumps({"name": name, "machine": machine(threads, "cpu")} | result)


def _read(folder: Path, name: str) -> Result:
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _alone(name: str, overrides: list[str], threads: int) -> str:
    """Measure one thing in a process of its own; one line of JSON."""
    command = [sys.executable, "-m", "roadworthy", "rivals", *overrides]
    command += ["--threads", str(threads), "--one", name]
    same = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    same |= {"OMP_WAIT_POLICY": "passive", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        command,
        cwd=root(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | same | {"HF_HUB_OFFLINE": "1"},
    )
    if done.returncode:
        raise UserError(f"rivals: {name} could not be measured; what it said is above")
    return done.stdout.splitlines()[-1]


def run(overrides: list[str], threads: int) -> str:
    """Measure everything that is not there yet, and write the table."""
    from roadworthy.rivals_table import page  # brings scipy, which the measured processes spare

    settings = prepared(overrides, threads)
    folder = folder_of(settings)
    folder.mkdir(parents=True, exist_ok=True)
    for name in tqdm(names(), desc="rivals", unit="measurement"):
        if not (folder / f"{name}.json").exists():
            drafts.write_text(folder / f"{name}.json", _alone(name, overrides, threads) + "\n")
    results = {path.stem: _read(folder, path.stem) for path in sorted(folder.glob("*.json"))}
    target = root() / "reports" / "benchmarks"
    target.mkdir(parents=True, exist_ok=True)
    at = commit()
    content = {"overrides": overrides, "threads": threads, "commit": at, "results": results}
    drafts.write_text(target / "rivals.json", json.dumps(content, indent=1) + "\n")
    drafts.write_text(target / "rivals.md", page(results, settings, overrides, at))
    return f"reports/benchmarks/rivals.md, rivals.json written from {len(results)} measurements"
