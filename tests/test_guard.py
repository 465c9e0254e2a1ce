"""A message is told by the score that was chosen, in the units that it was fitted in."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy.guard import unlike

KNOWN, STRANGE = np.array([[1.0, 0.0]] * 3), ["the weather", "a song", "the weather, again"]


class Words:
    """Refunds lie in one direction, everything else in the other."""

    def vectors(self, texts):
        return np.array([[1.0, 0.0] if "refund" in text else [0.0, 1.0] for text in texts])

    def head(self, vectors):
        return np.column_stack([3 * vectors[:, 0], np.zeros(len(vectors))])


@pytest.mark.parametrize(
    ("score", "threshold"),
    # By hand: softmax(3, 0) and (0, 0), log(e^3 + 1) and log 2, cosines 1 and 0, 1 and -1.
    [
        ("confidence", 0.9),
        ("energy", 3.0),
        ("nearness", 0.5),
        ("contrast", 0.0),
        ("joint", (3.05 + 0.69) / 2),
    ],
)
def test_each_score_tells_a_stranger(score, threshold):
    guard = {"score": score, "threshold": threshold, "spread": {"energy": 1.0, "contrast": 1.0}}
    tell = unlike({"guard": guard, "temperature": 1.0}, Words(), KNOWN, STRANGE)
    assert not tell("my refund")
    assert tell("will it rain")
    guard["threshold"] = -9.0 if score != "confidence" else 0.0
    assert not tell("will it rain")


def test_joint_is_in_the_units_of_the_validation_rows():
    guard = {"score": "joint", "threshold": 2.0, "spread": {"energy": 10.0, "contrast": 0.1}}
    tell = unlike({"guard": guard, "temperature": 1.0}, Words(), KNOWN, STRANGE)
    assert not tell("my refund")  # 0.3 + 10
    guard["spread"] = {"energy": 10.0, "contrast": 10.0}
    assert tell("my refund")  # 0.3 + 0.1


def test_confidence_is_calibrated():
    guard = {"score": "confidence", "threshold": 0.9, "spread": {}}
    tell = unlike({"guard": guard, "temperature": 2.0}, Words(), KNOWN, STRANGE)
    assert tell("my refund")  # softmax(1.5, 0) is 0.82


def test_without_a_guard_nobody_is_told():
    assert unlike({"guard": None, "temperature": 1.0}, Words(), KNOWN, STRANGE) is None
