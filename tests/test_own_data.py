"""A CSV the project has never seen: a folder, a file in conf/data/, git add, one command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from clones import fresh, succeed

pytestmark = pytest.mark.slow

TOPICS = {
    "opening": ["are you open", "when do you close", "which hours do you keep", "is the shop shut"],
    "parking": [
        "where can I park",
        "is there a car park",
        "what does parking cost",
        "may I leave my van",
    ],
    "tickets": [
        "how much is a ticket",
        "do you sell passes",
        "is there a child price",
        "can I book entry",
    ],
}
ENDINGS = [
    "on Monday",
    "on Sunday",
    "in winter",
    "at Easter",
    "tonight",
    "tomorrow",
    "next week",
    "in August",
]


def test_a_csv_the_project_has_never_seen(tmp_path: Path):
    """In a temporary checkout, so the workspace stays."""
    clone = fresh(tmp_path / "clone")
    folder = clone / "data" / "mine"
    folder.mkdir()
    with (folder / "mail.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["topic", "ignored", "message"])
        for topic, openings in TOPICS.items():
            writer.writerows(
                [topic, "x", f"{opening} {ending}?"] for opening in openings for ending in ENDINGS
            )
    option = "name: mine\nfiles:\n  - path: data/mine/mail.csv\ntext: message\nlabel: topic\n"
    (clone / "conf" / "data" / "mine.yaml").write_text(option)
    succeed(clone, "git", "add", "data/mine", "conf/data/mine.yaml")
    before = (clone / "reports" / "metrics" / "audit.json").read_bytes()
    options = ["--temp", "-n", "mine", "-S", "profile=smoke", "-S", "data=mine"]
    succeed(clone, "dvc", "exp", "run", *options, minutes=20)
    assert (clone / "reports" / "metrics" / "audit.json").read_bytes() == before
    succeed(clone, "dvc", "exp", "branch", "mine", "mine")
    verdict = json.loads(succeed(clone, "git", "show", "mine:reports/metrics/readiness.json"))
    evaluated = json.loads(succeed(clone, "git", "show", "mine:reports/metrics/evaluate.json"))
    assert verdict
    assert evaluated["rows"]["test"] > 0
