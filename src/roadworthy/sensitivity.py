"""The levers of the monthly cost: what moves it, and from which volume on one choice beats another.

Every assumption of conf/cost is multiplied by the same factors, one at a time, so that the levers
can be compared. Used by the notebook of the stage ``cost``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from roadworthy.errors import UserError
from roadworthy.pricing import HOURS, Measured, bill, capacity, instances, per_message
from roadworthy.settings import Api, Cost

ASSUMPTIONS = ("volume", "instance_price", "throughput", "retrainings", "error_price", "peak")
HORIZON = 1000
"""A break-even is looked for up to this many times the configured volume."""


@dataclass(frozen=True)
class Line:
    """Monthly cost as volume grows: fixed + each x volume + a step for every instance."""

    fixed: float
    each: float
    """Per message."""
    step: float = 0.0
    capacity: float = math.inf
    """Messages a month that one instance serves."""
    least: int = 0

    def at(self, volume: float) -> float:
        """Cost of a month with ``volume`` messages."""
        count = instances(volume, self.capacity, self.least)
        return self.fixed + self.each * volume + self.step * count


def line(model: Measured, cfg: Cost, with_errors: bool = False) -> Line:
    """Draw a self-hosted model's monthly cost as a function of volume.

    Raises:
        ValueError: errors are asked for and the model's accuracy was not measured.

    """
    if with_errors and model.accuracy is None:
        raise ValueError("the cost of errors needs a measured accuracy")
    month = bill(model, cfg)
    wrong = 1 - model.accuracy if model.accuracy is not None else 0.0
    return Line(
        fixed=month.storage + month.training,
        each=wrong * cfg.error_price if with_errors else 0.0,
        step=HOURS * cfg.instance_price,
        capacity=capacity(model, cfg),
        least=cfg.instances,
    )


def api_line(api: Api) -> Line:
    """Draw an API's monthly cost as a function of volume: tokens only, nothing is rented."""
    return Line(0.0, per_message(api))


def _factors(cfg: Cost) -> list[float]:
    """Hand out the factors, once they are known to be finite, above 0, and at least one."""
    if not cfg.factors or not all(0 < factor < math.inf for factor in cfg.factors):
        raise UserError(
            f"config: cost.factors = {cfg.factors!r}: give at least one number, each above 0"
        )
    return cfg.factors


def _changed(
    model: Measured, cfg: Cost, assumption: str, factor: float
) -> tuple[Measured, Cost, float]:
    """Multiply one assumption; gives model, settings and that assumption's new value."""
    if assumption == "throughput":
        value = model.throughput * factor
        return replace(model, throughput=value), cfg, value
    value = getattr(cfg, assumption) * factor
    value = max(1, round(value)) if assumption == "volume" else value
    return model, replace(cfg, **{assumption: value}), value


def sensitivity(models: dict[str, Measured | None], cfg: Cost) -> pd.DataFrame:
    """One row per model, assumption and factor: the month's cost, its change against as configured.

    Models without a timing have no rows; columns ``..._with_errors`` are NaN without an accuracy.

    Raises:
        UserError: no factor, or one that is not a number above 0.

    """
    factors = _factors(cfg)
    columns = ["model", "assumption", "factor", "value", "total", "change"]
    columns += ["total_with_errors", "change_with_errors"]
    rows: list[dict[str, Any]] = []
    for name, model in models.items():
        if model is None:
            continue
        base = bill(model, cfg)
        for assumption in ASSUMPTIONS:
            for factor in factors:
                other, settings, value = _changed(model, cfg, assumption, factor)
                new = bill(other, settings)
                numbers = [value, new.total, new.total - base.total]
                if new.total_with_errors is not None and base.total_with_errors is not None:
                    both = new.total_with_errors, base.total_with_errors
                    numbers += [both[0], both[0] - both[1]]
                labels = [name, assumption, factor]
                rows.append(dict(zip(columns, [*labels, *numbers], strict=False)))
    return pd.DataFrame(rows, columns=pd.Index(columns))


def spending(
    models: dict[str, Measured | None], cfg: Cost, decades: int = 2, points: int = 161
) -> pd.DataFrame:
    """Tabulate monthly spend against volume: a column per model and API.

    The index is the volume, log-spaced over ``decades`` on either side of the configured one.
    """
    low, high = np.log10(cfg.volume) - decades, np.log10(cfg.volume) + decades
    volumes = np.logspace(max(0.0, low), high, points)
    lines = {name: line(model, cfg) for name, model in models.items() if model is not None}
    lines |= {api.name: api_line(api) for api in cfg.apis}
    columns = {name: [one.at(volume) for volume in volumes] for name, one in lines.items()}
    return pd.DataFrame(columns, index=pd.Index(volumes, name="volume"))


def first_cheaper(one: Line, other: Line, limit: float) -> float | None:
    """Find the smallest monthly volume up to ``limit`` at which ``one`` costs no more.

    None if ``other`` stays cheaper, 0 if it never is. Both are straight between the
    volumes at which an instance is added, so each piece is solved exactly. Beyond the result the
    order can turn again for a while, where ``one`` needs its next instance.
    """
    edges = {0.0, limit}
    for side in (one, other):
        if side.step and math.isfinite(side.capacity):
            steps = range(1, math.ceil(limit / side.capacity))
            edges |= {count * side.capacity for count in steps}
    for low, high in pairwise(sorted(edges)):
        middle, slope = (low + high) / 2, one.each - other.each
        start = one.at(middle) - other.at(middle) + slope * (low - middle)
        if start <= 0:
            return low
        if slope < 0 and low - start / slope <= high:
            return low - start / slope
    return None


def break_even(
    models: dict[str, Measured | None], cfg: Cost, name: str, rival: str
) -> dict[str, float | None]:
    """Find the volumes from which ``name`` costs no more than each API, and than ``rival``.

    Against ``rival`` the cost of errors counts in. Empty when ``name`` has no timing; without
    ``rival`` when one of the two lacks a timing or an accuracy. None: not up
    to ``HORIZON`` times the configured volume.
    """
    model, against = models.get(name), models.get(rival)
    if model is None:
        return {}
    limit = float(cfg.volume * HORIZON)
    own = line(model, cfg)
    found = {api.name: first_cheaper(own, api_line(api), limit) for api in cfg.apis}
    if against is not None and None not in (model.accuracy, against.accuracy):
        pair = line(model, cfg, with_errors=True), line(against, cfg, with_errors=True)
        found[f"{rival}, errors included"] = first_cheaper(*pair, limit)
    return found
