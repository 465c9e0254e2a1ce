"""What one model costs a month, given what was measured of it and the assumptions of conf/cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from roadworthy.settings import Api, Cost

HOURS = 730.0
"""In an average month (365 x 24 / 12)."""
SECONDS = HOURS * 3600


@dataclass(frozen=True)
class Measured:
    """What was measured of one model; latencies in ms, throughput in messages a second."""

    accuracy: float | None
    size_bytes: float
    throughput: float
    latency_ms: dict[str, float]
    load_seconds: float
    train_seconds: float
    """One training on all training rows, scaled linearly from the rows that were timed."""


@dataclass(frozen=True)
class Bill:
    """One month of one model, in ``Cost.currency``."""

    volume: int
    instances: int
    rent: float
    """Of the instances."""
    storage: float
    training: float
    errors: float | None

    @property
    def total(self) -> float:
        """Spending: what an invoice would show."""
        return self.rent + self.storage + self.training

    @property
    def per_1000(self) -> float:
        """All-in spending per 1,000 messages."""
        return self.total / self.volume * 1000

    @property
    def total_with_errors(self) -> float | None:
        """Spending plus what misrouted messages cost elsewhere; None without an accuracy."""
        return None if self.errors is None else self.total + self.errors


def capacity(model: Measured, cfg: Cost) -> float:
    """Messages a month that one instance serves, busy hours and headroom allowed for."""
    return model.throughput * cfg.utilisation / cfg.peak * SECONDS


def instances(volume: float, one: float, least: int) -> int:
    """Count the instances for ``volume`` messages a month when each serves ``one``."""
    # The subtrahend keeps a volume that fills an instance exactly from renting another one.
    return max(least, math.ceil(volume / one - 1e-9))


def bill(model: Measured, cfg: Cost) -> Bill:
    """One month of one model at the configured volume."""
    count = instances(cfg.volume, capacity(model, cfg), cfg.instances)
    wrong = None if model.accuracy is None else cfg.volume * (1 - model.accuracy)
    return Bill(
        volume=cfg.volume,
        instances=count,
        rent=count * HOURS * cfg.instance_price,
        storage=model.size_bytes / 1e9 * cfg.storage_price,
        training=model.train_seconds / 3600 * cfg.instance_price * cfg.retrainings,
        errors=None if wrong is None else wrong * cfg.error_price,
    )


def per_message(api: Api) -> float:
    """Price one message through an API."""
    return (api.input_tokens * api.input_price + api.output_tokens * api.output_price) / 1e6
