"""Stage ``timings``, frozen, run on purpose by ``make timings``: how fast is it here?

A clock's figures are not results: they are measured once, with the machine described, committed
under reports/timings/, and read by ``cost`` and ``readiness``.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from roadworthy import embeddings, store
from roadworthy.baseline import ARCHITECTURES, build
from roadworthy.config import recorded, root
from roadworthy.data import locate, sha256
from roadworthy.errors import UserError
from roadworthy.models import pooled
from roadworthy.models.architecture import Architecture, Labelled, labelled
from roadworthy.models.encoder import device
from roadworthy.settings import Settings

SINGLE, BULK = 200, 256
"""Messages timed one by one, and in bulk."""
TRAINING_STEPS = 12
"""Steps of the fine-tuning recipe that are timed; they are extrapolated to the examples of the
whole run."""


class Model(Protocol):
    """Anything that answers texts with class probabilities."""

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities (n, classes)."""


def machine(threads: int, accelerator: str) -> dict[str, Any]:
    """What the figures hold for."""
    names = [
        line.split(":", 1)[1].strip()
        for line in _lines("/proc/cpuinfo")
        if line.startswith("model name")
    ]
    memory = [
        int(line.split()[1]) / 2**20
        for line in _lines("/proc/meminfo")
        if line.startswith("MemTotal")
    ]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gb": round(memory[0], 1) if memory else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "accelerator": accelerator,
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def latency(model: Model, texts: Sequence[str]) -> dict[str, float]:
    """Percentiles, in milliseconds, of answering one message at a time, after a short warm-up."""
    for text in texts[:10]:
        model.predict_proba([text])
    times = [1000 * seconds(lambda text=text: model.predict_proba([text])) for text in texts]  # type: ignore[misc]
    return {f"p{q}": float(np.percentile(times, q)) for q in (50, 95, 99)} | {"n": len(times)}


def throughput(model: Model, texts: Sequence[str], repeats: int = 3) -> float:
    """Messages a second in bulk, median of the repeats."""
    return statistics.median(
        len(texts) / seconds(lambda: model.predict_proba(texts)) for _ in range(repeats)
    )


def _row(
    model: Model, texts: list[str], load_seconds: float, fit_seconds: float, fit_rows: int
) -> dict[str, Any]:
    return {
        "latency_ms": latency(model, texts[:SINGLE]),
        "throughput_per_s": throughput(model, texts[:BULK]),
        "load_seconds": load_seconds,
        "fit_seconds": fit_seconds,
        "fit_rows": fit_rows,
    }


def timed(names: Iterable[str]) -> list[str]:
    """Those that answer on this machine; to time the others would cost money for each call."""
    return [name for name in names if ARCHITECTURES.get(name, Architecture).local]


def _baselines(
    settings: Settings, texts: list[str], train: Labelled
) -> Iterable[tuple[str, dict[str, Any]]]:
    from roadworthy.models.encoder import SentenceEncoder

    load_encoder = seconds(lambda: SentenceEncoder(settings.encoder))
    embed = SentenceEncoder(settings.encoder)
    for name in timed(settings.baseline.architectures):
        fresh, model = (build(name, settings.baseline, embed, settings.seed) for _ in range(2))
        fit_seconds = seconds(lambda: fresh.fit(train))  # noqa: B023 - called at once
        folder = store.folder("baseline", f"models/{name}")
        load = seconds(lambda: model.load(folder))  # noqa: B023
        load += load_encoder if model.uses_encoder else 0
        yield name, _row(model, texts, load, fit_seconds, len(train.texts))


def _first(rows: Labelled, count: int) -> Labelled:
    return Labelled(rows.texts[:count], rows.y[:count], rows.n_classes)


def training_rate(settings: Settings, rows: Labelled) -> float:
    """Training messages a second, from a few steps of the very recipe that ``finetune`` runs."""
    from roadworthy.models.lora import fresh_network
    from roadworthy.tokens import Tokens
    from roadworthy.training import fit

    own = replace(settings.finetune, max_epochs=1)
    rows = _first(rows, TRAINING_STEPS * own.batch_size)
    prototypes = torch.eye(rows.n_classes, embeddings.read().shape[1])
    network, tokenizer = fresh_network(
        settings.encoder, own.lora, prototypes, own.scale, settings.seed
    )
    start = time.perf_counter()
    length, few = settings.encoder.max_length, _first(rows, 8)
    tokens = Tokens(tokenizer, network, rows, few, length, own.batch_size, settings.seed)
    trained = fit(network, tokens, own, device(settings.encoder).type, settings.seed)
    return trained.examples / (time.perf_counter() - start)


def _lora(settings: Settings, texts: list[str], rows: Labelled) -> dict[str, Any]:
    from roadworthy.models.lora import LoraClassifier

    merged, tfidf = (store.folder("finetune", name) for name in ("merged", "tfidf"))

    def load() -> pooled.Pooled:
        return pooled.load(LoraClassifier(merged, settings.encoder), tfidf)

    load_seconds, model = seconds(load), load()
    fit_seconds = seconds(lambda: pooled.fitted(rows, settings.seed))
    # Repeats count: what fine-tuning costs goes with the examples seen, not with the distinct rows.
    seen = store.read_metrics("finetune")["examples_seen"]
    fit_seconds += seen / training_rate(settings, rows)
    return _row(model, texts, load_seconds, fit_seconds, seen)


def _same_data(settings: Settings) -> None:
    """Refuse to time one data set's models under the name of another."""
    made = [(one["path"], one["sha256"]) for one in store.read_metrics("audit")["sources"]]
    if made != [(one.path, sha256(locate(one, settings.data))) for one in settings.data.files]:
        names = ", ".join(path for path, _ in made)
        raise UserError(
            f"timings: the models in artifacts/ were made from {names} as it was then; params.yaml "
            f"is about data set '{settings.data.name}' as it is now: run `dvc repro` first"
        )


def measure() -> str:
    """Time every trained architecture on validation and test messages; returns a message.

    Raises:
        UserError: params.yaml is about another data set than the models.

    """
    settings = recorded()
    _same_data(settings)
    split = store.read_json("artifacts/audit/split.json", "audit")
    messages = store.read_messages()
    judged = messages[(messages["split"] != "train") & messages["in_scope"]]
    texts = judged.sample(frac=1, random_state=settings.seed)["text"].tolist()
    train = labelled(store.read_frame("clean", "train"), split["labels"])
    models: dict[str, Any] = {}
    names = [*timed(settings.baseline.architectures), "lora"]
    with tqdm(total=len(names), desc="timings", unit="architecture") as bar:
        for name, row in _baselines(settings, texts, train):
            models[name] = row
            bar.update()
        models["lora"] = _lora(settings, texts, train)
        bar.update()
    content = {
        "machine": machine(settings.encoder.threads, device(settings.encoder).type),
        "measured_on": datetime.now(tz=UTC).date().isoformat(),
        "data": settings.data.name,
        "encoder": asdict(settings.encoder),
        "rows": len(texts),
        "mean_words": float(np.mean([len(text.split()) for text in texts])),
        "models": models,
    }
    path = store.write_json("reports/timings/reference.json", content)
    target = root() / "reports" / "timings" / "reference.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    return f"timings: {len(models)} architectures measured, {target.relative_to(root())} written"
