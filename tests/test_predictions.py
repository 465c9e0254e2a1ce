"""Frames that are about other rows, or no probabilities, are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import LABELS, frame, messages, no_gold, record

from roadworthy import store
from roadworthy.errors import UserError
from roadworthy.predictions import gather

ROWS = messages(validation=30, test=40, outside=5)


def test_frames_in_another_order_are_brought_into_the_audits():
    shuffled = frame(ROWS, 0.8, 1).sample(frac=1, random_state=0)
    judged = gather({"probe": shuffled}, ROWS, no_gold(), record(ROWS))
    assert judged.models["probe"]["id"].tolist() == judged.rows["id"].tolist()
    assert judged.mask("test").sum() == 40
    assert judged.mask("test", in_scope=False).sum() == 5
    assert judged.truth("validation").tolist() == [
        LABELS.index(label) for label in ROWS.loc[ROWS["split"] == "validation", "label"]
    ]
    assert judged.probabilities("probe", "test", in_scope=False).shape == (5, 3)


Change = Callable[[pd.DataFrame], pd.DataFrame]
BROKEN: dict[str, tuple[Change, str]] = {
    "a test row is missing": (lambda f: f.iloc[:-1], "not the frozen test set"),
    "a validation row is missing": (lambda f: f.iloc[1:], "is missing, unknown or repeated"),
    "a row twice": (lambda f: pd.concat([f.iloc[:1], f]), "is missing, unknown or repeated"),
    "a class is missing": (lambda f: f.drop(columns="p_card"), "column 'p_card'"),
    "classes in another order": (lambda f: f[[*f.columns[:4], *f.columns[:3:-1]]], "order"),
    "another label": (
        lambda f: f.assign(label=["card" if x == "parcel" else x for x in f["label"]]),
        "another label",
    ),
    "sums to two": (lambda f: f.assign(p_card=f["p_card"] + 1), "not probabilities"),
    "not a number": (lambda f: f.assign(p_card=np.nan), "not probabilities"),
    "negative": (
        lambda f: f.assign(p_card=-0.5, p_parcel=0.5, p_refund=1.0),
        "not probabilities",
    ),
    "not the likeliest class": (
        lambda f: f.assign(pred=f.filter(regex="^p_").idxmin(axis=1).str[2:]),
        "not the likeliest class",
    ),
    "an unknown class": (lambda f: f.assign(pred="nonsense"), "not the likeliest class"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_frame_is_refused(case: str):
    change, message = BROKEN[case]
    broken = change(frame(ROWS, 0.8, 1)).reset_index(drop=True)
    with pytest.raises(UserError, match=message) as caught:
        gather({"probe": broken}, ROWS, no_gold(), record(ROWS))
    assert "'probe'" in str(caught.value)
    assert "dvc repro" in str(caught.value)


def test_predictions_are_read_simplest_first_whatever_the_files_are_called(project: Path):
    made = {"baseline": ["aaa", "probe", "majority", "tfidf"], "finetune": ["lora"]}
    for stage, names in made.items():
        folder = project / "artifacts" / stage / "predictions"
        folder.mkdir(parents=True)
        for name in names:
            frame(ROWS, 0.5, 0).to_parquet(folder / f"{name}.parquet")
    assert list(store.read_predictions()) == ["majority", "tfidf", "probe", "aaa", "lora"]


def test_missing_predictions_name_the_command(project: Path):
    with pytest.raises(UserError, match="dvc repro baseline"):
        store.read_predictions()
    (project / "artifacts/baseline/predictions").mkdir(parents=True)
    with pytest.raises(UserError, match="empty: run `dvc repro baseline`"):
        store.read_predictions()
