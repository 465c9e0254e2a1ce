"""The stage ``cost`` and its levers: numbers computed by hand, and missing timings."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from roadworthy import cost, sensitivity
from roadworthy.errors import UserError
from roadworthy.plots import cost as figures
from roadworthy.pricing import Measured, bill, capacity, instances, per_message
from roadworthy.settings import Api, Cost

CFG = Cost(
    prices_as_of="2026-01-01",
    volume=100_000,
    peak=6.0,
    utilisation=0.5,
    instances=1,
    instance="two cores",
    instance_price=0.1,
    storage_price=0.02,
    retrainings=2.0,
    restarts=4.0,
    error_price=0.5,
    routing_price=0.3,
    apis=[
        Api("small", "2026-01-01", "a list", 1000, 10, 0.1, 1.0),
        Api("large", "2026-01-01", "a list", 1000, 10, 5.0, 10.0),
    ],
)
LORA = Measured(0.9, 1e9, 20.0, {"p50": 40.0, "p95": 60.0, "p99": 80.0}, 30.0, 3600.0)
PROBE = replace(LORA, accuracy=0.85, size_bytes=5e8, throughput=40.0, train_seconds=36.0)


def timing(speed: float, fit: float, rows: int) -> dict[str, Any]:
    return {
        "latency_ms": {"p50": 10.0, "p95": 20.0, "p99": 30.0, "n": 50},
        "throughput_per_s": speed,
        "load_seconds": 3.0,
        "fit_seconds": fit,
        "fit_rows": rows,
    }


def test_a_month_as_it_is_served_is_people_mistakes_and_machines():
    served = {"coverage": 0.6, "risk": 0.04}
    found = cost.as_served(served, 70.0, CFG)
    assert found["people"] == pytest.approx(100_000 * 0.4 * 0.3)
    assert found["errors"] == pytest.approx(100_000 * 0.6 * 0.04 * 0.5)
    assert found["machines"] == 70.0
    assert found["total"] == pytest.approx(12_000 + 1_200 + 70)
    assert found["by_people_alone"] == pytest.approx(30_000)
    assert found["saving"] == pytest.approx(30_000 - 13_270)
    nothing = cost.as_served({"coverage": 0.0, "risk": None}, 70.0, CFG)
    assert nothing["errors"] == 0
    assert nothing["saving"] == pytest.approx(-70)  # the machines are paid for nothing
    assert cost.as_served(served, None, CFG)["saving"] is None


@pytest.fixture
def records() -> dict[str, dict[str, Any]]:
    scores = {
        name: {"accuracy": {"value": value}} for name, value in (("tfidf", 0.8), ("lora", 0.9))
    }
    return {
        "baseline": {"train_rows": 200, "models": {"tfidf": {"size_bytes": 1000}}},
        "finetune": {
            "train_rows": 200,
            "examples_seen": 2000,
            "models": {"lora": {"size_bytes": 9e7}},
        },
        "evaluate": {"models": scores},
        "reference": {
            "machine": {"cpu": "test", "cores": 2},
            "measured_on": "2026-01-01",
            "data": "toy",
            "models": {"tfidf": timing(500.0, 2.0, 100), "lora": timing(20.0, 12.0, 500)},
        },
    }


def test_training_is_scaled_to_rows_and_to_examples_seen(records):
    models = cost.measured(**records)
    assert models["tfidf"].train_seconds == pytest.approx(2.0 * 200 / 100)
    assert models["lora"].train_seconds == pytest.approx(12.0 * 2000 / 500)
    assert list(models) == ["tfidf", "lora"]


def test_a_month_by_hand():
    month = bill(LORA, CFG)
    assert month.instances == 1
    assert month.rent == pytest.approx(73.0)
    assert month.storage == pytest.approx(0.02)
    assert month.training == pytest.approx(0.2)
    assert month.total == pytest.approx(73.22)
    assert month.per_1000 == pytest.approx(0.7322)
    assert month.errors == pytest.approx(5000.0)
    assert month.total_with_errors == pytest.approx(5073.22)


def test_capacity_leaves_room_for_peaks_and_is_never_below_the_configured_minimum():
    assert capacity(LORA, CFG) == pytest.approx(20 * 0.5 / 6 * 730 * 3600)
    full = int(capacity(LORA, CFG))
    assert bill(LORA, replace(CFG, volume=full)).instances == 1
    assert bill(LORA, replace(CFG, volume=full + 1)).instances == 2
    assert bill(LORA, replace(CFG, instances=3)).instances == 3
    assert instances(300.0, 100.0, 1) == 3


def test_apis_are_priced_by_the_token_and_have_no_accuracy(records):
    assert per_message(CFG.apis[0]) == pytest.approx((1000 * 0.1 + 10 * 1.0) / 1e6)
    result = cost.record(cost.measured(**records), records["reference"], CFG)
    assert result["apis"]["small"]["monthly"] == pytest.approx(11.0)
    assert result["apis"]["small"]["per_1000"] == pytest.approx(0.11)
    assert result["apis"]["small"]["accuracy"] is None
    assert result["cheapest"] == "small"
    assert result["cheapest_with_errors"] == "lora"


def test_record_holds_what_the_gates_read(records):
    result = cost.record(cost.measured(**records), records["reference"], CFG)
    lora = result["models"]["lora"]
    assert lora["compute_seconds_per_1000"] == pytest.approx(50.0)
    assert lora["marginal_per_1000"] == pytest.approx(50.0 / 3600 * 0.1)
    assert lora["downtime_minutes"] == pytest.approx(4 * 3.0 / 60)
    assert lora["latency_ms_p95"] == 20.0
    assert lora["monthly"]["total"] == pytest.approx(sum(lora["monthly"].values()) / 2)
    assert result["reference"] == {"data": "toy", "encoder": None, "measured_on": "2026-01-01"}


@pytest.mark.parametrize("broken", ["missing", "null", "zero speed"])
def test_without_a_timing_every_number_is_null_and_nothing_is_guessed(records, broken):
    models = records["reference"]["models"]
    if broken == "missing":
        del models["lora"]
    elif broken == "null":
        models["lora"]["load_seconds"] = None
    else:
        models["lora"]["throughput_per_s"] = 0
    found = cost.measured(**records)
    result = cost.record(found, records["reference"], CFG)
    lora = result["models"]["lora"]
    assert found["lora"] is None
    assert set(lora["monthly"].values()) == {None}
    assert {value for key, value in lora.items() if key != "monthly"} == {None}
    assert set(lora) == set(result["models"]["tfidf"])
    assert result["cheapest_with_errors"] == "tfidf"
    table = cost.table(result, found)
    assert "make timings" in table.loc["lora", "note"]
    assert table.loc["lora"].drop("note").isna().all()
    assert sensitivity.break_even(found, CFG, "lora", "tfidf") == {}
    assert "lora" not in set(sensitivity.sensitivity(found, CFG)["model"])


def test_a_best_baseline_that_was_never_timed_leaves_a_stated_gap(records):
    """As after a new architecture, until ``make timings`` is run again."""
    records["baseline"]["models"]["static"] = {"size_bytes": 500}
    records["evaluate"]["models"]["static"] = {"accuracy": {"value": 0.85}}
    found = cost.measured(**records)
    table = cost.table(cost.record(found, records["reference"], CFG), found)
    assert table["note"].to_dict() | {"static": ""} == {
        name: "list price; accuracy not measured" if name in ("small", "large") else ""
        for name in table.index
    }
    assert "make timings" in table.loc["static", "note"]
    assert list(sensitivity.break_even(found, CFG, "lora", "static")) == ["small", "large"]
    assert "static" not in sensitivity.spending(found, CFG, points=5)
    figures.value_for_money(table, "USD")


def test_a_misspelt_timing_is_an_error_not_a_default(records):
    records["reference"]["models"]["lora"].pop("fit_rows")
    with pytest.raises(KeyError, match="fit_rows"):
        cost.measured(**records)


def test_without_an_accuracy_errors_have_no_price(records):
    del records["evaluate"]["models"]["lora"]
    result = cost.record(cost.measured(**records), records["reference"], CFG)
    assert result["models"]["lora"]["errors_monthly"] is None
    assert result["models"]["lora"]["per_1000"] is not None
    with pytest.raises(ValueError, match="accuracy"):
        sensitivity.line(replace(LORA, accuracy=None), CFG, with_errors=True)


def test_nothing_priced_means_nothing_is_cheapest(records):
    records["reference"]["models"] = {}
    result = cost.record(cost.measured(**records), records["reference"], replace(CFG, apis=[]))
    assert result["cheapest"] is None
    assert result["cheapest_with_errors"] is None


def test_inputs_are_left_as_they_were(records):
    before = copy.deepcopy(records)
    cost.record(cost.measured(**records), records["reference"], CFG)
    assert records == before


def test_sensitivity_moves_one_assumption_at_a_time():
    levers = sensitivity.sensitivity({"lora": LORA, "later": None}, CFG)
    assert len(levers) == len(sensitivity.ASSUMPTIONS) * len(CFG.factors)
    cell = levers.set_index(["assumption", "factor"])
    assert cell.loc[("instance_price", 2.0), "total"] == pytest.approx(146.0 + 0.02 + 0.4)
    assert cell.loc[("error_price", 2.0), "change"] == pytest.approx(0.0)
    assert cell.loc[("error_price", 2.0), "change_with_errors"] == pytest.approx(5000.0)
    assert cell.loc[("volume", 0.5), "value"] == 50_000
    assert cell.loc[("retrainings", 0.5), "change"] == pytest.approx(-0.1)
    assert cell.loc[("throughput", 0.5), "value"] == pytest.approx(10.0)


def test_break_even_against_an_api_by_hand():
    small = sensitivity.first_cheaper(
        sensitivity.line(LORA, CFG), sensitivity.api_line(CFG.apis[0]), 1e9
    )
    assert small == pytest.approx(73.22 / 1.1e-4)
    found = sensitivity.break_even({"lora": LORA, "probe": PROBE}, CFG, "lora", "probe")
    assert found["small"] == pytest.approx(small)
    # Five points fewer errors at 0.5 each, against the dearer storage and training.
    extra = 73.22 - (73.0 + 0.01 + 2 * 36 / 3600 * 0.1)
    assert found["probe, errors included"] == pytest.approx(extra / (0.05 * 0.5))


def test_break_even_is_the_first_crossing_also_where_instances_are_added():
    one = sensitivity.Line(fixed=10.0, each=0.0, step=100.0, capacity=1000.0, least=1)
    other = sensitivity.Line(fixed=0.0, each=0.105)
    # 110 at one instance: the other reaches 105 at 1,000; 210 at two: crossed at 2,000 exactly.
    assert sensitivity.first_cheaper(one, other, 1e5) == pytest.approx(2000.0)
    assert sensitivity.first_cheaper(one, other, 1500.0) is None
    volumes = [value for value in range(1, 2000) if one.at(value) <= other.at(value)]
    assert volumes == []


def test_break_even_is_none_when_never_and_zero_when_always():
    cheap, dear = sensitivity.Line(1.0, 0.1), sensitivity.Line(2.0, 0.2)
    assert sensitivity.first_cheaper(cheap, dear, 1e6) == 0.0
    assert sensitivity.first_cheaper(dear, cheap, 1e6) is None
    worse = replace(LORA, accuracy=0.5)
    found = sensitivity.break_even({"lora": worse, "probe": PROBE}, CFG, "lora", "probe")
    assert found["probe, errors included"] is None


@pytest.mark.parametrize("factors", [[], [0.0], [2.0, -1.0], [float("nan")], [float("inf")]])
@pytest.mark.parametrize("models", [{"lora": LORA}, {"lora": None}])
def test_factors_that_multiply_to_nonsense_are_refused(factors, models):
    with pytest.raises(UserError, match=r"cost\.factors"):
        sensitivity.sensitivity(models, replace(CFG, factors=factors))


def test_spending_agrees_with_the_bill():
    curves = sensitivity.spending({"lora": LORA, "later": None}, CFG, points=5)
    assert list(curves.columns) == ["lora", "small", "large"]
    middle = curves.iloc[2]
    assert middle.name == pytest.approx(100_000)
    assert middle["lora"] == pytest.approx(bill(LORA, CFG).total)
    assert middle["small"] == pytest.approx(11.0)


def test_figures_draw_every_model(records):
    models = cost.measured(**records)
    table = cost.table(cost.record(models, records["reference"], CFG), models)
    curves = sensitivity.spending(models, CFG)
    figure = figures.spend(curves, CFG.volume, "USD")
    assert len(figure.axes[0].lines) == len(curves.columns) + 1
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"
    dots = figures.value_for_money(table, "USD").axes[0].collections[0].get_offsets()
    assert len(dots) == 2
    bars = figures.tornado(sensitivity.sensitivity(models, CFG), "lora", "USD").axes[0].patches
    assert len(bars) == len(sensitivity.ASSUMPTIONS) * len(CFG.factors)


def test_figures_survive_a_model_without_a_timing():
    empty = sensitivity.sensitivity({"lora": None}, CFG)
    assert not figures.tornado(empty, "lora", "USD").axes[0].patches
    none = pd.DataFrame(
        {"accuracy": [None], "total": [None], "with errors": [None]}, index=["lora"]
    )
    figure = figures.value_for_money(none.astype("float64"), "USD")
    assert len(figure.axes[0].collections[0].get_offsets()) == 0
