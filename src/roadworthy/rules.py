"""What settings must obey beyond their types: ranges, choices, lists, paths."""

from __future__ import annotations

import math
import re
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from roadworthy.errors import UserError
from roadworthy.settings import ARCHITECTURES, Settings

COMPANIONS = (
    "contract", "annotations", "decisions", "planted", "synthetic", "labelling", "behaviour"
)  # fmt: skip
"""Settings of ``data`` that name a file beside the messages."""


def check(settings: Settings) -> None:
    """Refuse settings that cannot be run; the message names the key and the value.

    Raises:
        UserError: value out of range or not among the choices, empty list, no date, no finite
            threshold, path out of the project, file outside data/ without its hash, a precision
            that the processor has not, a secret where only its name belongs.
    """
    _secrets(settings)
    _ranges(settings)
    _lists(settings)
    _precision(settings)
    _dates(settings)
    _criteria(settings)
    _files(settings)


def _dates(settings: Settings) -> None:
    """Days that results are measured by must be days."""
    days = {"audit.as_of": settings.audit.as_of, "cost.prices_as_of": settings.cost.prices_as_of}
    for number, api in enumerate(settings.cost.apis):
        days[f"cost.apis[{number}].prices_as_of"] = api.prices_as_of
    for key, day in days.items():
        try:
            date.fromisoformat(day)
        except ValueError as error:
            raise UserError(f"config: {key} = {day!r} is not a date (YYYY-MM-DD)") from error


def _precision(settings: Settings) -> None:
    """Half precision is for a GPU: on a processor Lightning would train in bf16, and not say so."""
    recipes = {"finetune": settings.finetune, "clean.tuned.recipe": settings.clean.tuned.recipe}
    for key, recipe in recipes.items():
        if recipe.precision == "16-mixed" and settings.encoder.accelerator == "cpu":
            raise UserError(
                f"config: {key}.precision = '16-mixed' needs a GPU, and encoder.accelerator is "
                f"'cpu': set it to 32-true or bf16-mixed, or encoder.accelerator to gpu"
            )


def _criteria(settings: Settings) -> None:
    """A threshold that nothing, or anything, can meet would decide by itself."""
    for number, criterion in enumerate(settings.readiness.criteria):
        if not math.isfinite(criterion.threshold):
            raise UserError(
                f"config: readiness.criteria[{number}].threshold = {criterion.threshold} of "
                f"criterion {criterion.name!r}: a finite number is needed"
            )


def _secrets(settings: Settings) -> None:
    """Refuse keys and passwords, without repeating them: settings are written down."""
    endpoint = settings.baseline.endpoint
    if not re.fullmatch(r"([A-Z][A-Z0-9_]*)?", endpoint.key_variable):
        raise UserError(
            "config: baseline.endpoint.key_variable must be the name of an environment variable, "
            "in capitals, that holds the key: never the key itself"
        )
    try:
        url = urlsplit(endpoint.base_url)
        known = url.scheme in ("http", "https") and bool(url.hostname)
        safe = known and not url.query and "@" not in url.netloc
    except ValueError:
        safe = False
    if not safe:
        raise UserError(
            "config: baseline.endpoint.base_url must look like https://host/v1, without name, "
            "password or query: the key belongs into the environment"
        )


def _ranges(node: Any, key: str = "") -> None:  # noqa: ANN401
    """Refuse a value outside the range or the choices that settings.py states for it."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            _ranges(item, f"{key}[{number}]")
    if not is_dataclass(node):
        return
    for spec in fields(node):
        value, name = getattr(node, spec.name), f"{key}.{spec.name}".lstrip(".")
        low, high, choices = (spec.metadata.get(word) for word in ("low", "high", "choices"))
        if low is not None and high is not None and not low <= value <= high:
            raise UserError(f"config: {name} = {value!r} is out of range: from {low} to {high}")
        if choices is not None and value not in choices:
            raise UserError(
                f"config: {name} = {value!r} is not one of {', '.join(map(repr, choices))}"
            )
        _ranges(value, name)


def _lists(settings: Settings) -> None:
    """Lists that must not be empty, or hold anything twice."""
    for key, items in (
        ("data.files", [file.path for file in settings.data.files]),
        ("data.slices", settings.data.slices),
        ("baseline.architectures", settings.baseline.architectures),
        ("finetune.lora.target_modules", settings.finetune.lora.target_modules),
        ("cost.factors", settings.cost.factors),
    ):
        if not items and key != "data.slices":
            raise UserError(f"config: {key} is empty: name at least one")
        if not all(isinstance(item, str | int | float) for item in items):
            raise UserError(f"config: {key} = {list(items)}: a list of plain values is needed")
        if len(set(items)) < len(items):
            raise UserError(f"config: {key} = {list(items)} names something twice")
    named = settings.baseline.architectures
    if unknown := [name for name in named if name not in ARCHITECTURES]:
        raise UserError(
            f"config: baseline.architectures: {unknown[0]!r} is unknown; there are "
            f"{', '.join(ARCHITECTURES)}"
        )
    if settings.clean.tuned.folds == 1:
        raise UserError(
            "config: clean.tuned.folds = 1: two or more folds, or 0 for no such detector"
        )
    if not all(0 < factor < math.inf for factor in settings.cost.factors):
        raise UserError(
            f"config: cost.factors = {settings.cost.factors}: each must be a number above 0"
        )


def _files(settings: Settings) -> None:
    """Paths stay inside the project, and files that git does not hold carry a hash."""
    for number, file in enumerate(settings.data.files):
        key, path = f"data.files[{number}]", Path(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(
                f"config: {key}.path = {file.path!r} leaves the project: use a relative path"
            )
        if path.parts[:1] != ("data",) and not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
            raise UserError(
                f"config: {key}.sha256 = {file.sha256!r}: a file outside data/ needs its SHA-256"
            )
    for name in COMPANIONS:
        path = getattr(settings.data, name)
        if path is not None and (Path(path).parts[:1] != ("data",) or ".." in Path(path).parts):
            raise UserError(
                f"config: data.{name} = {path!r}: it belongs below data/, so that a change of it "
                f"is noticed"
            )
