"""How the audit grows with the data: `python -m roadworthy scaling` (or `make scaling`).

Rows are made by recombining sentences of the configured data set, some of them copied, so that
length, words and duplicates look real. Each size runs in a process of its own, which reports its
seconds by step; its memory, with that of its helpers, is watched from outside. Without sentence
vectors: that is what large data goes without. Times are of this machine; they are written to
reports/timings/, which no stage depends on.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import psutil

from roadworthy import admission, checks, drafts, drift, duplicates, personal, schema, split
from roadworthy.audit import annotate, periods
from roadworthy.census import conflict_table, duplicate_table, slice_table
from roadworthy.commit import commit
from roadworthy.config import conf, root, typed
from roadworthy.errors import UserError
from roadworthy.plots import scaling as plots
from roadworthy.settings import Data, File

FOLDER = "scratch/scaling"
COPIED = 0.04
"""Share of rows that repeat an earlier one, half of them with a word changed."""

EVERY = 0.2
"""Seconds between two looks at the memory."""


def sentences(messages: pd.DataFrame) -> dict[str, list[str]]:
    """Sentences of the messages, by label."""
    parts = messages.assign(
        part=messages["text"].map(lambda text: re.split(r"(?<=[.?!])\s+|\n+", text))
    ).explode("part")
    parts = parts[parts["part"].str.len() > 8]
    return {str(label): group["part"].tolist() for label, group in parts.groupby("label")}


def write_rows(path: str, messages: pd.DataFrame, rows: int, seed: int) -> None:
    """Write a CSV of made-up messages: ``id, text, label, channel, created_at``."""
    generator, pool = np.random.default_rng(seed), sentences(messages)
    labels = list(pool)
    days = np.sort(generator.integers(0, 365 * 24 * 60, rows))
    start = np.datetime64("2025-11-01T00:00")
    written: list[tuple[str, str]] = []
    target = root() / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "text", "label", "channel", "created_at"])
        for number in range(rows):
            if written and generator.random() < COPIED:
                text, label = written[generator.integers(len(written))]
                text = text if number % 2 else f"{text} {number % 10}"
            else:
                label = labels[generator.integers(len(labels))]
                picked = [
                    pool[label][generator.integers(len(pool[label]))]
                    for _ in range(generator.integers(2, 5))
                ]
                text = f"{' '.join(picked)} QH-{generator.integers(100_000, 1_000_000)}"
            if len(written) < 50_000:
                written.append((text, label))
            channel = ("chat", "email", "phone")[number % 3]
            writer.writerow([number, text, label, channel, str(start + days[number])])


def measure(rows: int) -> dict[str, Any]:
    """Audit ``rows`` rows: seconds by step."""
    cfg = typed(data=conf("data"), audit=conf("audit"))
    path, steps = f"{FOLDER}/{rows}.csv", {}
    write_rows(path, admission.admit(cfg.data, cfg.audit)[0], rows, cfg.audit.seed)
    data = Data(
        name="scaling",
        files=[File(path=path)],
        id="id",
        created_at="created_at",
        slices=["channel"],
        split=cfg.data.split,
    )

    def timed(name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the step gives
        start = time.perf_counter()
        result = work()
        steps[name] = round(time.perf_counter() - start, 2)
        return result

    messages, _, _ = timed("read", lambda: admission.admit(data, cfg.audit))
    timed("labels", lambda: schema.check_labels(messages, data, cfg.audit))
    rule = (cfg.audit.jaccard, cfg.audit.shingle, cfg.audit.permutations)
    found = timed("duplicates", lambda: duplicates.find(messages["text"], *rule))
    clusters = found.rows["cluster"]
    timed("distinct", lambda: schema.check_distinct(messages, clusters, cfg.audit))
    frozen = timed("split", lambda: split.freeze(messages, clusters, data.split))
    messages = timed("annotate", lambda: annotate(messages, clusters, frozen.split, cfg.audit))
    private = timed("personal data", lambda: personal.scan(messages))
    inputs = checks.Inputs(messages, found.rows, private, None, cfg.audit)
    timed("checks", lambda: checks.find_issues(inputs))
    groups = timed("periods", lambda: periods(messages, cfg.audit))
    timed("drift", lambda: drift.compare(messages, None, groups, cfg.audit))
    tables = (duplicate_table, conflict_table, lambda frame: slice_table(frame, ["channel"]))
    timed("tables", lambda: [table(messages) for table in tables])
    (root() / path).unlink()
    return {
        "rows": rows,
        "seconds": round(sum(steps.values()), 1),
        "clusters": found.clusters,
        "steps": steps,
    }


def measured(rows: int) -> str:
    """One line of JSON for the process that compares sizes."""
    return json.dumps(measure(rows))


def _peak(process: subprocess.Popen[str]) -> float:
    """Highest memory of a process and its helpers together until it ends, in GB (resident sets)."""
    peak, family = 0, psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.Error):  # one that has just ended
            every = [family, *family.children(recursive=True)]
            peak = max(peak, sum(one.memory_info().rss for one in every))
        time.sleep(EVERY)
    return peak / 1e9


def run(sizes: list[int]) -> str:
    """Measure each size in a process of its own; write table, record and figure."""
    from roadworthy.timings import machine  # brings torch, which the measured processes do without

    at, results = commit(), []
    for rows in sizes:
        command = [sys.executable, "-m", "roadworthy", "scaling", "--one", str(rows)]
        with subprocess.Popen(command, cwd=root(), stdout=subprocess.PIPE, text=True) as process:
            peak = _peak(process)
            said = process.communicate()[0]
        if process.returncode:
            raise UserError(f"scaling stopped at {rows:,} rows: see the error above")
        last = json.loads(said.splitlines()[-1]) | {"peak_gb": round(peak, 2)}
        results.append(last)
        print(f"{rows:>9,} rows: {last['seconds']:>7.1f} s, {last['peak_gb']:.2f} GB", flush=True)  # noqa: T201
    folder = root() / "reports" / "timings"
    folder.mkdir(parents=True, exist_ok=True)
    record = {"commit": at, "machine": machine(threads=1, accelerator="cpu")}
    text = json.dumps(record | {"results": results}, indent=1) + "\n"
    drafts.write_text(folder / "audit_scaling.json", text)
    figure = plots.curve(pd.DataFrame(results))
    drafts.write_figure(folder / "audit_scaling.png", figure)
    return "reports/timings/audit_scaling.json, audit_scaling.png"
