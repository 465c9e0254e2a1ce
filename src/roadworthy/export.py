"""The fine-tuned model as ONNX, in single precision and in int8, with proof that it is the same.

``make export`` (after ``make repro``). Writes artifacts/export/ and reports/export/: agreement on
validation and test rows, every decision that int8 changes, temperature and threshold fitted again
after quantising, sizes and latencies measured here, one engine a process.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from roadworthy import calibration, drafts, store, timings
from roadworthy.config import recorded, root
from roadworthy.data import sha256
from roadworthy.errors import UserError
from roadworthy.graph import quantise, write_graph
from roadworthy.intervals import wilson
from roadworthy.markdown import table
from roadworthy.models import pooled
from roadworthy.models.architecture import numbers, softmax
from roadworthy.models.lora import LoraClassifier
from roadworthy.models.onnx import ABOUT, PRECISIONS, OnnxClassifier, tokenizer

TOLERANCE = 1e-3
"""Largest difference of a logit (they reach 20) that single precision may show against torch."""
DRAFT = "artifacts/export/model.draft"
SINGLE = 200
"""Messages timed one by one."""
SHORT = 16
"""Tokens, special ones included, that the same messages are cut to for the times of one length."""
CALIBRATING = 300
"""About as many training texts show how large activations get."""


def build(merged: Path, classifier: LoraClassifier, learnt: list[str], folder: Path) -> None:
    """Graphs, tokenizer and hashes into an existing folder; decisions are fitted later.

    ``learnt``: training texts, some of which show ``quantise`` how large activations get.
    """
    write_graph(classifier.network.cpu(), folder / PRECISIONS["fp32"])
    shutil.copyfile(merged / "tokenizer.json", folder / "tokenizer.json")
    some = learnt[:: max(1, len(learnt) // CALIBRATING)]
    tokens = [one.ids for one in tokenizer(folder, classifier.max_length).encode_batch(some)]
    quantise(folder / PRECISIONS["fp32"], folder / PRECISIONS["int8"], tokens)
    hashes = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.name != ABOUT}
    content = {
        "labels": classifier.labels,
        "max_length": classifier.max_length,
        "source": sha256(merged / "model.json"),
        "sha256": hashes,
        "decisions": {},
    }
    _write(folder / ABOUT, content)


def _write(path: Path, content: dict[str, Any]) -> None:
    drafts.write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def compare(
    logits: dict[str, dict[str, np.ndarray[Any, Any]]],
    truth: dict[str, np.ndarray[Any, Any]],
    target_risk: float,
) -> dict[str, dict[str, Any]]:
    """Each engine beside torch: accuracy, flips, temperature and threshold of its own.

    Args:
        logits: by engine (``torch`` among them) and split, shape (rows, classes).
        truth: class numbers by split.
        target_risk: accepted error rate among automated messages.

    """
    out: dict[str, dict[str, Any]] = {}
    for engine, by_split in logits.items():
        p = {split: softmax(values) for split, values in by_split.items()}
        temperature = calibration.fit_temperature(p["validation"], truth["validation"])
        sure = {split: calibration.top(values, temperature) for split, values in p.items()}
        right = {split: values.argmax(axis=1) == truth[split] for split, values in p.items()}
        threshold = calibration.threshold_for(sure["validation"], right["validation"], target_risk)
        chosen = calibration.selective(threshold, sure["test"], right["test"], target_risk)
        flips = by_split["test"].argmax(axis=1) != logits["torch"]["test"].argmax(axis=1)
        low, high = wilson(int(flips.sum()), len(flips), 0.95)
        difference = np.abs(by_split["test"] - logits["torch"]["test"])
        out[engine] = {
            "validation_accuracy": float(right["validation"].mean()),
            "test_accuracy": float(right["test"].mean()),
            "test_rows": len(flips),
            "flips": int(flips.sum()),
            "flips_low": low,
            "flips_high": high,
            "largest_logit_difference": float(difference.max()),
            "temperature": temperature,
            "threshold": threshold,
            "coverage": chosen.coverage,
            "risk": chosen.risk,
        }
    return out


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
        "served": timings.latency(pooled.load(network, root() / DRAFT), texts),
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
    merged = store.folder("finetune", "merged")
    classifier = LoraClassifier(merged, settings.encoder)
    draft, folder = root() / DRAFT, root() / "artifacts" / "export" / "model"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(store.folder("finetune", "tfidf"), draft, copy_function=shutil.copyfile)
    rows = store.read_messages().query("in_scope")
    build(merged, classifier, rows.query("split == 'train'")["text"].tolist(), draft)
    parts = {split: rows[rows["split"] == split] for split in ("validation", "test")}
    truth = {name: numbers(part["label"], classifier.labels) for name, part in parts.items()}
    engines = {"torch": classifier} | {name: OnnxClassifier(draft, name) for name in PRECISIONS}
    served = {name: pooled.load(engine, draft) for name, engine in engines.items()}
    logits = {
        name: {split: model.logits(part["text"].tolist()) for split, part in parts.items()}
        for name, model in served.items()
    }
    found = compare(logits, truth, settings.evaluate.target_risk)
    if found["fp32"]["largest_logit_difference"] > TOLERANCE:
        raise RuntimeError(f"the exported graph is another model: {found['fp32']}")
    about = json.loads((draft / ABOUT).read_text(encoding="utf-8"))
    about["decisions"] = {
        name: {key: found[name][key] for key in ("temperature", "threshold")} for name in PRECISIONS
    }
    _write(draft / ABOUT, about)
    sizes = {"torch": merged / "model.safetensors"}
    sizes |= {name: draft / file for name, file in PRECISIONS.items()}
    for name, path in sizes.items():
        size = path.stat().st_size + (draft / pooled.PIPELINE).stat().st_size
        found[name] |= {"bytes": size, "latency_ms": latency(name)}
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)
    return _report(settings.data.name, found, parts["test"], logits, classifier.labels)


def _report(
    data: str,
    found: dict[str, dict[str, Any]],
    test: pd.DataFrame,
    logits: dict[str, dict[str, np.ndarray[Any, Any]]],
    labels: list[str],
) -> str:
    about = timings.machine(1, "cpu")
    frame = pd.DataFrame(
        {
            "engine": name,
            "MB": f"{one['bytes'] / 1e6:.1f}",
            "test accuracy": f"{one['test_accuracy']:.4f}",
            "decisions changed": f"{one['flips']} of {one['test_rows']}",
            "largest logit difference": f"{one['largest_logit_difference']:.1e}",
            "temperature": f"{one['temperature']:.3f}",
            "coverage": f"{one['coverage']:.3f}",
            "network, p50, ms": f"{one['latency_ms']['network']['p50']:.1f}",
            "p99, ms": f"{one['latency_ms']['network']['p99']:.1f}",
            f"{SHORT} tokens, p50, ms": f"{one['latency_ms']['cut']['p50']:.1f}",
            f"{SHORT} tokens, p99, ms": f"{one['latency_ms']['cut']['p99']:.1f}",
            "with TF-IDF, p50, ms": f"{one['latency_ms']['served']['p50']:.1f}",
        }
        for name, one in found.items()
    )
    names = np.asarray(labels, dtype=object)
    before, after = (logits[name]["test"].argmax(axis=1) for name in ("torch", "int8"))
    said = test[["id", "label"]].assign(torch=names[before], int8=names[after])
    target = root() / "reports" / "export"
    target.mkdir(parents=True, exist_ok=True)
    flips = said[before != after].map(store.defused)
    drafts.write_text(target / "flips.csv", flips.to_csv(index=False, lineterminator="\n"))
    _write(target / "export.json", {"data": data, "machine": about, "engines": found})
    text = (
        f"# The exported model: {data}\n\nMade by `python -m roadworthy export` on {about['cpu']}, "
        f"one thread, one engine a process. Accuracy and decisions are those of network and TF-IDF "
        f"together, as served; each engine has its own temperature and threshold, from validation "
        f"rows of known classes, without the guard that `evaluate` puts before it. `flips.csv` has "
        f"every test message that int8 decides otherwise.\n\n"
        f"{table(list(frame.columns), frame.to_numpy().tolist())}"
    )
    drafts.write_text(target / "table.md", text)
    return "export: artifacts/export/model and reports/export/ written"
