"""The drift tests: what moved is found, what did not is left in peace, as often as stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from roadworthy import drift
from roadworthy.settings import Audit

SETTINGS = Audit(as_of="2026-12-31", permutation_draws=99, drift_controls=20)
WORDS = ["parcel", "refund", "lamp", "chair", "order", "late", "broken", "money", "please"]


def sample(rows: int, seed: int, words: list[str] = WORDS) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(words, generator.integers(4, 9))) for _ in range(rows)]
    labels = generator.choice(["refund", "track", "pay"], rows)
    return pd.DataFrame({"text": texts, "label": labels, "cluster": np.arange(rows)})


def halves(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, dict]:
    messages = pd.concat([first, second], ignore_index=True)
    messages["cluster"] = np.arange(len(messages))
    one = np.arange(len(messages)) < len(first)
    return messages, {"one, other": (one, ~one)}


def drifted(messages: pd.DataFrame, groups: dict, vectors: np.ndarray | None = None) -> set[str]:
    table, _ = drift.compare(messages, vectors, groups, SETTINGS)
    return set(table.loc[table["drift"]].index.get_level_values("signal"))


def test_two_samples_of_the_same_kind_do_not_differ():
    assert drifted(*halves(sample(200, 1), sample(200, 2))) == set()


def test_each_signal_sees_its_own_change():
    first, other = sample(200, 1), sample(200, 2)
    moved = other.assign(label=np.where(np.arange(200) < 120, "pay", other["label"]))
    assert drifted(*halves(first, moved)) == {"labels"}
    longer = other.assign(text=other["text"] + " " + sample(200, 3)["text"])
    assert "length" in drifted(*halves(first, longer))
    assert drifted(*halves(first, sample(200, 2, [*WORDS, "swiftlark", "pod", "grow"]))) == {
        "vocabulary"
    }
    messages, groups = halves(first, other)
    vectors = np.random.default_rng(0).normal(size=(400, 16))
    assert drifted(messages, groups, vectors) == set()
    vectors[200:, 0] += 1.0
    assert drifted(messages, groups, vectors) == {"meaning"}


def test_copies_count_once():
    first, other = sample(60, 1), sample(60, 2)
    messages, groups = halves(first, pd.concat([other] + [other[:1]] * 200, ignore_index=True))
    messages.loc[120:, "cluster"] = 60
    assert drifted(messages, groups) == set()


def test_effects_have_their_definition():
    messages, groups = halves(sample(20, 1), sample(20, 2))
    messages["label"] = ["a"] * 30 + ["b"] * 10
    messages["text"] = ["x y"] * 20 + ["x y z w"] * 10 + ["q x"] * 10
    pair = drift.pair(messages, None, *groups["one, other"], seed=0)
    assert pair is not None
    effects = pair(np.arange(40)[None, :] < 20)
    assert effects["labels"][0] == pytest.approx(0.5)
    assert effects["length"][0] == pytest.approx(0.5)


def test_false_alarms_come_as_often_as_stated():
    """A p-value of at most 0.05 in about 5 of 100 divisions at random (here of 200)."""
    messages, groups = halves(sample(80, 1), sample(80, 2))
    both = drift.pair(messages, None, *groups["one, other"], seed=0)
    assert both is not None
    generator = np.random.default_rng(5)
    base = np.arange(160) < 80
    p = pd.concat(
        [
            drift.judge(both, generator.permutation(base), 99, number)["p_value"]
            for number in range(200)
        ],
        axis=1,
    )
    assert ((p <= 0.05).mean(axis=1) <= 0.09).all()
    half = (p <= 0.5).mean(axis=1)
    assert (half <= 0.62).all()
    assert half["vocabulary"] >= 0.38  # the others have ties, which make them cautious


def test_groups_that_are_too_small_or_empty_are_not_compared():
    messages, _ = halves(sample(30, 1), sample(30, 2))
    one = np.arange(60) < 4
    table, alarms = drift.compare(
        messages, None, {"few": (one, ~one), "none": (one & ~one, one)}, SETTINGS
    )
    assert table.empty
    assert drift.record(table, alarms) == {"comparisons": {}, "false_alarm_rate": {}}


def test_languages_without_spaces_and_no_controls_are_no_trouble():
    texts = [f"我的包裹在哪里{n}" for n in range(30)] + [f"请退款给我{n}" for n in range(30)]
    messages = pd.DataFrame({"text": texts, "label": "a", "cluster": range(60)})
    one = np.arange(60) < 30
    table, alarms = drift.compare(
        messages, None, {"x": (one, ~one)}, replace(SETTINGS, drift_controls=0)
    )
    assert table.loc[("x", "vocabulary"), "drift"]
    assert table["effect"].notna().all()
    assert alarms == {}


def test_the_record_has_every_comparison_and_the_alarm_rates():
    messages, groups = halves(sample(60, 1), sample(60, 2))
    table, alarms = drift.compare(messages, None, groups, SETTINGS)
    record = drift.record(table, alarms)
    assert set(record["comparisons"]["one, other"]) == {"labels", "length", "vocabulary"}
    assert set(record["comparisons"]["one, other"]["labels"]) == {
        "effect",
        "by_chance",
        "p_value",
        "rows",
        "q_value",
        "drift",
    }
    assert set(record["false_alarm_rate"]) == {"labels", "length", "vocabulary"}
    assert (table["q_value"] >= table["p_value"] - 1e-12).all()
