"""The made-up rows of the scaling command look like data; the figure draws each size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd

from roadworthy import scaling
from roadworthy.duplicates import find
from roadworthy.plots import scaling as plots

MESSAGES = pd.DataFrame(
    {
        "label": ["refund"] * 6 + ["track"] * 6,
        "text": [
            f"My {what} broke on day one. Please send the money back to me. It cost {n} euro."
            for n, what in enumerate(["lamp", "chair", "kettle", "mirror", "rug", "shelf"])
        ]
        + [
            f"Where is my {what} now? The map shows a van in town {n}. Nobody rang the bell."
            for n, what in enumerate(["lamp", "chair", "kettle", "mirror", "rug", "shelf"])
        ],
    }
)


def test_rows_are_made_of_sentences_of_their_label_and_some_repeat(project: Path):
    scaling.write_rows("scratch/x.csv", MESSAGES, 400, seed=1)
    rows = pd.read_csv(project / "scratch" / "x.csv")
    assert len(rows) == 400
    assert rows["id"].is_unique
    assert pd.to_datetime(rows["created_at"]).is_monotonic_increasing
    pool = scaling.sentences(MESSAGES)
    fresh = rows[~rows["text"].duplicated()]
    assert fresh["text"].str.contains(r"QH-\d{6}").all()
    sample = fresh.iloc[0]
    assert any(sentence in sample["text"] for sentence in pool[sample["label"]])
    assert find(rows["text"]).clusters > 0
    again = (project / "scratch" / "x.csv").read_bytes()
    scaling.write_rows("scratch/x.csv", MESSAGES, 400, seed=1)
    assert (project / "scratch" / "x.csv").read_bytes() == again


def test_memory_is_watched_with_that_of_helpers():
    child = "import time; held = bytearray(200_000_000); time.sleep(1)"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], text=True) as process:
        assert 0.2 < scaling._peak(process) < 0.4


def test_the_curve_has_a_point_per_size():
    results = pd.DataFrame({"rows": [10, 100], "seconds": [1.0, 11.0], "peak_gb": [0.3, 0.4]})
    figure = plots.curve(results)
    assert [len(axis.lines[0].get_xdata()) for axis in figure.axes] == [2, 2]
