"""The stop-watch: percentiles in order, rates positive, the machine described."""

import time

import numpy as np
import pytest

from roadworthy import store
from roadworthy.config import parse
from roadworthy.data import sha256
from roadworthy.drafts import DRAFT
from roadworthy.errors import UserError
from roadworthy.timings import _same_data, latency, machine, throughput, timed


class Sleeper:
    """Answers after two milliseconds a call."""

    def predict_proba(self, texts):
        time.sleep(0.002)
        return np.full((len(texts), 2), 0.5)


def test_latency_counts_every_message_and_orders_percentiles():
    row = latency(Sleeper(), ["x"] * 30)
    assert row["n"] == 30
    assert 2.0 <= row["p50"] <= row["p95"] <= row["p99"]


def test_throughput_is_messages_per_second():
    rate = throughput(Sleeper(), ["x"] * 10)
    assert 0 < rate <= 10 / 0.002


def test_the_machine_is_described():
    about = machine(2, "cpu")
    assert about["cores"] >= 1
    assert about["threads"] == 2
    assert about["cpu"]


def test_what_is_paid_by_the_call_is_not_timed():
    assert timed(["keyword", "endpoint", "probe"]) == ["keyword", "probe"]


def test_models_of_other_data_are_not_timed_under_its_name(tiny, monkeypatch):
    from roadworthy.config import compose

    monkeypatch.setenv(DRAFT, str(tiny))
    settings, path = parse(compose(["data=tiny"])), "data/tiny/rows.csv"
    made = {"path": path, "sha256": sha256(tiny / path)}
    store.write_metrics("audit", {"sources": [made]})
    _same_data(settings)
    for other in (made | {"path": "data/other.csv"}, made | {"sha256": "0" * 64}):
        store.write_metrics("audit", {"sources": [other]})
        with pytest.raises(UserError, match="about data set 'tiny' as it is now: run `dvc repro`"):
            _same_data(settings)
