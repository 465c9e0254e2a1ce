"""Values from JSON records as safe Markdown, for the cards and the README."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

Tree = dict[str, Any]
ABSENT = "not measured"


def find(tree: Any, dotted: str) -> Any:  # noqa: ANN401 - any JSON value
    """Follow a dotted path; None where it leads nowhere."""
    for key in dotted.split("."):
        if not isinstance(tree, dict) or key not in tree:
            return None
        tree = tree[key]
    return tree


def text(value: object) -> str:
    """Show a value in Markdown: one line, nothing in it acts as markup; None is "not measured"."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value) or "none"
    line = html.escape(" ".join(str(value).split()), quote=False)
    for mark in ("\\", "|", "`", "[", "]", "*", "_"):
        line = line.replace(mark, "\\" + mark)
    return line


def interval(score: Any, digits: int = 3) -> str:  # noqa: ANN401 - any JSON value
    """Show a score record (value, low, high, n) as "0.912 (0.890 to 0.934, n = 402)"."""
    parts = [find(score, key) for key in ("value", "low", "high")]
    if any(isinstance(part, bool) or not isinstance(part, int | float) for part in parts):
        return ABSENT
    value, low, high = parts
    count = find(score, "n")
    tail = f", n = {count:,}" if isinstance(count, int) else ""
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f}{tail})"


def rows(header: Iterable[str], lines: Iterable[Iterable[str]]) -> list[str]:
    """Lay out a Markdown table, a line each; the cells are safe already."""
    names = list(header)
    table = [names, ["---"] * len(names), *lines]
    return ["| " + " | ".join(line) + " |" for line in table]


def facts(tree: Tree, wanted: dict[str, str]) -> list[str]:
    """List dotted paths as "- **name**: value" lines."""
    return [f"- **{name}**: {text(find(tree, path))}" for name, path in wanted.items()]


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table as one text; cells are written as they are."""
    return "\n".join(rows(head, lines)) + "\n"


def page(*parts: str | list[str]) -> str:
    """Paragraphs, and lists of lines, with an empty line between them."""
    flat = [part if isinstance(part, str) else "\n".join(part) for part in parts]
    return "\n\n".join(flat) + "\n"
