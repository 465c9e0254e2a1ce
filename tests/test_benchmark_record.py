"""Seeds of several runs on one record, each score with its seed."""

from __future__ import annotations

import benchmarks
import numpy as np
import pytest

from roadworthy.benchmark_record import mean, merged, over_seeds, seeds_of


def test_the_interval_of_a_mean_is_students():
    found = mean([0.94, 0.95, 0.96])
    half = 4.302652730 * 0.01 / 3**0.5
    assert found["value"] == pytest.approx(0.95)
    assert found["high"] - found["value"] == pytest.approx(half)
    assert found["value"] - found["low"] == pytest.approx(half)
    assert np.isnan(mean([0.9])["high"])


def models(*accuracies: float, first: int = 0, risk: list[float | None] | None = None):
    risks = risk or [0.04] * len(accuracies)
    seeds = [
        {"lora": {"accuracy": a, "risk": r, "scope": {"energy": {"auroc": a / 2}}}}
        for a, r in zip(accuracies, risks, strict=True)
    ]
    facts = benchmarks.facts(len(accuracies), first)
    together = {"accuracy": mean([max(accuracies)]), "of": [one["seed"] for one in facts]}
    return over_seeds(seeds) | {"ensemble": together, "facts": facts}


def result(key: str, found: dict, few: dict | None = None) -> dict:
    return {
        "title": "A set",
        "key": key,
        "models": found,
        "few": few or {},
        "seeds": seeds_of(found),
    }


def test_another_seed_is_added_and_a_known_one_replaced():
    known = result("k", models(0.90, 0.92, risk=[None, 0.02]), {"5": models(0.5, 0.6)})
    found = result("k", models(0.93, 0.94, first=1, risk=[None, 0.03]), {"10": models(0.7)})
    both = merged(known, found)
    assert both["seeds"] == [0, 1, 2]
    lora = both["models"]["lora"]
    assert lora["accuracy"]["seeds"] == [0.90, 0.93, 0.94]
    assert lora["accuracy"]["value"] == pytest.approx(np.mean([0.90, 0.93, 0.94]))
    assert lora["risk"]["seeds"] == [None, None, 0.03]
    assert lora["scope"]["energy"]["auroc"]["seeds"] == [0.45, 0.465, 0.47]
    assert [facts["seed"] for facts in both["models"]["facts"]] == [0, 1, 2]
    assert list(both["few"]) == ["5", "10"]
    assert both["few"]["5"] == known["few"]["5"]
    # Not a mean over seeds: it stays with those that it is about.
    assert both["models"]["ensemble"] == found["models"]["ensemble"]


def test_a_run_of_nothing_new_changes_nothing():
    known = result("k", models(0.90, 0.92), {"5": models(0.5, 0.7)})
    assert merged(known, known) == known


def test_other_settings_replace_what_is_on_record_and_that_is_said(caplog):
    known, found = result("k", models(0.90, 0.92)), result("other", models(0.95))
    assert merged(None, found) == found
    assert not caplog.records
    assert merged(known, found) == found
    assert "A set: other settings than on record" in caplog.text


def test_a_score_that_only_some_seeds_have_is_kept_for_them():
    known, found = models(0.90), models(0.92, first=1)
    known["lora"]["old"] = mean([0.1])
    known["lora"]["scope"] = None
    found["boosted"] = {"accuracy": mean([0.75])}
    both = merged(result("k", known), result("k", found))["models"]
    assert both["lora"]["old"]["seeds"] == [0.1, None]
    assert both["boosted"]["accuracy"]["seeds"] == [None, 0.75]
    assert both["lora"]["scope"]["energy"]["auroc"]["seeds"] == [None, 0.46]
