"""A CSV the project has never seen: a folder, a file in conf/data/, git add, one command."""

from __future__ import annotations

import csv
import json
import re
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
OTHER = ["who are you", "thank you", "is it going to rain", "sing me a song", "what is love", "hm"]
OPTION = """name: mine
files:
  - path: data/mine/mail.csv
id: number
text: message
label: topic
out_of_scope: other
decisions: data/mine/decisions.csv
"""


def test_a_csv_the_project_has_never_seen(tmp_path: Path):
    """In a temporary checkout, so the workspace stays."""
    clone = fresh(tmp_path / "clone")
    folder = clone / "data" / "mine"
    folder.mkdir()
    with (folder / "mail.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["topic", "number", "message"])
        rows = [
            [topic, f"{topic}-{start}-{end}", f"{opening} {ending}?"]
            for topic, openings in TOPICS.items()
            for start, opening in enumerate(openings)
            for end, ending in enumerate(ENDINGS)
        ]
        writer.writerows([*rows, *(["other", f"other-{n}", word] for n, word in enumerate(OTHER))])
    decided = {id: "other" if place % 2 else topic for place, (topic, id, _) in enumerate(rows[:9])}
    lines = ["id,label", *(f"{id},{label}" for id, label in decided.items())]
    (folder / "decisions.csv").write_text("\n".join(lines) + "\n")
    (clone / "conf" / "data" / "mine.yaml").write_text(OPTION)
    succeed(clone, "git", "add", "data/mine", "conf/data/mine.yaml")
    before = (clone / "reports" / "metrics" / "audit.json").read_bytes()
    options = ["--temp", "-n", "mine", "-S", "profile=smoke", "-S", "data=mine"]
    options += ["-S", "finetune.trainer.devices=2"]  # the notebook's training, in two processes
    succeed(clone, "dvc", "exp", "run", *options, minutes=20)
    assert (clone / "reports" / "metrics" / "audit.json").read_bytes() == before
    succeed(clone, "dvc", "exp", "branch", "mine", "mine")
    verdict = json.loads(succeed(clone, "git", "show", "mine:reports/metrics/readiness.json"))
    evaluated = json.loads(succeed(clone, "git", "show", "mine:reports/metrics/evaluate.json"))
    assert verdict
    tuned = json.loads(succeed(clone, "git", "show", "mine:reports/metrics/finetune.json"))
    assert tuned["examples_seen"] == tuned["train_rows"]  # one epoch, each row once, by one of both
    page = succeed(clone, "git", "show", "mine:reports/notebooks/04_finetune.ipynb")
    assert re.search(r"devices[^0-9a-z]+2\b", page)
    review = json.loads(succeed(clone, "git", "show", "mine:reports/metrics/clean.json"))["review"]
    table = succeed(clone, "git", "show", "mine:reports/tables/clean/decisions.csv")
    aside = [row for row in csv.DictReader(table.splitlines()) if "fits none" in row["reason"]]
    assert len(aside) == review["set_aside"] > 0
    assert {(row["action"], decided[row["id"]]) for row in aside} == {("drop", "other")}
    assert (review["relabelled"], review["looked_at"] > len(aside)) == (0, True)
    assert evaluated["rows"]["test"] > 0
