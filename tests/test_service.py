"""The model as it is served: confident enough, familiar enough, or to a person."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from roadworthy import manifest, store
from roadworthy.drafts import DRAFT
from roadworthy.errors import UserError
from roadworthy.service import AUTOMATED, UNLIKE, UNSURE, Service, fitted


class Model:
    """Network and pool in one: the text is its own log odds of the first class."""

    labels = ("a", "b")

    def vectors(self, texts):
        return np.array([[float(text)] for text in texts])

    def head(self, vectors):
        return np.hstack([vectors, 0 * vectors])

    def pooled(self, texts, logits):
        return 2 * logits


def service(threshold, unlike=None, temperature=1.0):
    model = Model()
    fit = {"threshold": threshold, "temperature": temperature, "lapse": 0.0, "guard": None}
    return Service(model, model, fit, unlike)


def test_a_message_is_automated_if_it_is_sure_and_familiar():
    served = service(0.9, lambda vectors, raw: (vectors[:, 0] > 5) & (raw[:, 0] > 0.99))
    found = served.decide(*served.judge(["2", "0.5", "-2", "9"]))
    assert found["decision"].tolist() == [AUTOMATED, UNSURE, AUTOMATED, UNLIKE]
    assert found["label"].tolist() == ["a", "a", "b", "a"]
    sigmoid = 1 / (1 + np.exp(-np.array([4, 1, 4])))  # the pool counts double
    np.testing.assert_allclose(found["confidence"][:3], sigmoid)


def test_confidence_is_calibrated_and_the_threshold_itself_is_sure():
    served = service(1.0, temperature=4.0)
    (confidence,) = served.decide(*served.judge(["2"]))["confidence"]
    assert confidence == pytest.approx(1 / (1 + np.exp(-1)))
    at = service(confidence, temperature=4.0)
    assert at.decide(*at.judge(["2"]))["decision"].tolist() == [AUTOMATED]


def test_without_a_threshold_nothing_is_automated_and_no_message_is_no_decision():
    served = service(None)
    assert served.decide(*served.judge(["50"]))["decision"].tolist() == [UNSURE]
    assert served.decide(*served.judge([])).empty


def test_a_calibration_of_another_model_is_refused(project, monkeypatch):
    monkeypatch.setenv(DRAFT, str(project))
    store.write_frame("finetune", "predictions/lora", pd.DataFrame({"id": ["a"], "p_x": [0.9]}))
    lora = {"temperature": 0.8, "lapse": 0.0, "threshold": 0.7, "guard": None}
    lora["predictions_sha256"] = store.frame_sha256("finetune", "predictions/lora")
    path = store.new("artifacts/evaluate/calibration.json")
    manifest.write(path, {"lora": lora}, [])
    assert fitted() == lora
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"0.7", b"0.1"))
    with pytest.raises(
        UserError, match=r"calibration\.json was changed or damaged.*repro evaluate"
    ):
        fitted()
    path.write_bytes(whole)
    store.write_frame("finetune", "predictions/lora", pd.DataFrame({"id": ["a"], "p_x": [0.8]}))
    with pytest.raises(UserError, match="another model than the one in artifacts/finetune: run `d"):
        fitted()
    del lora["predictions_sha256"]  # from before it was written down
    manifest.write(path, {"lora": lora}, [])
    with pytest.raises(UserError, match="another model"):
        fitted()
