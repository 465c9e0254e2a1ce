"""Engines beside one another on synthetic frames: every flip and every rerouted message is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frames import frame, messages, no_gold, record

from roadworthy import evaluate, parity, scope
from roadworthy.predictions import Judged, gather
from roadworthy.service import AUTOMATED, UNLIKE
from roadworthy.settings import Evaluate

SETTINGS = Evaluate(resamples=50, target_risk=0.1)


def familiarity(rows: pd.DataFrame) -> pd.DataFrame:
    judged = rows[rows["split"] != "train"]
    energy = np.where(judged["label"] == "oos", -1.0, 1.0)
    energy = energy + np.random.default_rng(0).normal(size=len(judged)) * 0.1
    return pd.DataFrame({"id": judged["id"], "energy": energy, "nearness": energy})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return messages(600, 300, outside=40, held=30)


@pytest.fixture(scope="module")
def judged(rows: pd.DataFrame) -> Judged:
    torch = frame(rows, 0.93, 1)
    int8 = torch.copy()
    turned = int8.index[(int8["split"] == "test") & (int8["label"] == "card")][:4]
    columns = ["p_card", "p_parcel", "p_refund"]
    int8.loc[turned, columns] = int8.loc[turned, columns].to_numpy()[:, [1, 2, 0]]
    int8["pred"] = [c.removeprefix("p_") for c in int8[columns].idxmax(axis=1)]
    return gather({"torch": torch, "int8": int8}, rows, no_gold(), record(rows))


@pytest.fixture(scope="module")
def decided(judged: Judged, rows: pd.DataFrame) -> dict[str, parity.Decided]:
    familiar = familiarity(rows)
    return {name: parity.decide(judged, name, familiar, SETTINGS, 0) for name in judged.models}


def test_what_an_engine_fits_is_what_evaluate_fits(judged, decided, rows):
    own = evaluate.calibrate(judged, "torch", SETTINGS, 0)
    scores = scope.scores(judged, "torch", own.scale, familiarity(rows))
    guard = scope.guard(judged, "torch", scores)
    served = scope.served(judged, "torch", scores, guard, SETTINGS.target_risk)
    expected = own.scale._asdict() | {"threshold": served.threshold, "guard": guard}
    assert decided["torch"].fitted == expected
    facts, routes = decided["torch"].facts, decided["torch"].routes
    assert len(routes) == 340
    assert facts["automated"] == served.automated == (routes["decision"] == AUTOMATED).sum() > 100
    strange = routes[routes["label"] == "oos"]
    assert (strange["decision"] == UNLIKE).mean() > 0.9


def test_flips_are_classes_and_reroutes_are_decisions(judged, decided):
    found = parity.compare(decided, judged)
    assert found["torch"]["flips"] == found["torch"]["rerouted"] == 0
    assert found["torch"]["largest_difference"] == 0
    assert found["int8"]["flips"] == 4
    assert found["int8"]["flips_low"] < 4 / 300 < found["int8"]["flips_high"]
    assert found["int8"]["largest_difference"] > 0.3
    before, after = (decided[name].routes["decision"] == AUTOMATED for name in ("torch", "int8"))
    assert found["int8"]["rerouted"] == (before != after).sum()
    listed = parity.otherwise(decided)
    assert (listed["pred_torch"] != listed["pred_int8"]).sum() >= 4
    assert len(listed) >= (before != after).sum()


def test_the_page_has_a_line_an_engine(judged, decided):
    times = {"p50": 1.0, "p99": 2.0}
    more = {"bytes": 1e6, "latency_ms": {"network": times, "cut": times, "served": times}}
    found = {name: one | more for name, one in parity.compare(decided, judged).items()}
    about = {
        "data": "d",
        "commit": "c0ffee",
        "source": {"network": "abc"},
        "machine": {"cpu": "a processor"},
    }
    page = parity.page(found, decided, about, 16)
    assert "| int8 | 1.0 |" in page
    assert "4 of 300" in page
    assert "commit c0ffee" in page
