"""The rivals' results as a page: who reaches what, in which time and memory."""

from __future__ import annotations

import statistics
from typing import Any

from roadworthy.intervals import wilson
from roadworthy.markdown import table
from roadworthy.models.onnx import BATCH
from roadworthy.rival_models import best
from roadworthy.settings import Settings

Result = dict[str, Any]
WAYS = {
    "stock": "sentence-transformers `encode` + scikit-learn `predict`",
    "probe": "Roadworthy, frozen probe",
    "tuned": "Roadworthy, fine-tuned network",
    "int8": "Roadworthy, fine-tuned network, ONNX int8",
}
NO_SETFIT = (
    "SetFit is not in the table: it is not installed. `make rivals` installs it into .venv-rivals "
    "from requirements-rivals.txt, beside the project's own packages, and measures it."
)


def seconds_to(curve: list[dict[str, float]], level: float) -> float:
    """Seconds until a learning curve first reaches an accuracy; infinite if it never does."""
    reached = (p["seconds"] for p in curve if p["validation_accuracy"] >= level)
    return float(next(reached, float("inf")))


def same_level(ours: Result, other: Result) -> float:
    """The validation accuracy to compare at: what ours ends with, or the other's best if lower."""
    return min(best(ours), best(other))


def _share(value: float, rows: int) -> str:
    low, high = wilson(round(value * rows), rows, 0.95)
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _training(results: dict[str, Result]) -> str:
    ours, other, counts = (results[name] for name in ("recipe", "trainer", "rows"))
    level = same_level(ours, other)
    head = ["training", "precision", "seconds to the same accuracy", "seconds in all", "epochs"]
    head += ["examples/s", "validation accuracy, %", "test accuracy, %", "peak memory, GB"]
    lines = []
    for who, one in (("Roadworthy's LoRA recipe", ours), ("Trainer + peft", other)):
        to = f"{seconds_to(one['curve'], level):.0f}"
        rates = [f"{one['seconds']:.0f}", str(len(one["curve"])), f"{one['examples_per_s']:.0f}"]
        lines.append([who, one["precision"], to, *rates, *_quality(one, counts)])
    faster = seconds_to(other["curve"], level) / seconds_to(ours["curve"], level)
    rate = ours["examples_per_s"] / other["examples_per_s"]
    reached = level >= other["target"]
    end = "which is what our recipe ends with" if reached else "the best that Trainer reached"
    return (
        f"{table(head, lines)}\nOurs passes **{rate:.1f}** times as many examples a second. To "
        f"{100 * level:.1f} % of {counts['validation']} validation rows, {end}, Trainer takes "
        f"**{faster:.1f}** times as long; that owes most to the head: a plain one starts from "
        f"nothing, at a learning rate that was chosen for one that starts at the class centroids.\n"
    )


def _quality(one: Result, counts: Result) -> list[str]:
    return [
        _share(one["validation_accuracy"], counts["validation"]),
        _share(one["test_accuracy"], counts["test"]),
        f"{one['peak_gb']:.2f}",
    ]


def _learning(results: dict[str, Result], names: dict[str, str]) -> str:
    head = ["model", "seconds to train", "examples/s"]
    head += ["validation accuracy, %", "test accuracy, %", "peak memory, GB"]
    lines = []
    for name, who in names.items():
        if one := results.get(name):
            rates = [f"{one['seconds']:.1f}", f"{one['examples_per_s']:.0f}"]
            lines.append([who, *rates, *_quality(one, results["rows"])])
    return table(head, lines)


def _bulk(results: dict[str, Result]) -> str:
    head = ["way", "texts/s, median (least to most)", "times stock"]
    head += ["test accuracy, %", "peak memory, GB"]
    turns = {
        way: [one for name, one in results.items() if name.startswith(f"bulk_{way}.")]
        for way in WAYS
    }
    rates = {way: [one["texts_per_s"] for one in same] for way, same in turns.items()}
    stock, lines = statistics.median(rates["stock"]), []
    for way, who in WAYS.items():
        middle, same = statistics.median(rates[way]), turns[way]
        spread = f"{middle:.0f} ({min(rates[way]):.0f} to {max(rates[way]):.0f})"
        quality = _share(same[0]["test_accuracy"], results["rows"]["test"])
        peak = f"{statistics.median(one['peak_gb'] for one in same):.2f}"
        lines.append([who, spread, f"{middle / stock:.1f}", quality, peak])
    first = max((way for way in WAYS if way != "stock"), key=lambda w: statistics.median(rates[w]))
    ratio = statistics.median(rates[first]) / stock
    return f"{table(head, lines)}\n{WAYS[first]}: **{ratio:.1f}** times the texts a second.\n"


def page(results: dict[str, Result], settings: Settings, overrides: list[str], at: str) -> str:
    """All results as a Markdown page; ``at`` is the commit that they were measured at."""
    counts, about = results["rows"], results["recipe"]["machine"]
    few = {
        "few_setfit": "SetFit, 1 iteration",
        "few_probe": "Roadworthy, frozen probe",
        "few_recipe": "Roadworthy, LoRA recipe",
    }
    heads = {"stock": "sentence-transformers + scikit-learn", "probe": "Roadworthy, frozen probe"}
    cfg = settings.finetune
    note = "" if "few_setfit" in results else f"\n{NO_SETFIT}\n"
    turns = sum(name.startswith("bulk_stock.") for name in results)
    return f"""# Beside common alternatives: {settings.data.title or settings.data.name}

Made by `python -m roadworthy rivals {" ".join([*overrides, "--threads", str(about["threads"])])}`
at commit {at} on {about["cpu"]}, torch {about["torch"]}:
{counts["train"]} training, {counts["validation"]} validation and {counts["test"]} test rows,
the same for all, seed {settings.seed}; accuracies with
Wilson's 95 % interval, which does not cover that validation rows choose an epoch. Each line is a
process of its own, with as many threads as any other; what is measured is wall time. Imports and
the loading of models are not timed, for either side; tokenising is.

## Training to the same validation accuracy

Both: the same encoder, LoRA of rank {cfg.lora.r} on {", ".join(cfg.lora.target_modules)},
batches of {cfg.batch_size}, learning rate {cfg.learning_rate:g} with the same schedule, validated
after each epoch, the best epoch kept. Trainer: random batches padded to their longest row, 32-bit
floats, a plain head; it is stopped where it reaches the accuracy that our recipe ends with. Ours
includes the sentence vectors that its classes start from, and is one network, however many
`finetune.networks` averages, without the TF-IDF that it is served with.

{_training(results)}
## {counts["shots"]} rows of each class ({counts["few"]} rows)

SetFit has its least setting: one pair of each kind per row, seen once; its examples are the texts
of these pairs, and each row once for the head.

{_learning(results, few)}{note}
## A linear head on frozen vectors

The same regression (C = {settings.baseline.probe.C:g}) on all training rows.

{_learning(results, heads)}
## Bulk scoring

All test texts at once after a warm-up, in batches of each one's default size
({settings.encoder.batch_size} for ours, {BATCH} in ONNX Runtime), {turns} times in turns. The
fine-tuned network runs in {cfg.precision}, int8 in ONNX Runtime.

{_bulk(results)}"""
