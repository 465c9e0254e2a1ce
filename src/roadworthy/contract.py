"""The data contract: what the owner of the data promises, and the rows that break the promise.

The contract is a file in the Open Data Contract Standard (ODCS 3.1). It is the one place where
columns, types, ranges, label set, freshness and retention are written; the schema that checks them
(pandera) is generated from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import yaml
from open_data_contract_standard.model import (
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
)
from pandera.errors import SchemaErrors

from roadworthy.data import inside
from roadworthy.errors import UserError

CONVERT: dict[str, Callable[[pd.Series], pd.Series]] = {
    "string": lambda text: text,
    "integer": lambda text: pd.to_numeric(text, errors="coerce").where(
        text.str.fullmatch(r"[+-]?\d+")
    ),
    "number": lambda text: pd.to_numeric(text, errors="coerce"),
    "boolean": lambda text: text.str.lower().map({"true": True, "false": False}),
    "date": lambda text: pd.to_datetime(text, format="%Y-%m-%d", errors="coerce"),
    "timestamp": lambda text: pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True),
}
"""ODCS logical type -> the text of a column as that type, missing where it is none."""
OPTIONS = {"minLength", "maxLength", "pattern", "minimum", "maximum"}


def read(path: Path) -> OpenDataContractStandard:
    """Read a contract.

    Raises:
        UserError: missing, no file, out of the project, no YAML, not in the standard, or with a
            rule that is not checked here.
    """
    missing = "is a folder; name the file" if path.is_dir() else "is missing; put it there"
    path = inside(path, f"data.contract: {path.name} {missing} or correct the path in conf/data/")
    try:
        contract = OpenDataContractStandard(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError) as error:
        lines = " ".join(str(error).split())[:300]
        raise UserError(f"{path.name} is no contract in the ODCS: {lines}") from error
    for table in contract.schema_ or []:
        if table.quality:
            raise UserError(f"{path.name}: {table.name}: quality rules of a table are not checked")
        for column in table.properties or []:
            _refuse_unchecked(path, table, column)
    for level in contract.slaProperties or []:
        days = level.unit in ("d", "day", "days") and str(level.value).isdecimal()
        if level.property in ("freshness", "retention") and not days:
            raise UserError(
                f"{path.name}: {level.property} = {level.value} {level.unit}: state whole days"
            )
    return contract


def _refuse_unchecked(path: Path, table: SchemaObject, column: SchemaProperty) -> None:
    """A promise that nobody checks would be believed; so a rule unknown here stops the run."""
    rules = [("logicalType", column.logicalType)] if column.logicalType not in CONVERT else []
    rules += [
        ("logicalTypeOptions", key) for key in column.logicalTypeOptions or {} if key not in OPTIONS
    ]
    for key, bound in _unusable(column):
        raise UserError(
            f"{path.name}: {table.name}.{column.name}: {key} = {bound!r} cannot be checked in a "
            f"column of type {column.logicalType or 'string'}: correct it or take it out"
        )
    for rule in column.quality or []:
        known = rule.metric == "invalidValues" and "validValues" in (rule.arguments or {})
        if rule.type != "text" and not (known and rule.mustBe == 0):
            rules.append(("quality", rule.metric or rule.type))
    for key, value in rules:
        raise UserError(
            f"{path.name}: {table.name}.{column.name}: {key} {value!r} is not checked by this "
            f"project; take it out, or state it as a quality rule of type text"
        )


def _unusable(column: SchemaProperty) -> list[tuple[str, str]]:
    """Bounds that are no value of the column's type, and a pattern that is none."""
    kind, options = column.logicalType or "string", column.logicalTypeOptions or {}
    found: list[tuple[str, str]] = []
    for key in ("minimum", "maximum"):
        if key in options:
            value = CONVERT.get(kind, CONVERT["string"])(pd.Series([str(options[key])]))
            if kind in ("string", "boolean") or value.isna().any():
                found.append((key, str(options[key])))
    try:
        re.compile(str(options.get("pattern", "")))
    except re.error:
        found.append(("pattern", str(options["pattern"])))
    return found


def table(contract: OpenDataContractStandard, file: str) -> SchemaObject:
    """Give the part of the contract that describes a file (by ``physicalName``)."""
    tables = {part.physicalName: part for part in contract.schema_ or []}
    if Path(file).name not in tables:
        raise UserError(
            f"the contract '{contract.id}' describes {', '.join(map(str, tables))}, not "
            f"{Path(file).name}: add it there under schema, with its physicalName"
        )
    return tables[Path(file).name]


def allowed(column: SchemaProperty) -> list[str]:
    """Give the values that a column may take; empty where any may stand."""
    rules = [rule.arguments["validValues"] for rule in column.quality or [] if rule.arguments]
    return [str(value) for values in rules for value in values]


def _checks(column: SchemaProperty) -> list[pa.Check]:
    kind, options = column.logicalType or "string", column.logicalTypeOptions or {}
    convert = CONVERT[kind]
    checks = []
    if kind != "string":
        checks.append(pa.Check(lambda text: convert(text).notna(), error=f"is of type {kind}"))
    for key, word in (("minimum", "at least"), ("maximum", "at most")):
        if key in options:
            bound = convert(pd.Series([str(options[key])])).iloc[0]
            sign = 1 if key == "minimum" else -1
            checks.append(
                pa.Check(
                    lambda text, bound=bound, sign=sign: (
                        ~(convert(text) < bound if sign > 0 else convert(text) > bound)
                    ),
                    error=f"{word} {options[key]}",
                )
            )
    low, high = options.get("minLength"), options.get("maxLength")
    if low is not None or high is not None:
        checks.append(pa.Check.str_length(low, high, error=f"{low or 0} to {high} characters"))
    if "pattern" in options:
        checks.append(pa.Check.str_matches(f"^(?:{options['pattern']})$", error=options["pattern"]))
    if values := allowed(column):
        checks.append(pa.Check.isin(values, error="one of the allowed values"))
    return checks


def schema(part: SchemaObject) -> pa.DataFrameSchema:
    """Generate the schema of a table; every column is text as it stands in the file."""
    keys = [column for column in part.properties or [] if column.primaryKey]
    return pa.DataFrameSchema(
        {
            str(column.name): pa.Column(
                object,
                _checks(column),
                nullable=not column.required,
                unique=bool(column.unique or keys == [column]),
            )
            for column in part.properties or []
        }
    )


def failures(frame: pd.DataFrame, part: SchemaObject) -> pd.DataFrame:
    """List what breaks the contract, one row per broken rule: ``index, column, rule, value``.

    ``frame`` has the table's columns as text. Blank counts as missing.
    """
    text = frame.astype(object)
    text = text.where(text != "", None)
    try:
        schema(part).validate(text, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.rename(columns={"failure_case": "value", "check": "rule"})
        cases["rule"] = cases["rule"].replace(
            {"not_nullable": "is required", "field_uniqueness": "is unique"}
        )
        cases = cases.sort_values(["index", "column"], kind="stable").reset_index(drop=True)
        return pd.DataFrame(cases[["index", "column", "rule", "value"]])
    return pd.DataFrame(columns=["index", "column", "rule", "value"])


def promises(contract: OpenDataContractStandard) -> dict[str, int]:
    """Give the service levels that are measured in days, by name: ``freshness``, ``retention``."""
    named = ("freshness", "retention")
    levels = [level for level in contract.slaProperties or [] if level.property in named]
    return {str(level.property): int(str(level.value)) for level in levels}
