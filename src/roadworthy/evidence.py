"""Evidence files: the JSON under reports/ that verdicts, cards and the README rest on.

No default is ever given for a missing number: it is there, or a LookupError says what is not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from roadworthy.config import root
from roadworthy.errors import UserError

Evidence = Mapping[str, Any]
"""Evidence file -> its content, None where there is no readable one."""


def read_evidence(paths: Iterable[str]) -> dict[str, Any]:
    """Read evidence files; None for one that is missing or is no JSON.

    Raises:
        UserError: a path that leads out of reports/.

    """
    found: dict[str, Any] = {}
    for path in paths:
        full = (root() / path).resolve()
        if not full.is_relative_to((root() / "reports").resolve()):
            raise UserError(
                f"config: readiness.criteria: evidence = {path!r} is not under reports/: a verdict "
                f"may only rest on what the run has reported"
            )
        try:
            found[path] = json.loads(full.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found[path] = None
    return found


def lookup(evidence: Evidence, path: str, dotted: str) -> Any:  # noqa: ANN401 - any JSON value
    """Follow a dotted path into an evidence file.

    Raises:
        LookupError: no such file or key; the message says which.

    """
    node = evidence.get(path)
    if node is None:
        raise LookupError(f"no readable {path}")
    for number, key in enumerate(keys := dotted.split(".")):
        if not isinstance(node, dict) or key not in node:
            raise LookupError(f"{path} has no {'.'.join(keys[: number + 1])}")
        node = node[key]
    return node


def number(evidence: Evidence, path: str, dotted: str) -> float:
    """Follow a dotted path to a finite number.

    Raises:
        LookupError: no such file or key, or no finite number there (null, NaN, true, text).

    """
    value = lookup(evidence, path, dotted)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        told = "empty: there was nothing to measure it on" if value is None else repr(value)
        raise LookupError(f"{dotted} in {path} is {told}, not a number")
    return float(value)
