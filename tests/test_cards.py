"""The cards: what was measured is shown, what was not says so, and no value acts as markup."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadworthy import data_card, markdown, model_card

ROOT = Path(__file__).resolve().parents[1]
PINNED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

SCORE = {"value": 0.9, "low": 0.87, "high": 0.93, "n": 1234}
EVALUATE = {
    "confidence": 0.95,
    "best_baseline": "probe",
    "guard": None,
    "models": {
        "lora": {
            "accuracy": SCORE,
            "macro_f1": SCORE,
            "ece_before": 0.05,
            "ece_after": 0.02,
            "mcnemar": {"difference": {"value": 0.03}, "p_value": 0.01},
            "selective": {"coverage": 0.8, "risk": 0.04},
        },
        "probe": {"accuracy": SCORE | {"value": 0.87}},
        "majority": {"accuracy": SCORE | {"value": 0.1}},
    },
}
READINESS = {
    "verdict": "no-go",
    "reasons": ["coverage"],
    "criteria": [
        {
            "name": "coverage",
            "verdict": "fail",
            "value": 0.8,
            "baseline": None,
            "direction": "at_least",
            "threshold": 0.85,
            "unit": "share automated",
            "evidence": "reports/metrics/evaluate.json",
        },
        {
            "name": "gain",
            "verdict": "pass",
            "value": 0.9,
            "baseline": 0.7,
            "direction": "at_most",
            "threshold": 0.5,
            "unit": "accuracy | gained",
            "owner": "lead",
            "evidence": "reports/metrics/evaluate.json",
        },
        {"name": "speed", "verdict": "unknown", "value": None, "direction": "at_most"},
    ],
}


def _each(path: str, splits: tuple[str, ...], wanted: dict[str, str]) -> dict[str, str]:
    """Where the data card looks for what it shows by split."""
    return {
        f"{path.format(one)}.{key}": f"{path.format(one)}.{key}"
        for one in splits
        for key in wanted.values()
    }


def test_data_card_shows_the_record():
    # In the shape of reports/metrics/audit.json and clean.json; held to it further below.
    audit: dict[str, Any] = {
        "rows": 620,
        "classes": 16,
        "leakage": {"validation": 3, "test": 2, "test_share": 0.0125},
        "freshness": {"newest": "2026-10-30", "as_of": "2026-11-23", "age_days": 24},
        "sources": [
            {
                "path": "data/a.csv",
                "rows": 620,
                "newest": None,
                "age_days": None,
                "sha256": "f" * 64,
            }
        ],
        "split": {
            "test_id_sha256": "e" * 64,
            "brought": False,
            "seed": 20,
            "train": 400,
            "validation": 100,
            "test": 120,
        },
    }
    audit["decisions"] = {"test": dict(zip(data_card.LOOKED.values(), (9, 5, 3, 1), strict=True))}
    clean = {"chosen": "drop", "test_noise": {"estimate": 0.031, "low": 0.01, "high": 0.05}}
    card = data_card.render(
        {"title": "Helpdesk", "licence": "CC BY 4.0", "owner": "lead"}, audit, clean
    )
    assert card.startswith("# Data card: Helpdesk\n")
    for shown in (
        "CC BY 4.0",
        "e" * 64,
        "f" * 64,
        "**Training rows**: 400",
        "| test | not measured | not measured | 0.031 | 0.01 | 0.05 |",
        "| test | 9 | 5 | 3 | 1 |",
        "| train | not measured |",
        "flattered",
        "**Messages**: 620",
        "**Validation rows**: 100",
        "**Test rows**: 120",
        "(share)**: 0.0125",
        "(2026-11-23)",
    ):
        assert shown in card
    del audit["split"]["validation"]
    assert "**Validation rows**: not measured" in data_card.render({}, audit, clean)
    assert "**Brought by the data**: no" in card


def test_data_card_says_in_what_messages_drift():
    compared = {
        "train, test": {"labels": {"drift": False}, "length": {"drift": False}},
        "before, since": {"labels": {"drift": True}, "length": {"drift": False}},
    }
    card = data_card.render({}, {"drift": {"comparisons": compared}}, {})
    assert "| train, test | nothing |" in card
    assert "| before, since | labels |" in card


def test_cards_without_any_record_say_not_measured():
    card = data_card.render({}, {}, {})
    assert card.count("not measured") >= 10
    card = model_card.render({}, {}, {}, {}, {}, {}, {})
    assert card.count("not measured") >= 20
    assert "**not measured**" in card
    assert not re.search(r"\b(nan|None)\b", card)


def test_model_card_shows_scores_with_intervals_counts_and_verdict():
    cost = {"currency": "USD", "models": {"lora": {"monthly": {"total": 73.2}, "per_1000": 0.73}}}
    finetune = {"train_rows": 400, "parameters": {"trainable": 1_000_000, "total": 23_000_000}}
    settings = {"lora": {"r": 16, "target_modules": ["query", "key"]}, "learning_rate": 0.0015}
    encoder = {"max_length": 128, "sha256": PINNED}
    card = model_card.render(
        {"title": "Helpdesk"}, encoder, settings, finetune, EVALUATE, cost, READINESS
    )
    assert "0.900 (0.870 to 0.930, n = 1,234)" in card
    assert "**no-go**: coverage." in card
    where = "reports/metrics/evaluate.json"
    assert (
        f"| coverage | fail | 0.8 | at least 0.85 | share automated | not measured | {where} |"
        in card
    )
    assert f"| gain | pass | 0.2 | at most 0.5 | accuracy \\| gained | lead | {where} |" in card
    assert "| speed | unknown | not measured | at most not measured |" in card
    assert "**Trainable parameters**: 1,000,000" in card
    assert "**Adapted layers**: query, key" in card
    assert "| Logistic regression, frozen encoder |" in card
    assert "majority" not in card
    assert "Apache-2.0" in card
    assert "**Messages of no known class held back by**: not measured" in card
    assert "**Latency p95 (ms)**: not measured" in card


def test_every_table_row_has_as_many_cells_as_its_header():
    card = model_card.render({}, {}, {}, {}, EVALUATE, {}, READINESS)
    blocks = [part.splitlines() for part in card.split("\n\n") if part.startswith("|")]
    assert [len(table) for table in blocks] == [5, 4]
    for table in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_only_known_weights_have_a_name_and_a_licence():
    known = model_card.render({}, {"package": "some", "sha256": PINNED}, {}, {}, {}, {}, {})
    other = model_card.render({}, {"package": "some", "sha256": "0" * 64}, {}, {}, {}, {}, {})
    assert "all-MiniLM-L6-v2 (Apache-2.0) with" in known
    assert "MiniLM" not in other
    assert "Apache" not in other
    assert "encoder of the package some (licence: see that package)" in other
    assert "customer" not in known + other


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ("audit", data_card.SPLITS),
        ("audit", _each("decisions.{}", ("train", "validation", "test"), data_card.LOOKED)),
        ("clean", data_card.NOISE),
        ("clean", _each("{}_noise", ("validation", "test"), data_card.DOUBTED)),
        ("finetune", model_card.SIZE | model_card.TRAINING),
        ("evaluate", model_card.JUDGES | model_card.JUDGED),
        ("cost", model_card.MONEY),
        ("params", model_card.RECIPE),
    ],
)
def test_the_cards_look_where_the_records_hold_it(record, wanted):
    if record == "params":
        tree = yaml.safe_load((ROOT / "params.yaml").read_text())["finetune"]
    else:
        tree = json.loads((ROOT / f"reports/metrics/{record}.json").read_text())
    for path in wanted.values():
        first, *rest = path.split(".")
        shared = record in ("evaluate", "cost") and first in ("lora", "reference", "all")
        found = tree["models"]["lora"] if shared and first == "lora" else tree
        keys = rest if shared else [first, *rest]
        for key in keys:
            if found is None:
                break
            assert key in found, path
            found = found[key]


def test_hostile_text_is_shown_not_run():
    hostile = "<script>alert(1)</script> | [x](javascript:y)\n# head `code` **b**"
    shown = markdown.text(hostile)
    assert "<" not in shown
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[|`\[\]*]", shown)
    card = data_card.render({"title": hostile, "origin": hostile}, {}, {})
    assert "<script>" not in card
    assert "\n# head" not in card


def test_values_are_shown_plainly():
    assert markdown.text(None) == markdown.text("") == "not measured"
    assert markdown.text(0) == "0"
    assert markdown.text(0.0) == "0"
    assert markdown.text(True) == "yes"
    assert markdown.text([]) == "none"
    assert markdown.text(1234567) == "1,234,567"
    assert markdown.interval({"value": 0.5, "low": None, "high": 0.6}) == "not measured"
    assert markdown.interval({"value": 1, "low": 0.5, "high": 1.0}) == "1.000 (0.500 to 1.000)"
    assert markdown.find({"a": {"b": 0}}, "a.b") == 0
    assert markdown.find({"a": 1}, "a.b") is None
