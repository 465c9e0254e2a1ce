"""The cards: what was measured is shown, what was not says so, and no value acts as markup."""

from __future__ import annotations

import re

from roadworthy import cards, markdown

SCORE = {"value": 0.9, "low": 0.87, "high": 0.93, "n": 1234}
EVALUATE = {
    "confidence": 0.95,
    "best_baseline": "probe",
    "models": {
        "lora": {
            "accuracy": SCORE,
            "macro_f1": SCORE,
            "ece_before": 0.05,
            "ece_after": 0.02,
            "mcnemar": {"difference": {"value": 0.03}, "p_value": 0.01},
            "selective": {"coverage": 0.8, "risk": 0.04},
            "out_of_scope": None,
        },
        "probe": {"accuracy": SCORE | {"value": 0.87}},
        "majority": {"accuracy": SCORE | {"value": 0.1}},
    },
}
READINESS = {
    "verdict": "no-go",
    "reasons": ["coverage"],
    "criteria": [
        {"name": "coverage", "verdict": "fail", "evidence": "reports/metrics/evaluate.json"}
    ],
}


def test_data_card_shows_the_record():
    audit = {
        "rows": 620,
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
            "counts": {"train": 400, "test": 120},
        },
    }
    clean = {"chosen": "drop", "test_noise": {"estimate": 0.031, "low": 0.01, "high": 0.05}}
    card = cards.data_card(
        {"title": "Helpdesk", "licence": "CC BY 4.0", "owner": "lead"}, audit, clean
    )
    assert card.startswith("# Data card: Helpdesk\n")
    for shown in (
        "CC BY 4.0",
        "e" * 64,
        "f" * 64,
        "**Training rows**: 400",
        "0.031",
        "**Messages**: 620",
    ):
        assert shown in card
    assert "**Validation rows**: not measured" in card
    assert "**Brought by the data**: no" in card


def test_cards_without_any_record_say_not_measured():
    card = cards.data_card({}, {}, {})
    assert card.count("not measured") >= 10
    card = cards.model_card({}, {}, {}, {}, {}, {})
    assert card.count("not measured") >= 20
    assert "**not measured**" in card
    assert not re.search(r"\b(nan|None)\b", card)


def test_model_card_shows_scores_with_intervals_counts_and_verdict():
    cost = {"currency": "USD", "models": {"lora": {"monthly": {"total": 73.2}, "per_1000": 0.73}}}
    finetune = {"train_rows": 400, "parameters": {"trainable": 1_000_000, "total": 23_000_000}}
    settings = {"lora": {"r": 16, "target_modules": ["query", "key"]}, "learning_rate": 0.0015}
    card = cards.model_card({"max_length": 128}, settings, finetune, EVALUATE, cost, READINESS)
    assert "0.900 (0.870 to 0.930, n = 1,234)" in card
    assert "**no-go**: coverage." in card
    assert "- coverage: fail (`reports/metrics/evaluate.json`)" in card
    assert "**Trainable parameters**: 1,000,000" in card
    assert "**Adapted layers**: query, key" in card
    assert "| probe |" in card
    assert "majority" not in card
    assert "Apache-2.0" in card
    assert "**Out of scope told apart (AUROC)**: not measured" in card
    assert "**Latency p95 (ms)**: not measured" in card


def test_every_table_row_has_as_many_cells_as_its_header():
    card = cards.model_card({}, {}, {}, EVALUATE, {}, READINESS)
    table = [line for line in card.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert len({line.count("|") for line in table}) == 1


def test_hostile_text_is_shown_not_run():
    hostile = "<script>alert(1)</script> | [x](javascript:y)\n# head `code` **b**"
    shown = markdown.text(hostile)
    assert "<" not in shown
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[|`\[\]*]", shown)
    card = cards.data_card({"title": hostile, "origin": hostile}, {}, {})
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
