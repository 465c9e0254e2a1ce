"""Static embeddings: vectors by hand, words passed over, and no encoder once it has learnt."""

import numpy as np
import pytest

from roadworthy.models import encoder
from roadworthy.models.architecture import Labelled, softmax
from roadworthy.models.encoder import Lookup
from roadworthy.models.static import Static
from roadworthy.settings import Baseline
from roadworthy.settings import Static as Words

TRAIN = Labelled(
    ["Refund, refund!", "refund money", "parcel late", "parcel", "late"],
    np.array([0, 0, 1, 1, 1]),
    2,
)
AXES = {"refund": 0, "money": 1, "parcel": 2, "late": 3}


def embed(words):
    """One dimension a word; anything but a single known word is a mistake."""
    return np.eye(4, dtype=np.float32)[[AXES[word] for word in words]]


def fitted(**own):
    model = Static(Baseline(architectures=["static"], static=Words(**own)), embed, 0)
    model.fit(TRAIN)
    return model


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_a_message_is_the_weighted_mean_of_its_words_at_unit_length():
    model = fitted(smoothing=0.25)
    # Eight words in all: refund 3, parcel 2, late 2, money 1; centred by the mean word.
    share = {"refund": 3 / 8, "parcel": 2 / 8, "late": 2 / 8, "money": 1 / 8}
    word = {
        w: 0.25 / (0.25 + share[w]) * (np.eye(4)[axis] - np.full(4, 0.25))
        for w, axis in AXES.items()
    }
    texts = ["money refund", "LATE parcel?", "refund", "refund refund"]
    by_hand = [
        unit(sum(word[w] for w in ("money", "refund"))),
        unit(sum(word[w] for w in ("late", "parcel"))),
        unit(word["refund"]),
        unit(word["refund"]),
    ]
    found = model._vectors(texts)
    # The principal axes are a rotation, so the angles between messages are kept.
    np.testing.assert_allclose(found @ found.T, np.array(by_hand) @ np.array(by_hand).T, atol=1e-6)


def test_fewer_dimensions_keep_the_widest_axes():
    model = fitted(dimensions=1)
    assert model.table.shape == (4, 1)
    assert set(np.abs(model._vectors(["money", "parcel"])).ravel().round(6)) <= {1.0}


def test_rare_words_are_passed_over_once_there_are_too_many():
    model = fitted(words=3)
    assert list(model.row) == ["refund", "parcel", "late"]
    np.testing.assert_array_equal(
        model.predict_proba(["refund money"]), model.predict_proba(["refund"])
    )


def test_unknown_words_say_nothing():
    model = fitted()
    p = model.predict_proba(["refund", "qqq refund zzz", "qqq", "…", ""])
    np.testing.assert_array_equal(p[0], p[1])
    np.testing.assert_array_equal(p[2:], np.tile(softmax(model.bias[None]), (3, 1)))
    assert p[0, 0] > 0.5 > p[2, 0]


def test_prediction_needs_no_encoder(tmp_path):
    model = fitted()
    model.save(tmp_path)

    def gone(texts):
        raise AssertionError("the encoder was asked")

    again = Static(model.settings, gone, 0)
    again.load(tmp_path)
    texts = ["refund the money", "late"]
    np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))


def test_weights_of_rows_count():
    doubted = Labelled(TRAIN.texts, TRAIN.y, 2, np.array([1.0, 1.0, 1e-6, 1e-6, 1e-6]))
    model = Static(Baseline(architectures=["static"]), embed, 0)
    model.fit(doubted)
    assert model.predict_proba(["qqq"])[0, 0] > 0.9


class Fake:
    """Stands in for the encoder and counts how often it is loaded, and what it is asked."""

    asked: list[list[str]] = []  # noqa: RUF012

    def __init__(self, settings):
        assert settings == "settings"

    def __call__(self, texts):
        Fake.asked.append(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def test_a_look_up_asks_the_encoder_for_what_it_does_not_know_and_only_once(monkeypatch):
    monkeypatch.setattr(encoder, "SentenceEncoder", Fake)
    Fake.asked = []
    vectors = np.array([[7.0, 0.0], [7.0, 0.0], [8.0, 0.0]], dtype=np.float32)
    look = Lookup(["a", "a", "b"], vectors, "settings")
    assert look(["b", "a"])[:, 0].tolist() == [8, 7]
    assert Fake.asked == []
    assert look(["ccc", "b", "ccc", "dddd"])[:, 0].tolist() == [3, 8, 3, 4]
    assert look(["dddd", "ccc", "a"])[:, 0].tolist() == [4, 3, 7]
    assert Fake.asked == [["ccc", "dddd"]]


def test_without_an_encoder_an_unknown_text_is_an_error():
    with pytest.raises(KeyError, match="new"):
        Lookup(["a"], np.ones((1, 2), dtype=np.float32))(["new"])
