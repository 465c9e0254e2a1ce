"""Did the checks find what was planted? Recorded defects against findings: precision and recall.

Recorded defects are read for scoring only; no check sees them.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

Finding = tuple[str, str]
"""A row's id and what was found there; the same empty text where only the row counts."""

ROWS = {
    "exact_duplicate": "exact_duplicate",
    "near_duplicate": "near_duplicate",
    "conflicting_label": "conflicting_label",
    "broken_encoding": "broken_encoding",
}
"""Kind in the record -> the check that should flag the row."""
VALUES = {
    "pii_email": "email",
    "pii_phone": "phone",
    "pii_card_valid": "card",
    "pii_card_invalid": "card_like",
    "pii_iban": "iban",
    "pii_address": "address",
}
"""Kind in the record -> the kind of personal data whose value should be found."""


def rates(planted: Iterable[Finding], found: Iterable[Finding]) -> dict[str, float | int]:
    """Precision and recall of findings; NaN where nothing was found or planted.

    A value counts as found if it contains the recorded one or is contained in it: where a pattern
    ends is a matter of taste.
    """
    wanted, got = set(planted), set(found)

    def same(one: Finding, other: Finding) -> bool:
        return one[0] == other[0] and (one[1] in other[1] or other[1] in one[1])

    hit = sum(any(same(one, other) for other in got) for one in wanted)
    right = sum(any(same(one, other) for other in wanted) for one in got)
    return {
        "planted": len(wanted),
        "found": len(got),
        "precision": right / len(got) if got else float("nan"),
        "recall": hit / len(wanted) if wanted else float("nan"),
    }


def score(
    planted: pd.DataFrame | None,
    issues: pd.DataFrame,
    personal: pd.DataFrame,
    broken: pd.DataFrame,
) -> pd.DataFrame:
    """Precision and recall of every kind that a check looks for.

    Args:
        planted: ``id, kind, detail``; None where the data has no such record.
        issues: ``Issues.frame``.
        personal: findings with ``id, kind, value``.
        broken: rows that break the contract, with ``id, column, closest``.

    Returns:
        One row per kind: ``planted, found, precision, recall``. Kinds of which nothing was planted
        are left out; rows that were set aside count for the contract only.

    """
    if planted is None:
        return pd.DataFrame(columns=["planted", "found", "precision", "recall"])
    by_kind = dict(list(planted.groupby("kind")))
    lines = {}
    for kind, check in ROWS.items():
        if kind in by_kind:
            ids = set(by_kind[kind]["id"]) & set(issues["id"])
            flagged = issues.loc[issues[f"is_{check}"], "id"]
            lines[kind] = rates(((one, "") for one in ids), ((one, "") for one in flagged))
    for kind, name in VALUES.items():
        if kind in by_kind:
            part, got = by_kind[kind], personal[personal["kind"] == name]
            lines[kind] = rates(
                zip(part["id"], part["detail"], strict=True),
                zip(got["id"], got["value"], strict=True),
            )
    if "label_typo" in by_kind:
        part = by_kind["label_typo"]
        lines["label_typo"] = rates(
            zip(part["id"], part["detail"], strict=True),
            zip(broken["id"], broken["closest"], strict=True),
        )
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("kind")
