"""Personal data in messages, by pattern: what it is, where it stands, and the text without it.

Recognisers of presidio on a blank spaCy pipeline, so no language model is needed. Patterns find
what has a form: e-mail addresses, phone numbers, cards, IBANs, streets with a house number. Names
of people are not found, nor is anything that identifies a person by what is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import pandas as pd

from roadworthy.parallel import spread

KINDS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "CARD_LIKE": "card_like",
    "IBAN_CODE": "iban",
    "STREET_ADDRESS": "address",
}
"""presidio's name of an entity -> the project's. ``card_like``: a card whose check digit fails."""
PRIORITY = [
    "IBAN_CODE",
    "CREDIT_CARD",
    "EMAIL_ADDRESS",
    "CARD_LIKE",
    "STREET_ADDRESS",
    "PHONE_NUMBER",
]
"""Of two findings that overlap, the earlier one stands: the digits of an IBAN are no phone."""
WORTH = {
    re.compile("@"): ("EMAIL_ADDRESS",),
    re.compile(r"\d(?:[ ()./-]{0,2}\d){8}"): (
        "IBAN_CODE",
        "CREDIT_CARD",
        "CARD_LIKE",
        "PHONE_NUMBER",
    ),
    re.compile(r"\d[a-zA-Z]?,? (?:St\.? )?[A-Z]"): ("STREET_ADDRESS",),
}
"""What a text must hold for a kind to be looked for: an at sign, nine digits close together, a
house number before a capital. Most texts are done with after these looks."""
STREET = (
    r"\b\d{1,4}[a-zA-Z]?,? (?:St\.? )?(?:[A-Z][\w'’.]*[ -]){1,4}"
    r"(?:Street|St|Road|Rd|Lane|Ln|Avenue|Ave|Drive|Dr|Court|Ct|Close|Row|Rise|Terrace|Yard|Mews|Walk|"
    r"Way|Ropewalk|Fernside|Square|Place|Crescent|Gardens|Boulevard|Blvd|Hill|Park|Quay)\b"
    r"(?:,? (?:[A-Z][\w'’]*[ ,-]{1,2}){0,4}(?:[A-Z]{1,3}\d{1,2} ?\d[A-Z]{2}|[A-Z]{2} \d{4,5}))?"
)
CARD = r"(?<![\w-])(?:\d[ -]?){12,18}\d(?![\w-])"
REGIONS = ("GB", "US", "AU", "IN", "NG", "IE", "DE", "FR", "SG")


@dataclass(frozen=True)
class Found:
    """One finding: ``kind``, and where it stands in the text."""

    kind: str
    start: int
    end: int


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def luhn(number: str) -> bool:
    """Whether the check digit of a card number is right (ISO/IEC 7812-1)."""
    places = [int(digit) for digit in reversed(_digits(number))]
    return (sum(places[::2]) + sum(sum(divmod(2 * n, 10)) for n in places[1::2])) % 10 == 0


def _is_phone(text: str, start: int, end: int) -> bool:
    """A possible number is taken for a phone unless its form or its place says otherwise."""
    found = text[start:end]
    glued = start > 0 and (text[start - 1].isalnum() or text[start - 1] in "-.£$€#/")
    dated = re.match(r"20\d\d[-./]|\d{1,2}[./]\d{1,2}[./](?:\d{2}|\d{4})$", found)
    dotted = "." in found and not re.fullmatch(r"\+?\d{2,3}(?:\.\d{2,4}){2,4}", found)
    return 9 <= len(_digits(found)) <= 13 and not (glued or dated or dotted)


@cache
def _analyzer() -> Any:  # noqa: ANN401 - presidio is untyped
    """Build presidio's engine once; nothing is fetched."""
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        PhoneRecognizer,
    )

    # Its default fetches the list of public suffixes from the network on the first e-mail address.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # type: ignore[assignment]
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.nlp = {"en": spacy.blank("en")}  # type: ignore[assignment]
    registry = RecognizerRegistry(supported_languages=["en"])
    for recognizer in (
        CreditCardRecognizer(),
        EmailRecognizer(),
        IbanRecognizer(),
        PhoneRecognizer(supported_regions=REGIONS, leniency=0),
        PatternRecognizer("CARD_LIKE", patterns=[Pattern("digits in groups", CARD, 0.5)]),
        PatternRecognizer(
            "STREET_ADDRESS",
            patterns=[Pattern("number, street", STREET, 0.5)],
            global_regex_flags=re.DOTALL,
        ),
    ):
        registry.add_recognizer(recognizer)
    return AnalyzerEngine(nlp_engine=engine, registry=registry, supported_languages=["en"])


def find(text: str) -> list[Found]:
    """Everything of a known form in a text, from left to right, without overlaps."""
    kinds = [kind for sign, those in WORTH.items() if sign.search(text) for kind in those]
    if not kinds:
        return []
    results = _analyzer().analyze(text, language="en", entities=kinds, score_threshold=0.3)
    results = [
        result
        for result in results
        if (result.entity_type != "PHONE_NUMBER" or _is_phone(text, result.start, result.end))
    ]
    kept: list[Found] = []
    for result in sorted(
        results, key=lambda one: (PRIORITY.index(one.entity_type), one.start - one.end, one.start)
    ):
        if all(result.end <= other.start or result.start >= other.end for other in kept):
            right = result.entity_type == "CARD_LIKE" and luhn(text[result.start : result.end])
            kind = "card" if right else KINDS[result.entity_type]
            kept.append(Found(kind, result.start, result.end))
    return sorted(kept, key=lambda one: one.start)


def masked(text: str, found: list[Found]) -> str:
    """The text with each finding replaced by its kind in angle brackets."""
    for one in reversed(found):
        text = f"{text[: one.start]}<{one.kind}>{text[one.end :]}"
    return text


def _each(texts: Sequence[str]) -> list[list[Found]]:
    return [find(text) for text in texts]


def scan(messages: pd.DataFrame) -> pd.DataFrame:
    """Find in many messages (``id, text``): one row per finding, ``row, id, kind, value``.

    ``row`` is of the index of ``messages``.
    """
    texts = messages["text"].tolist()
    found = chain.from_iterable(spread(_each, texts, "personal data", "text"))
    lines = [
        (row, name, one.kind, text[one.start : one.end])
        for row, name, text, ones in zip(messages.index, messages["id"], texts, found, strict=True)
        for one in ones
    ]
    return pd.DataFrame(lines, columns=["row", "id", "kind", "value"])
