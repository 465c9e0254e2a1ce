"""The page and the README's table say what the record says."""

from __future__ import annotations

import benchmarks

from roadworthy import store
from roadworthy.benchmark_record import mean
from roadworthy.benchmark_table import page, percent, readme


def test_a_mean_stands_with_half_its_interval():
    assert percent(benchmarks.seeds(0.94, 0.95)) == "94.50 ± 0.40"
    assert percent({"value": 0.5, "low": None, "high": None}) == "50.00"
    assert percent({"value": None, "low": None, "high": None}) == "–"


def test_the_page_has_every_seed_and_where_it_comes_from():
    text = page(benchmarks.record())
    made = "`python -m roadworthy benchmark`: trained at commit 0123456789, judged at\n9876543210;"
    assert made in text
    assert "\nTest CPU, 1 thread(s), torch 2.\n" in text
    assert "| seeds 0, 1 together | 94.00 ± 0.40 |" in text
    assert "| accuracy | 94.50 ± 0.40 | 94.00 | 95.00 |" in text
    assert "300 training, 30 validation and 120 test rows, 3 classes; 7 test rows" in text
    assert "| 5 | 80.00 ± 0.40 | 92.00 ± 0.40 | 71.00 ± 0.40 |" in text
    assert "| all (about 100) | 80.00 ± 0.40 | 92.00 ± 0.40 | 93.00 ± 0.40 |" in text


def test_where_nothing_is_automated_there_is_no_error_rate():
    record = benchmarks.record()
    for name, score in (("one", store.plain(mean([None, 0.04]))), ("two", None)):
        record["data"][name]["models"]["lora"]["risk"] = score
    one, two = page(record).split("## Two")
    assert "| misrouted among those | 4.00 | – | 4.00 |" in one
    assert "| misrouted among those | – | – | – |" in two


def test_messages_of_no_known_class_are_shown_where_there_are_some():
    one, two = page(benchmarks.record()).split("## Two")
    assert "no known class (" not in one
    assert "no known class (50 test rows)" in two
    assert "(trade_off_" not in one
    assert "(trade_off_two.png)" in two
    assert "| nearness | 97.50 ± 0.40 | 95.00 ± 0.40 |" in two


def test_a_cheap_model_first_is_shown_where_it_was_judged():
    record = benchmarks.record()
    line = {"share": benchmarks.seeds(0.9), "loss": benchmarks.seeds(0.002)}
    line["promised"], line["loss_at_most"] = benchmarks.seeds(0.001), None
    record["data"]["one"]["models"]["lora"]["cascade"] = {"pool": line}
    one, two = page(record).split("## Two")
    assert "| TF-IDF and static, pooled | 90.00 ± 0.40 | 0.20 ± 0.40 | 0.10 ± 0.40 | – |" in one
    assert "A cheap model first" not in two


def test_the_readme_takes_the_score_that_validation_rows_choose():
    head, _, one, two, _, line = readme(benchmarks.record())
    assert one.startswith("| One | 2 | 94.50 ± 0.40 | 93.00 ± 0.40 | 92.00 ± 0.40 |")
    assert one.endswith("| – |")
    assert two.endswith("| 97.50 ± 0.40 |")
    assert head.count("|") == one.count("|") == two.count("|")
    assert "0123456789" in line
