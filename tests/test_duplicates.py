"""Duplicates: the normal form, the exact similarity, and what hashing may not miss."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from roadworthy import duplicates

LONG = "my parcel was due on monday and it still has not arrived at my house"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is it?", "where is it"),
        ("  so\tmany\nspaces ", "So many spaces!"),
        ("ＦＵＬＬ ﬁt", "full fit"),
        ("Straße", "STRASSE"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_normalised_alike(one: str, other: str):
    assert duplicates.normalise(one) == duplicates.normalise(other)


@pytest.mark.parametrize(("one", "other"), [("?", "!"), ("great 👍", "great 👎"), ("है", "हो")])
def test_normalised_apart(one: str, other: str):
    assert duplicates.normalise(one) != duplicates.normalise(other)


def test_jaccard_by_hand():
    one, other = duplicates.shingles("abcd", 2), duplicates.shingles("bcde", 2)
    assert one == {"ab", "bc", "cd"}
    assert duplicates.jaccard(one, other) == pytest.approx(2 / 4)
    assert duplicates.shingles("ab", 5) == {"ab"}


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.95, 1.0])
def test_banding_misses_few_pairs_at_the_threshold(threshold: float):
    bands, rows = duplicates.banding(threshold, 128)
    assert bands >= 2
    assert bands * rows <= 128
    assert (1 - threshold**rows) ** bands <= duplicates.MISSED


def test_exact_near_and_neither():
    texts = pd.Series([LONG, LONG.upper() + "!", LONG + " yet", "cancel it", "a refund, please"])
    found = duplicates.find(texts.set_axis(list("abcde")))
    assert found.rows["exact"].tolist() == [True, True, False, False, False]
    assert found.rows["near"].tolist() == [True, True, True, False, False]
    assert found.rows["cluster"].tolist() == [0, 0, 0, 1, 2]
    assert found.rows["similarity"].tolist()[:2] == [1.0, 1.0]
    assert 0.8 <= found.rows["similarity"]["c"] < 1.0
    assert found.rows["similarity"].tolist()[3:] == [0.0, 0.0]
    assert (found.clusters, found.pairs) == (1, 1)


def test_the_threshold_decides():
    texts = pd.Series([LONG, LONG + " yet", "cancel it"])
    assert duplicates.find(texts, threshold=0.99).clusters == 0
    assert duplicates.find(texts, threshold=1.0).clusters == 0
    assert duplicates.find(pd.Series(["ab " * 9, "ab " * 12]), threshold=1.0).clusters == 1
    assert duplicates.find(texts, threshold=0.5).clusters == 1


def test_finds_what_comparing_all_pairs_finds():
    rng = np.random.default_rng(0)
    words = np.array(
        [
            "parcel",
            "late",
            "refund",
            "card",
            "door",
            "blue",
            "lamp",
            "wrong",
            "sent",
            "back",
            "please",
            "help",
        ]
    )
    base = [" ".join(rng.choice(words, 9)) for _ in range(25)]
    texts = pd.Series([*base, *(f"{text} {rng.choice(words)}" for text in base[5:])])
    found = duplicates.find(texts, threshold=0.7)
    sets = [duplicates.shingles(duplicates.normalise(text), 5) for text in texts]
    pairs = [
        (i, j)
        for i, j in itertools.combinations(range(len(sets)), 2)
        if duplicates.jaccard(sets[i], sets[j]) >= 0.7
    ]
    assert found.pairs == len(pairs) >= 20
    cluster = found.rows["cluster"]
    assert all(cluster[i] == cluster[j] for i, j in pairs)
    assert set(cluster[~found.rows["near"]].value_counts()) == {1}


def test_a_chain_is_one_cluster_and_the_result_is_reproducible():
    chain = [LONG + " and" * number for number in range(6)]
    one, again = duplicates.find(pd.Series(chain)), duplicates.find(pd.Series(chain))
    assert one.rows["cluster"].nunique() == 1
    pd.testing.assert_frame_equal(one.rows, again.rows)
