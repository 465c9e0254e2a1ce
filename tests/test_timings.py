"""The stop-watch: percentiles in order, rates positive, the machine described."""

import time

import numpy as np

from roadworthy.timings import latency, machine, throughput, timed


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
