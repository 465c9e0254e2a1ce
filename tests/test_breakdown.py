"""Where a model errs, on a handful of rows counted by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from frames import LABELS, frame, messages, no_gold, record

from roadworthy.breakdown import confusion_matrix, confusions, per_class, slices
from roadworthy.intervals import wilson
from roadworthy.predictions import Judged, gather

TRUE = ["card", "card", "card", "card", "parcel", "parcel", "refund", "refund"]
PRED = ["card", "parcel", "parcel", "refund", "parcel", "parcel", "card", "parcel"]


@pytest.fixture
def judged() -> Judged:
    """Eight test rows with known answers, among others that must not count."""
    rows = messages(validation=6, test=8, outside=3)
    test = rows.index[rows["split"] == "test"]
    rows.loc[test[:8], "label"] = TRUE
    said = frame(rows, 1.0, 0)
    place = said.index[said["split"] == "test"][:8]
    said.loc[place, "pred"] = PRED
    for label in LABELS:
        said.loc[place, f"p_{label}"] = [0.8 if label == pred else 0.1 for pred in PRED]
    return gather({"probe": said}, rows, no_gold(), record(rows))


def test_per_class_by_hand_worst_first(judged: Judged):
    table = per_class(judged, "probe").set_index("class")
    assert table.index.tolist() == ["refund", "card", "parcel"]
    assert table.loc["card", "precision %"] == pytest.approx(50)
    assert table.loc["card", "recall %"] == pytest.approx(25)
    assert table.loc["card", "F1 %"] == pytest.approx(100 / 3)
    assert table.loc["refund", "F1 %"] == 0
    assert table["support"].to_dict() == {"refund": 2, "card": 4, "parcel": 2}
    assert table.loc["parcel", "predicted"] == 5


def test_confusions_by_hand(judged: Judged):
    table = confusions(judged, "probe", limit=2)
    assert table[["true", "predicted", "count"]].to_numpy().tolist() == [
        ["card", "parcel", 2],
        ["card", "refund", 1],
    ]
    assert table["share of true %"].tolist() == pytest.approx([50, 25])
    example = judged.rows.set_index("id").loc[table["example"].iloc[0]]
    assert (example["label"], example["split"]) == ("card", "test")


def test_a_model_without_mistakes_has_no_confusions(judged: Judged):
    perfect = judged.models["probe"].assign(pred=judged.rows["label"])
    clean = Judged(judged.rows, judged.classes, {"probe": perfect})
    assert len(confusions(clean, "probe", 5)) == 0
    assert confusion_matrix(clean, "probe", 5).shape == (0, 0)


def test_the_matrix_holds_the_most_confused_classes(judged: Judged):
    matrix = confusion_matrix(judged, "probe", classes=2)
    assert matrix.to_numpy().tolist() == [[1, 2], [0, 2]]
    assert matrix.index.tolist() == ["card", "parcel"]


def test_slices_count_every_test_row_once_and_mark_small_ones(judged: Judged):
    table = slices(judged, "probe", ["channel", "length"], fewest=4, confidence=0.95)
    assert table.groupby("slice")["rows"].sum().to_dict() == {"channel": 8, "length": 8}
    whole = table[table["slice"] == "length"].iloc[0]
    assert whole["accuracy %"] == pytest.approx(100 * 3 / 8)
    low, high = wilson(3, 8, 0.95)
    assert (whole["low %"], whole["high %"]) == pytest.approx((100 * low, 100 * high))
    assert table["too small"].tolist() == (table["rows"] < 4).tolist()
    assert table["too small"].any()
    assert isinstance(table, pd.DataFrame)
