"""The stage fits every architecture it is told to and gives frames of one shape."""

import numpy as np
import pandas as pd

from roadworthy import settings
from roadworthy.baseline import ARCHITECTURES, fit_all
from roadworthy.models.architecture import Labelled, accuracy
from roadworthy.settings import Baseline, Boosted

LOCAL = [name for name, kind in ARCHITECTURES.items() if kind.local]
LABELS = ["late", "login", "refund"]
TEXTS = [f"{word} case {n}" for n in range(10) for word in LABELS]
MESSAGES = pd.DataFrame(
    {
        "id": ["v1", "v2", "t1", "t2", "o1"],
        "split": ["validation", "validation", "test", "test", "test"],
        "text": ["late again", "my login", "refund me", "login lost", "what is the weather"],
        "label": ["late", "login", "refund", "login", "oos"],
    }
)


def embed(texts):
    """One dimension per label word."""
    vectors = np.array([[float(word in text) for word in LABELS] + [0.2] for text in texts])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def fitted():
    names = LOCAL
    settings = Baseline(architectures=names, boosted=Boosted(iterations=3, components=3))
    train = Labelled(TEXTS, np.tile([0, 1, 2], 10), 3)
    return {name: frame for name, _, frame in fit_all(train, MESSAGES, LABELS, settings, embed, 0)}


def test_every_frame_has_the_same_rows_and_columns():
    frames = fitted()
    assert list(frames) == LOCAL
    for frame in frames.values():
        assert list(frame.columns) == ["id", "split", "label", "pred", *(f"p_{x}" for x in LABELS)]
        assert frame["id"].tolist() == MESSAGES["id"].tolist()


def test_accuracy_leaves_out_of_scope_rows_out():
    frames = fitted()
    assert accuracy(frames["probe"], "test", LABELS) == 1.0
    assert accuracy(frames["majority"], "test", LABELS) in (0.0, 0.5)


def test_every_name_that_may_be_set_has_a_class():
    assert list(ARCHITECTURES) == list(settings.ARCHITECTURES)
