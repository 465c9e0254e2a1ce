"""The fine-tuned model as ONNX, in single precision and in int8, with proof that it is the same.

``make export`` (after ``make repro``). Writes artifacts/export/model, a folder that holds all that
serving needs (``service.exported``), and reports/export/: agreement with torch on validation and
test rows, every decision that int8 changes, sizes and latencies measured here, one engine a
process. Calibration, guard and threshold are fitted again for each engine.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from roadworthy import drafts, embeddings, finetune, manifest, service, store, timings
from roadworthy.commit import commit
from roadworthy.config import recorded, root
from roadworthy.data import sha256
from roadworthy.errors import UserError
from roadworthy.graph import quantise, write_graph
from roadworthy.models import pooled
from roadworthy.models.architecture import save_arrays
from roadworthy.models.lora import LoraClassifier
from roadworthy.models.onnx import ABOUT, HEAD, PRECISIONS, REDO, OnnxClassifier, tokenizer
from roadworthy.parity import TORCH, Decided, Facts, compare, decide, otherwise, page
from roadworthy.predictions import gather

TOLERANCE = 1e-4
"""Largest difference of a probability that single precision may show against torch."""
DRAFT = "artifacts/export/model.draft"
SINGLE = 200
"""Messages timed one by one."""
SHORT = 16
"""Tokens, special ones included, that the same messages are cut to for the times of one length."""
CALIBRATING = 300
"""About as many training texts show how large activations get."""


def build(merged: Path, classifier: LoraClassifier, learnt: list[str], folder: Path) -> None:
    """Graphs, head, tokenizer and hashes into an existing folder; decisions are fitted later.

    ``learnt``: training texts, some of which show ``quantise`` how large activations get.
    """
    write_graph(classifier.network.cpu(), folder / PRECISIONS["fp32"])
    shutil.copyfile(merged / "tokenizer.json", folder / "tokenizer.json")
    unit = np.eye(classifier.network.prototypes.shape[1], dtype=np.float32)
    save_arrays(folder / HEAD, classes=classifier.head(unit).T)
    some = learnt[:: max(1, len(learnt) // CALIBRATING)]
    tokens = [one.ids for one in tokenizer(folder, classifier.max_length).encode_batch(some)]
    quantise(folder / PRECISIONS["fp32"], folder / PRECISIONS["int8"], tokens)
    seal(folder, classifier, {"network": sha256(merged / "model.json")}, {})


def seal(
    folder: Path, classifier: LoraClassifier, source: dict[str, str], decisions: dict[str, Any]
) -> None:
    """Write export.json, see ``onnx.About``, with the hash of every file of the folder."""
    content = {
        "labels": classifier.labels,
        "max_length": classifier.max_length,
        "source": source,
        "decisions": decisions,
    }
    names = [path.name for path in folder.iterdir() if path.name != ABOUT]
    manifest.write(folder / ABOUT, content, names)


def latency(engine: str) -> dict[str, dict[str, float]]:
    """Milliseconds a message, one by one on one thread.

    Of the ``network``, of the network with messages ``cut`` to ``SHORT`` tokens, as ``served``.
    """
    command = [sys.executable, "-m", "roadworthy", "export", "--time", engine]
    done = subprocess.run(command, cwd=root(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{engine} cannot be timed: {done.stderr.strip()[-500:]}")
    return {**json.loads(done.stdout.splitlines()[-1])}


def timed(engine: str) -> str:
    """Time one engine in this process; JSON."""
    if engine not in ("torch", *PRECISIONS):
        raise UserError(f"no engine {engine!r}: torch, {', '.join(PRECISIONS)}")
    settings = recorded()
    messages = store.read_messages()
    texts = messages.query("split == 'test' and in_scope")["text"].head(SINGLE).tolist()
    network: Any
    if engine == "torch":
        settings.encoder.threads, settings.encoder.accelerator = 1, "cpu"
        network = LoraClassifier(store.folder("finetune", "merged"), settings.encoder)
    else:
        network = OnnxClassifier(root() / DRAFT, engine)
    short = shortened(texts, tokenizer(root() / DRAFT, settings.encoder.max_length))
    found = {
        "network": timings.latency(network, texts),
        "cut": timings.latency(network, short),
        "served": timings.latency(pooled.load(network, root() / DRAFT, REDO), texts),
    }
    return json.dumps(found)


def shortened(texts: list[str], tokens: Any) -> list[str]:  # noqa: ANN401 - tokenizers.Tokenizer
    """Texts cut after ``SHORT`` tokens; shorter ones stay as they are."""
    encoded = tokens.encode_batch(texts)
    ends = [one.offsets[min(SHORT, len(one.ids)) - 2][1] for one in encoded]
    return [text[:end] for text, end in zip(texts, ends, strict=True)]


def run() -> str:
    """Export, compare, time, and write the report; returns a message."""
    settings = recorded()
    merged, messages = store.folder("finetune", "merged"), store.read_messages()
    classifier, learnt = LoraClassifier(merged, settings.encoder), embeddings.read_tuned()[0]
    draft, folder = root() / DRAFT, root() / service.EXPORT
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(store.folder("finetune", "tfidf"), draft, copy_function=shutil.copyfile)
    texts = learnt["text"].tolist()
    build(merged, classifier, texts, draft)
    networks = {TORCH: classifier} | {name: OnnxClassifier(draft, name) for name in PRECISIONS}
    said = {
        name: finetune.predict(pooled.load(network, draft, REDO), network, texts, messages)
        for name, network in tqdm(networks.items(), desc="export", unit="engine")
    }
    split = store.read_json("artifacts/audit/split.json", "audit")
    frames = {name: one.served for name, one in said.items()}
    judged = gather(frames, messages, store.read_frame("audit", "gold"), split)
    decided = {
        name: decide(judged, name, one.familiarity, settings.evaluate, settings.seed)
        for name, one in said.items()
    }
    found = compare(decided, judged)
    if found["fp32"]["largest_difference"] > TOLERANCE:
        raise RuntimeError(f"the exported graph is another model: {found['fp32']}")
    for name in PRECISIONS:
        save_arrays(
            draft / service.VECTORS.format(name), known=said[name].known, strange=said[name].strange
        )
    source = service.sources()
    seal(draft, classifier, source, {name: decided[name].fitted for name in PRECISIONS})
    sizes = {TORCH: merged / "model.safetensors"}
    sizes |= {name: draft / file for name, file in PRECISIONS.items()}
    for name, path in sizes.items():
        size = path.stat().st_size + (draft / pooled.PIPELINE).stat().st_size
        found[name] |= {"bytes": size, "latency_ms": latency(name)}
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)
    facts = {"data": settings.data.name, "commit": commit(), "source": source}
    return _report(found, decided, facts | {"machine": timings.machine(1, "cpu")})


def _report(found: dict[str, dict[str, Any]], decided: dict[str, Decided], about: Facts) -> str:
    target = root() / "reports" / "export"
    target.mkdir(parents=True, exist_ok=True)
    flips = otherwise(decided).map(store.defused)
    drafts.write_text(target / "flips.csv", flips.to_csv(index=False, lineterminator="\n"))
    record = json.dumps(store.plain(about | {"engines": found}), indent=1)
    drafts.write_text(target / "export.json", record + "\n")
    drafts.write_text(target / "table.md", page(found, decided, about, SHORT))
    return f"export: {service.EXPORT} and reports/export/ written"
