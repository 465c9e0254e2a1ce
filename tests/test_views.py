"""The views: copies have no vote, and compression is learnt from training rows alone."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy.views import joint, votes


def test_neighbours_of_the_same_cluster_have_no_vote():
    X = np.array([[1, 0], [1, 0], [0.9, 0.43], [0, 1.0]])
    y = np.array([0, 0, 1, 1])
    shares = votes(X, y, np.array([0, 0, 1, 2]), 2, np.ones(4, dtype=bool))
    assert shares[0].argmax() == 1
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_the_joint_view_is_the_same_twice_and_keeps_the_vectors():
    texts = ["where is my parcel", "refund please", "parcel is late", "card refused", "no refund"]
    X = np.eye(5, 4)
    one, two = (joint(X, texts, np.arange(5) < 4, 0) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one[:, :4], X)
    other = joint(X, [*texts[:4], "zebra"], np.arange(5) < 4, 0)
    np.testing.assert_array_equal(one[:4], other[:4])  # the last row taught nothing


@pytest.mark.parametrize("texts", [["x", "y", "x", "z"], ["🎉", "😡", "🎉🎉", "?"]])
def test_the_joint_view_needs_no_words(texts: list[str]):
    found = joint(np.eye(4), texts, np.arange(4) < 3, 0)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, :4], np.eye(4))
    assert np.abs(found[:3, 4:]).max() > 0.1
