"""Tables in Markdown: lines for a page that is put together, or one text."""

from __future__ import annotations

from roadworthy import markdown


def test_a_table_is_its_rows():
    head, lines = ["a", "b"], [("1", "2"), ("3", "4")]
    assert markdown.rows(head, iter(lines)) == [
        "| a | b |", "| --- | --- |", "| 1 | 2 |", "| 3 | 4 |"
    ]  # fmt: skip
    assert markdown.table(head, iter(lines)).split("\n") == [*markdown.rows(head, lines), ""]
