"""The record of the benchmark: scores seed by seed, to which later runs may add seeds.

A tree of names; its leaves are means over seeds with every seed's value, in the order of ``facts``,
which says of each seed where and at which commits it was trained and judged.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

from roadworthy.data import id_hash, sha256
from roadworthy.finetune import SOURCES
from roadworthy.intervals import student
from roadworthy.models.encoder import device
from roadworthy.settings import Encoder
from roadworthy.timings import machine

log = logging.getLogger("roadworthy")
Tree = dict[str, Any]
CODE = ("benchmark_cells.py", "baseline.py", "familiarity.py", *SOURCES)
LIBRARIES = ("torch", "transformers", "peft", "pytorch-lightning", "scikit-learn")
OWN = ("facts", "ensemble")
"""What stands beside the scores in a tree and is no mean over its seeds."""


def mean(values: list[float] | list[float | None]) -> Tree:
    """Mean over seeds, Student's 95 % interval of it (none with one seed), and the values.

    A seed may have none: where nothing is automated there is no error rate.
    """
    kept = [None if value is None else round(value, 6) for value in values]  # as on record
    over = student([value for value in kept if value is not None])
    return {"value": over.value, "low": over.low, "high": over.high, "seeds": kept}


def over_seeds(seeds: list[Tree]) -> Tree:
    """Mean and interval of every score, at whatever depth it stands; a seed may lack some."""

    def over(found: list[Any]) -> Any:  # noqa: ANN401 - a tree of scores
        trees = [one if isinstance(one, dict) else {} for one in found]
        if names := dict.fromkeys(name for tree in trees for name in tree):
            return {name: over([tree.get(name) for tree in trees]) for name in names}
        return None if all(one is None for one in found) else mean(found)

    result: Tree = over(seeds)
    return result


def seeds_of(models: Tree) -> list[int]:
    """The seeds that a tree of models is about."""
    return [facts["seed"] for facts in models["facts"]]


def _by_seed(tree: Tree | None, at: int) -> Any:  # noqa: ANN401 - a tree of scores
    """What one seed, the ``at``-th, says: the inverse of ``over_seeds``."""
    if tree is None:
        return None
    if "seeds" in tree:
        return tree["seeds"][at]
    return {name: _by_seed(part, at) for name, part in tree.items()}


def _models(known: Tree, found: Tree) -> Tree:
    """Two trees of models as one; where both know a seed, ``found`` is right."""
    seeds: dict[int, tuple[Tree, Tree]] = {}
    for models in (known, found):
        scores = {name: part for name, part in models.items() if name not in OWN}
        for at, facts in enumerate(models["facts"]):
            seeds[facts["seed"]] = facts, _by_seed(scores, at)
    both = [seeds[seed] for seed in sorted(seeds)]
    most = max((found, known), key=lambda models: len(models["ensemble"]["of"]))
    merged = over_seeds([scores for _, scores in both])
    return merged | {"ensemble": most["ensemble"], "facts": [facts for facts, _ in both]}


def merged(known: Tree | None, found: Tree) -> Tree:
    """What is on record of a data set with what a run has found.

    Seeds are put together where recipe, data and what is accepted are the same (``key``), else
    ``found`` replaces what is on record, which is said.
    """
    if known is None:
        return found
    if known.get("key") != found["key"]:
        log.warning("%s: other settings than on record, which is replaced", found["title"])
        return found
    models = _models(known["models"], found["models"])
    few = known["few"] | found["few"]
    for shots in set(known["few"]) & set(found["few"]):
        few[shots] = _models(known["few"][shots], found["few"][shots])
    ordered = {shots: few[shots] for shots in sorted(few, key=int)}
    return found | {"models": models, "few": ordered, "seeds": seeds_of(models)}


def code() -> str:
    """A hash of the code that cells depend on."""
    here = Path(__file__).parent
    return id_hash([sha256(here / name) for name in CODE])[:10]


def environment(encoder: Encoder) -> dict[str, Any]:
    """Machine and libraries that a cell was made with."""
    own = {"libraries": {name: version(name) for name in LIBRARIES}}
    return machine(encoder.threads, device(encoder).type) | own
