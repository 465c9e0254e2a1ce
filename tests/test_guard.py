"""A message is told by the score that was chosen, in the units that it was fitted in."""

from __future__ import annotations

import numpy as np
import pytest
from frames import frame, messages, no_gold, record

from roadworthy import calibration, familiarity, scope, store
from roadworthy.drafts import DRAFT
from roadworthy.guard import unlike
from roadworthy.models.architecture import softmax
from roadworthy.predictions import gather

KNOWN, STRANGE = np.array([[1.0, 0.0]] * 3), ["the weather", "a song", "the weather, again"]


class Words:
    """Refunds lie in one direction, everything else in the other."""

    def vectors(self, texts):
        return np.array([[1.0, 0.0] if "refund" in text else [0.0, 1.0] for text in texts])

    def head(self, vectors):
        return np.column_stack([3 * vectors[:, 0], np.zeros(len(vectors))])


class Served:
    """Surer than its network of whatever is no refund."""

    def predict_proba(self, texts):
        logits = np.array([[3.0, 0.0] if "refund" in text else [0.0, 1.0] for text in texts])
        return softmax(logits)


def told(fitted):
    tell, words = unlike(fitted, Words(), KNOWN, Words().vectors(STRANGE)), Words()
    return lambda text: tell(words.vectors([text]), Served().predict_proba([text]))[0]


@pytest.mark.parametrize(
    ("score", "threshold"),
    # By hand: softmax(3, 0) and (0, 1) as served; of the network log(e^3 + 1) and log 2, cosines
    # 1 and 0, 1 and -1.
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
    tell = told({"guard": guard, "temperature": 1.0, "lapse": 0.0})
    assert not tell("my refund")
    assert tell("will it rain")
    guard["threshold"] = -9.0 if score != "confidence" else 0.0
    assert not tell("will it rain")


def test_joint_is_in_the_units_of_the_validation_rows():
    guard = {"score": "joint", "threshold": 2.0, "spread": {"energy": 10.0, "contrast": 0.1}}
    tell = told({"guard": guard, "temperature": 1.0, "lapse": 0.0})
    assert not tell("my refund")  # 0.3 + 10
    guard["spread"] = {"energy": 10.0, "contrast": 10.0}
    assert tell("my refund")  # 0.3 + 0.1


def test_confidence_is_that_of_the_served_model_calibrated():
    guard = {"score": "confidence", "threshold": 0.9, "spread": {}}
    tell = told({"guard": guard, "temperature": 2.0, "lapse": 0.0})
    assert tell("my refund")  # softmax(1.5, 0) is 0.82
    guard["threshold"] = 0.6
    assert not tell("will it rain")  # softmax(0, 0.5) is 0.62; the network alone has 0.5


def test_without_a_guard_nobody_is_told():
    assert (
        unlike({"guard": None, "temperature": 1.0, "lapse": 0.0}, Words(), KNOWN, STRANGE) is None
    )


def test_what_was_fitted_is_what_is_served(project, monkeypatch):
    """From the scores of the validation rows over JSON to the same answer for each message."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(60, 2))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    class Table(Words):
        def vectors(self, texts):
            return np.array([vectors[int(text)] for text in texts])

    model, known, strange = Table(), vectors[:20], [str(n) for n in range(20, 40)]
    rows = messages(60, 0, held=0)
    ids = rows.loc[rows["split"] == "validation", "id"]
    judged = gather({"lora": frame(rows, 0.9, 1)}, rows, no_gold(), record(rows))
    logits = model.head(vectors)
    found = familiarity.frame(ids, logits, vectors, known, model.vectors(strange))
    scores = scope.scores(judged, "lora", calibration.Scale(1.0, 0.0), found)
    monkeypatch.setenv(DRAFT, str(project))
    limit = calibration.scope_threshold(scores["joint"].to_numpy())
    guard = {"score": "joint", "threshold": limit, "spread": scope.units(judged, scores)}
    store.write_json(
        "artifacts/evaluate/calibration.json", {"guard": guard, "temperature": 1.0, "lapse": 0.0}
    )
    fitted = store.read_json("artifacts/evaluate/calibration.json", "evaluate")
    tell = unlike(fitted, model, known, model.vectors(strange))
    found = tell(vectors, np.full((60, 2), 0.5))
    np.testing.assert_array_equal(found, scores["joint"] < limit)
    assert 1 <= sum(found) <= 3
