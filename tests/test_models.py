"""Every architecture learns, gives probabilities and survives the disk; bad files are refused."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from roadworthy.baseline import ARCHITECTURES
from roadworthy.errors import UserError
from roadworthy.models.architecture import (
    Labelled,
    accuracy,
    labelled,
    load_arrays,
    numbers,
    predictions_frame,
    save_arrays,
    softmax,
)
from roadworthy.models.estimator import TERMS, load_estimator, save_estimator
from roadworthy.models.probe import fit_probe
from roadworthy.models.tfidf import features
from roadworthy.settings import Baseline, Boosted

WORDS = {0: ["refund", "money"], 1: ["parcel", "late"], 2: ["password", "login"]}
LOCAL = sorted(name for name, kind in ARCHITECTURES.items() if kind.local)
TEXTS = [f"{a} {b} please {n}" for n in range(8) for a, b in WORDS.values()]
Y = np.tile([0, 1, 2], 8)
TRAIN = Labelled(TEXTS, Y, 3)


def embed(texts):
    """A toy encoder: one dimension per known word, unit length."""
    known = [word for pair in WORDS.values() for word in pair]
    vectors = np.array(
        [[float(word in text) for word in known] + [0.1] for text in texts], dtype=np.float32
    )
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fitted(name):
    model = ARCHITECTURES[name](
        Baseline(architectures=[name], boosted=Boosted(iterations=5, components=4)), embed, 0
    )
    model.fit(TRAIN)
    return model


@pytest.mark.parametrize("name", LOCAL)
def test_probabilities_and_disk(name, tmp_path):
    model = fitted(name)
    new = ["money refund", "late parcel", "login password", "nothing known here"]
    p = model.predict_proba(new)
    assert p.shape == (4, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-9)
    if name not in ("majority", "boosted"):
        assert p[:3].argmax(axis=1).tolist() == [0, 1, 2]
    model.save(tmp_path)
    again = ARCHITECTURES[name](model.settings, embed, 0)
    again.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(new), p)


@pytest.mark.parametrize("name", LOCAL)
def test_a_damaged_file_is_a_user_error(name, tmp_path):
    model = fitted(name)
    model.save(tmp_path)
    files = list(tmp_path.iterdir())
    assert files
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole[:20])
        with pytest.raises(UserError, match=file.name):
            model.load(tmp_path)
        file.write_bytes(whole)


def test_an_untrusted_type_is_refused(tmp_path):
    class Foreign(LogisticRegression):
        pass

    Foreign.__module__ = "os"
    globals()["Foreign"] = Foreign
    Foreign.__module__ = __name__
    save_estimator(tmp_path / "m.skops", Foreign().fit([[0.0], [1.0]], [0, 1]))
    with pytest.raises(UserError, match="not trusted"):
        load_estimator(tmp_path / "m.skops")


def test_terms_are_kept_beside_the_estimator_and_missed_without(tmp_path: Path):
    fitted, path = features(TEXTS).fit(TEXTS), tmp_path / "m.skops"
    save_estimator(path, fitted)
    for name, again in load_estimator(path).named_transformers.items():
        assert again.vocabulary_ == fitted.named_transformers[name].vocabulary_ != {}
    for terms, said in ((None, "cannot be read"), ("[[], []]", "0 terms for [1-9][0-9]* columns")):
        with ZipFile(path) as whole, ZipFile(tmp_path / "part.skops", "w") as part:
            for name in set(whole.namelist()) - {TERMS}:
                part.writestr(name, whole.read(name))
            if terms:
                part.writestr(TERMS, terms)
        with pytest.raises(UserError, match=said):
            load_estimator(tmp_path / "part.skops")


def test_majority_gives_the_class_shares():
    model = ARCHITECTURES["majority"](Baseline(architectures=["majority"]), embed, 0)
    model.fit(Labelled(["a", "b", "c", "d"], np.array([0, 0, 0, 1]), 2))
    assert model.predict_proba(["x"]).tolist() == [[0.75, 0.25]]


def test_two_classes_work_in_every_architecture():
    keep = Y < 2
    train = Labelled([t for t, k in zip(TEXTS, keep, strict=True) if k], Y[keep], 2)
    for name in LOCAL:
        model = ARCHITECTURES[name](
            Baseline(architectures=[name], boosted=Boosted(iterations=5, components=4)), embed, 0
        )
        model.fit(train)
        p = model.predict_proba(["refund money", "parcel late"])
        assert p.shape == (2, 2)
        np.testing.assert_allclose(p.sum(axis=1), 1)


WORDLESS = {
    "letters": ["x", "x", "y", "z", "y", "y", "z", "z"],
    "emoji": ["🎉", "🎉🎉", "😡", "😢", "😡", "😡😢", "😢", "😢😢"],
    "nothing twice": ["a", "b", "c d", "ef", "🎉", "?", "7", "xyz"],
}


@pytest.mark.parametrize("texts", WORDLESS.values(), ids=WORDLESS)
@pytest.mark.parametrize("name", LOCAL)
def test_messages_without_words_teach_what_they_can(name, texts, tmp_path):
    def embed(words):
        return np.array([[len(word), ord(word[0]) % 7, 1] for word in words], dtype=np.float32)

    y = np.array([0, 0, 1, 2, 1, 1, 2, 2])
    own = Baseline(architectures=[name], boosted=Boosted(iterations=5, leaves=3))
    model = ARCHITECTURES[name](own, embed, 0)
    model.fit(Labelled(texts, y, 3))
    p = model.predict_proba([*texts, "hello"])
    assert p.shape == (9, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-9)
    if name == "tfidf":
        assert (p[:8].argmax(axis=1) == y).all()
    if name == "static" and texts[0] == "🎉" and "xyz" not in texts:
        np.testing.assert_allclose(p, np.tile([2 / 8, 3 / 8, 3 / 8], (9, 1)), atol=1e-3)
    model.save(tmp_path)
    again = ARCHITECTURES[name](own, embed, 0)
    again.load(tmp_path)
    np.testing.assert_array_equal(
        again.predict_proba(["x", "🎉"]), model.predict_proba(["x", "🎉"])
    )


def test_one_word_and_one_repeated_letter_are_enough_for_the_usual_terms():
    usual = [name for name, _ in features(["ab", "a"]).transformer_list]
    assert usual == ["words", "characters"]
    for texts in (["a", "a b"], ["ab", "cd"], ["🎉", "🎉"]):
        other = features(texts)
        assert [name for name, _ in other.transformer_list] == ["characters"]
        assert other.fit_transform(texts).shape[1] > 1, "what compresses them needs two"


def test_probe_equals_scikit_learn_and_gives_absent_classes_nothing():
    rng = np.random.default_rng(0)
    vectors, y = rng.normal(size=(60, 5)), np.repeat([0, 1, 3], 20)
    probe = fit_probe(vectors, y, 4, C=1.0)
    reference = LogisticRegression(C=1.0, max_iter=2000).fit(vectors, y).predict_proba(vectors)
    ours = probe.predict_proba(vectors)
    np.testing.assert_array_equal(ours.argmax(axis=1), probe.predict(vectors))
    np.testing.assert_allclose(ours[:, [0, 1, 3]], reference, atol=1e-9)
    assert ours[:, 2].max() == 0


def test_softmax_survives_large_scores():
    np.testing.assert_allclose(softmax(np.array([[1e4, 1e4, 0.0]])), [[0.5, 0.5, 0.0]])


def test_predictions_frame_has_the_agreed_shape():
    rows = pd.DataFrame(
        {
            "id": ["a", "b"],
            "split": ["test", "validation"],
            "label": ["x", "oos"],
            "text": ["t", "u"],
        }
    )
    frame = predictions_frame(rows, ["x", "y"], np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert list(frame.columns) == ["id", "split", "label", "pred", "p_x", "p_y"]
    assert frame["pred"].tolist() == ["x", "y"]
    assert accuracy(frame, "test", ["x", "y"]) == 1.0


def test_labelled_leaves_dropped_rows_out():
    rows = pd.DataFrame(
        {"text": ["t", "u", "v"], "label": ["b", "a", "b"], "action": ["keep", "drop", "relabel"]}
    )
    train = labelled(rows, ["a", "b"])
    assert train.texts == ["t", "v"]
    assert train.y.tolist() == [1, 1]
    assert train.labels == ["a", "b"]
    weighed = labelled(rows.assign(weight=[0.5, 0.0, 1.0]), ["a", "b"])
    assert weighed.weights.tolist() == [0.5, 1.0]
    as_a_slice = rows.drop(columns="action").assign(weight="heavy")
    assert labelled(as_a_slice, ["a", "b"]).weights.tolist() == [1.0, 1.0, 1.0]


def test_numbers_follow_the_order_of_the_labels():
    assert numbers(pd.Series(["b", "a", "b"]), ["a", "b"]).tolist() == [1, 0, 1]


def test_arrays_round_trip(tmp_path):
    save_arrays(tmp_path / "x.safetensors", a=np.arange(6.0).reshape(2, 3).T)
    np.testing.assert_array_equal(
        load_arrays(tmp_path / "x.safetensors")["a"], np.arange(6.0).reshape(2, 3).T
    )


def test_keywords_of_a_language_without_spaces_fall_back_to_the_shares():
    model = ARCHITECTURES["keyword"](Baseline(architectures=["keyword"]), embed, 0)
    model.fit(Labelled(["我的包裹在哪里", "请退款", "密码错误"], np.array([0, 1, 1]), 2))
    np.testing.assert_allclose(model.predict_proba(["包裹", "…"]), [[1 / 3, 2 / 3]] * 2)


def test_a_probe_that_saw_one_class_always_says_it():
    probe = fit_probe(np.eye(3), np.array([1, 1, 1]), 3, C=1.0)
    assert probe.predict(np.eye(3)).tolist() == [1, 1, 1]
    np.testing.assert_array_equal(probe.predict_proba(np.eye(3)), [[0, 1, 0]] * 3)


@pytest.mark.parametrize("name", ["tfidf", "boosted"])
def test_equal_estimators_give_equal_bytes(name, tmp_path):
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        fitted(name).save(tmp_path / run)
    first, second = (tmp_path / run / "pipeline.skops" for run in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
