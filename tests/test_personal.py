"""Personal data by pattern: each kind where it stands, and its look-alikes left in peace."""

from __future__ import annotations

import socket

import pandas as pd
import pytest

from roadworthy import personal


def found(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in personal.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jo.do+shop@mail.example.com please", [("email", "jo.do+shop@mail.example.com")]),
        ("ring 07700 900123 after six", [("phone", "07700 900123")]),
        ("it's +44 7700 900884.", [("phone", "+44 7700 900884")]),
        ("cell (415) 555-0134", [("phone", "(415) 555-0134")]),
        ("charged twice on 4111 1111 1111 1111!", [("card", "4111 1111 1111 1111")]),
        ("card 4111-1111-1111-1112 says no", [("card_like", "4111-1111-1111-1112")]),
        ("new one is 2223 0031 2200 3222", [("card", "2223 0031 2200 3222")]),
        ("mobile 06.12.34.56.78 le soir", [("phone", "06.12.34.56.78")]),
        ("pay to GB82 WEST 1234 5698 7654 32", [("iban", "GB82 WEST 1234 5698 7654 32")]),
        ("send it to 9 Quarry Lane, same town", [("address", "9 Quarry Lane")]),
        (
            "a@b.example.org or 020 7946 0123",
            [("email", "a@b.example.org"), ("phone", "020 7946 0123")],
        ),
    ],
)
def test_each_kind_is_found_where_it_stands(text: str, expected: list[tuple[str, str]]):
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "order QH-346092 and QH-518822",
        "it cost £16.80, then 1,299.00",
        "Invoice 2026-88-1147 of 2026-03-04",
        "since 12.11.2026 or 12/11/2026",
        "two 2 Grow Ones, 3 lanes",
        "@quillhaven where is it",
        "Maria Gomez from Leeds",
        "",
    ],
)
def test_look_alikes_are_left_in_peace(text: str):
    assert found(text) == []


def test_a_masked_text_holds_nothing_any_more():
    text = "I am at 9 Quarry Lane, 07700 900123, jo@x.example.org, card 5555 5555 5555 4444"
    masked = personal.masked(text, personal.find(text))
    assert masked == "I am at <address>, <phone>, <email>, card <card>"
    assert personal.find(masked) == []


def test_scan_gives_one_row_per_finding():
    messages = pd.DataFrame({"id": ["a", "b"], "text": ["no", "a@x.example.org, b@x.example.org"]})
    table = personal.scan(messages.set_axis([7, 9]))
    assert table["row"].tolist() == [9, 9]
    assert table["id"].tolist() == ["b", "b"]
    assert table["value"].tolist() == ["a@x.example.org", "b@x.example.org"]


def test_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a look-up")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert found("new.domain@never.seen.example.net") == [
        ("email", "new.domain@never.seen.example.net")
    ]
