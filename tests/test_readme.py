"""The README's tables: made from the records, compared by --check, the rest left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import benchmarks
import pytest

from roadworthy import benchmark_table, readme
from roadworthy.errors import UserError

BEGIN, END, FIRST, LAST = (
    mark.format(name) for name in (readme.RESULTS, readme.BENCHMARKS) for mark in readme.MARKS
)
PAGE = f"# Title\n\nBefore.\n\n{BEGIN}\nold\n{END}\n\n{FIRST}\nold\n{LAST}\n\nAfter \\1.\n"


def score(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02, "n": 120}


@pytest.fixture
def records(project: Path) -> Path:
    metrics = project / "reports" / "metrics"
    metrics.mkdir(parents=True)
    models = {
        "my_own": {"accuracy": score(0.3)},
        "tfidf": {"accuracy": score(0.8), "macro_f1": score(0.75), "ece_after": 0.04},
        "lora": {"accuracy": score(0.9), "macro_f1": score(0.88), "ece_after": 0.021},
    }
    cost = {
        "machine": {"cpu": "Test CPU", "cores": 2},
        "reference": {"data": "toy", "measured_on": "2026-01-01"},
        "models": {"lora": {"latency_ms_p95": 60.0}},
    }
    content = {
        "evaluate": {
            "rows": {"test": 120, "validation": 80},
            "best_baseline": "tfidf",
            "served": {"target_risk": 0.05, "automated": 40, "wrong": 1},
            "models": models,
        },
        "finetune": {"network": {"test_accuracy": 0.8812}},
        "audit": {"gold": {"label_error_share": 0.08}},
        "clean": {
            "validation_noise": {"rows": 80, "flagged": 9, "looked_at": 0},
            "test_noise": {"rows": 120, "flagged": 7, "looked_at": 30},
        },
        "cost": cost,
        "readiness": {"verdict": "no-go", "dataset": "toy", "reasons": ["coverage", "label_noise"]},
    }
    for name, tree in content.items():
        (metrics / f"{name}.json").write_text(json.dumps(tree))
    path = project / readme.RECORD
    path.parent.mkdir()
    path.write_text(json.dumps(benchmarks.record()), encoding="utf-8")
    (project / "params.yaml").write_text("data: {name: toy, title: Toy helpdesk}\n")
    (project / "README.md").write_text(PAGE, encoding="utf-8")
    return project


def test_the_table_replaces_what_is_between_the_markers_only(records):
    message, code = readme.refresh(check=False)
    page = (records / "README.md").read_text(encoding="utf-8")
    assert code == 0
    assert "written" in message
    assert page.startswith(f"# Title\n\nBefore.\n\n{BEGIN}\n| model |")
    assert f"{END}\n\n{FIRST}\n| published" in page
    assert page.endswith(f"{LAST}\n\nAfter \\1.\n")
    assert "old" not in page
    assert not list(records.glob("*.draft"))


def test_rows_come_best_first_with_intervals_and_counts(records):
    readme.refresh(check=False)
    page = (records / "README.md").read_text(encoding="utf-8")
    page = page.split(END)[0]
    lines = [line for line in page.splitlines() if line.startswith("| ")][2:]
    assert lines[0] == (
        "| **LoRA fine-tuned encoder and TF-IDF** | 0.900 (0.880 to 0.920, n = 120) | 0.880 "
        "| 0.021 | 60.0 |"
    )
    assert lines[1].startswith("| TF-IDF + linear model (best baseline) | 0.800")
    assert lines[1].endswith("| 0.040 | not measured |")
    assert lines[2].startswith("| my\\_own | 0.300")
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1


def test_what_would_round_to_nothing_is_not_shown_as_nothing():
    assert readme._fixed(0.0015, 1) == "under 0.1"
    assert readme._fixed(0.0, 1) == "0.0"
    assert readme._fixed(1234.5, 2) == "1,234.50"
    assert readme._fixed(None, 2) == "not measured"


def test_the_verdict_on_another_data_set_is_not_repeated(records):
    (records / "params.yaml").write_text("data: {name: mine, title: My messages}\n")
    readme.refresh(check=False)
    page = (records / "README.md").read_text(encoding="utf-8")
    assert "**not judged yet**. At an accepted error rate of 0.05 it would answer 40 of" in page
    assert "without a person, 1 of them wrongly. Data: My messages" in page
    assert "no-go" not in page


def test_the_line_below_says_verdict_data_command_and_machine(records):
    readme.refresh(check=False)
    page = (records / "README.md").read_text(encoding="utf-8")
    assert "**no-go** because of coverage, label\\_noise." in page
    for word in (
        "Toy helpdesk",
        "120 test",
        "`make repro`",
        "Test CPU, 2 cores, with messages of toy. Without TF-IDF the fine-tuned encoder has 0.881.",
    ):
        assert word in page


def test_the_labels_behind_the_numbers_are_told_of_any_data_set(records):
    readme.refresh(check=False)
    page = (records / "README.md").read_text(encoding="utf-8")
    assert (
        "a model doubts 9 of 80 validation and 7 of 120 test labels that nobody has looked at "
        "again; people have looked at 0 validation and 30 test labels. By verified labels 8.0% of "
        "all are wrong as filed."
    ) in page
    path = records / "reports" / "metrics" / "audit.json"
    path.write_text('{"gold": {"label_error_share": null}}')
    readme.refresh(check=False)
    assert "as filed" not in (records / "README.md").read_text(encoding="utf-8")


def test_check_compares_and_writes_nothing(records):
    assert readme.refresh(check=True)[1] == 1
    assert (records / "README.md").read_text(encoding="utf-8") == PAGE
    readme.refresh(check=False)
    assert readme.refresh(check=True) == ("readme: the tables are up to date", 0)


def test_a_changed_record_turns_the_check_red(records):
    readme.refresh(check=False)
    path = records / "reports" / "metrics" / "evaluate.json"
    path.write_text(path.read_text().replace("0.021", "0.022"))
    assert readme.refresh(check=True)[1] == 1


def test_a_changed_benchmark_turns_the_check_red(records):
    readme.refresh(check=False)
    path = records / readme.RECORD
    path.write_text(path.read_text().replace("0.945", "0.946"))
    assert readme.refresh(check=True)[1] == 1


@pytest.mark.parametrize("content", ["{", '{"data": {}}'])
def test_a_damaged_benchmark_is_a_user_error(records, content):
    (records / readme.RECORD).write_text(content)
    with pytest.raises(UserError, match="make benchmark"):
        readme.refresh(check=False)


@pytest.mark.parametrize(
    "page",
    [
        "# no markers\n",
        f"{BEGIN} only\n",
        f"{END} first {BEGIN}\n",
        PAGE + PAGE,
    ],
)
def test_markers_must_be_there_once_and_in_order(records, page):
    (records / "README.md").write_text(page, encoding="utf-8")
    with pytest.raises(UserError, match="markers"):
        readme.refresh(check=False)
    assert (records / "README.md").read_text(encoding="utf-8") == page


@pytest.mark.parametrize("stage", readme.STAGES)
def test_a_missing_record_names_the_command(records, stage):
    (records / "reports" / "metrics" / f"{stage}.json").unlink()
    with pytest.raises(UserError, match=f"dvc repro {stage}"):
        readme.refresh(check=False)
    assert (records / "README.md").read_text(encoding="utf-8") == PAGE


def test_a_missing_page_is_a_user_error(records):
    (records / "README.md").unlink()
    with pytest.raises(UserError, match=r"README\.md is missing"):
        readme.refresh(check=True)


def test_what_is_committed_of_the_benchmark_agrees():
    page = Path("README.md").read_text(encoding="utf-8")
    assert readme.replaced(page, readme.BENCHMARKS, readme._benchmarks()) == page
    record = Path(readme.RECORD)
    table = (record.parent / "table.md").read_text(encoding="utf-8")
    assert table == benchmark_table.page(json.loads(record.read_text(encoding="utf-8")))
