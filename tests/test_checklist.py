"""What behavioural tests are written in: changes of a text, and one row a test."""

from __future__ import annotations

import numpy as np

from roadworthy import checklist


def test_typos_move_two_letters_of_one_word():
    generator = np.random.default_rng(0)
    for text in ("where is my parcel", "it is on us", "Größe 12345 fehlt"):
        changed = checklist.typo(text, generator)
        assert sorted(changed) == sorted(text)
        assert len(changed.split()) == len(text.split())
    assert checklist.typo("it is on us", generator) == "it is on us"
    once = checklist.typo("abcdefgh", generator)
    assert sum(a != b for a, b in zip(once, "abcdefgh", strict=True)) == 2
    assert once[0] == "a"


def test_every_change_is_made_and_a_missing_key_is_blank():
    generator = np.random.default_rng(0)
    changed = {name: change("Ok, ok", generator) for name, change in checklist.CHANGES.items()}
    assert changed == {
        "typo": "Ok, ok", "lower": "ok, ok", "upper": "OK, OK", "no_punctuation": "Ok ok"
    }  # fmt: skip
    (row,) = checklist.table([{"name": "n", "at_most": 0.1}]).to_dict("records")
    assert list(row) == checklist.COLUMNS
    assert (row["name"], row["kind"], row["texts"], row["at_most"]) == ("n", "", [], 0.1)
