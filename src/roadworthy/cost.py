"""The stage ``cost``: what will it cost a month, and which lever pays.

Nothing here reads a clock: speeds come from the committed timings reference, sizes and scores
from the records of the stages before, prices and volume from conf/cost. A model without a timing
has no price: nothing is guessed. Levers and break-even volumes are in ``sensitivity``.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from roadworthy.pricing import Measured, bill, per_message
from roadworthy.settings import Cost

UNTIMED = "no timing: run `make timings`; a model by endpoint has none, price it in cost.apis"
PERCENTILES = ("p50", "p95", "p99")


def _timed(entry: dict[str, Any] | None, examples: float) -> dict[str, Any] | None:
    """Read the timing of one model; None unless every number that a price needs is there."""
    if entry is None:
        return None
    latency = {key: entry["latency_ms"][key] for key in PERCENTILES}
    speed, load, fit, rows = (
        entry[key] for key in ("throughput_per_s", "load_seconds", "fit_seconds", "fit_rows")
    )
    if None in (*latency.values(), speed, load, fit, rows) or speed <= 0 or rows <= 0:
        return None
    seconds = float(fit) * examples / rows
    return {
        "throughput": float(speed),
        "latency_ms": latency,
        "load_seconds": float(load),
        "train_seconds": seconds,
    }


def measured(
    baseline: dict[str, Any],
    finetune: dict[str, Any],
    evaluate: dict[str, Any],
    reference: dict[str, Any],
) -> dict[str, Measured | None]:
    """List every model and its measurements, in the order of the stages; None without a timing.

    A baseline's training is scaled to ``train_rows``; the fine-tuned model's to
    ``examples_seen``, because it reads the rows once an epoch.
    """
    found: dict[str, Measured | None] = {}
    scores = evaluate["models"]
    for record, examples in ((baseline, "train_rows"), (finetune, "examples_seen")):
        for name, entry in record["models"].items():
            timed = _timed(reference["models"].get(name), record[examples])
            score = scores[name]["accuracy"]["value"] if name in scores else None
            size = entry["size_bytes"]
            found[name] = Measured(accuracy=score, size_bytes=size, **timed) if timed else None
    return found


def _entry(model: Measured, cfg: Cost) -> dict[str, Any]:
    """One model in cost.json; money in ``Cost.currency``."""
    month, seconds = bill(model, cfg), 1000 / model.throughput
    rent, storage, training = month.rent, month.storage, month.training
    parts = {"instances": rent, "storage": storage, "training": training, "total": month.total}
    return {
        **{f"latency_ms_{key}": model.latency_ms[key] for key in PERCENTILES},
        "throughput_per_s": model.throughput,
        "compute_seconds_per_1000": seconds,
        "marginal_per_1000": seconds / 3600 * cfg.instance_price,
        "instances": month.instances,
        "monthly": parts,
        "per_1000": month.per_1000,
        "errors_monthly": month.errors,
        "total_with_errors": month.total_with_errors,
        "downtime_minutes": cfg.restarts * model.load_seconds / 60,
    }


def _blank(tree: dict[str, Any]) -> dict[str, Any]:
    """Keep the keys, set every value to None."""
    return {key: _blank(value) if isinstance(value, dict) else None for key, value in tree.items()}


def _lowest(prices: dict[str, float | None]) -> str | None:
    """Name the lowest known price (the first of equals); None when no price is known."""
    known = {name: price for name, price in prices.items() if price is not None}
    return min(known, key=lambda name: known[name]) if known else None


def record(
    models: dict[str, Measured | None], reference: dict[str, Any], cfg: Cost
) -> dict[str, Any]:
    """cost.json. ``cheapest`` counts the APIs in; ``cheapest_with_errors`` cannot: no accuracy."""
    blank = _blank(_entry(Measured(None, 0, 1, dict.fromkeys(PERCENTILES, 0), 0, 0), cfg))
    entries = {name: _entry(model, cfg) if model else blank for name, model in models.items()}
    apis = {
        api.name: {
            "monthly": per_message(api) * cfg.volume,
            "per_1000": per_message(api) * 1000,
            "accuracy": None,
        }
        for api in cfg.apis
    }
    spend = {name: entry["monthly"]["total"] for name, entry in entries.items()}
    spend |= {name: entry["monthly"] for name, entry in apis.items()}
    return {
        "prices_as_of": cfg.prices_as_of,
        "currency": cfg.currency,
        "volume": cfg.volume,
        "machine": reference["machine"],
        "reference": {key: reference.get(key) for key in ("data", "encoder", "measured_on")},
        "models": entries,
        "apis": apis,
        "cheapest": _lowest(spend),
        "cheapest_with_errors": _lowest(
            {name: entry["total_with_errors"] for name, entry in entries.items()}
        ),
    }


def as_served(served: dict[str, Any], machines: float | None, cfg: Cost) -> dict[str, float | None]:
    """What a month costs with the fine-tuned model in service, and what it saves.

    People route what is not automated; misrouted are the automated messages that are wrong. Shares
    are those of the test messages.

    Args:
        served: ``coverage, risk`` (None: nothing is automated), as ``evaluate`` records them.
        machines: the month's spending; None without a timing.
        cfg: volume and prices.

    """
    automated = cfg.volume * served["coverage"]
    people = (cfg.volume - automated) * cfg.routing_price
    errors = automated * (served["risk"] or 0.0) * cfg.error_price
    alone = cfg.volume * cfg.routing_price
    total = None if machines is None else people + errors + machines
    return {
        "people": people,
        "errors": errors,
        "machines": machines,
        "total": total,
        "by_people_alone": alone,
        "saving": None if total is None else alone - total,
    }


def table(result: dict[str, Any], models: dict[str, Measured | None]) -> pd.DataFrame:
    """Show cost.json as a table: one row per model and API; money is a month's, unless named."""
    rows: list[dict[str, Any]] = []
    for name, entry in result["models"].items():
        model, monthly = models[name], entry["monthly"]
        rows.append(
            {
                "model": name,
                "accuracy": model and model.accuracy,
                "p95 ms": entry["latency_ms_p95"],
                "messages/s": entry["throughput_per_s"],
                "instances": entry["instances"],
                **{key: monthly[key] for key in ("storage", "training", "total")},
                "per 1,000": entry["per_1000"],
                "marginal per 1,000": entry["marginal_per_1000"],
                "errors": entry["errors_monthly"],
                "with errors": entry["total_with_errors"],
                "downtime min": entry["downtime_minutes"],
                "note": "" if model else UNTIMED,
            }
        )
    for name, entry in result["apis"].items():
        row = {"model": name, "total": entry["monthly"], "per 1,000": entry["per_1000"]}
        rows.append(row | {"note": "list price; accuracy not measured"})
    frame = pd.DataFrame(rows).set_index("model")
    numbers = frame.columns.drop("note")
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in numbers})
