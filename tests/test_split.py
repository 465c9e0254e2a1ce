"""The split: stratified, whole clusters, reproducible, and what the data brings is kept."""

from __future__ import annotations

import pandas as pd
import pytest

from roadworthy.errors import UserError
from roadworthy.settings import Split
from roadworthy.split import freeze


def messages(counts: dict[str, int], split: str = "") -> pd.DataFrame:
    labels = [label for label, count in counts.items() for _ in range(count)]
    ids = [f"m{number:03d}" for number in range(len(labels))]
    frame = pd.DataFrame({"id": ids, "label": labels, "split": split})
    return frame.assign(in_scope=frame["label"] != "oos")


def alone(frame: pd.DataFrame) -> pd.Series:
    return pd.Series(range(len(frame)), index=frame.index)


def shared(split: pd.Series, clusters: pd.Series, one: str, other: str) -> set[int]:
    return set(clusters[split == one]) & set(clusters[split == other])


def test_unsplit_rows_are_stratified():
    frame = messages({"a": 80, "b": 40, "oos": 20})
    frozen = freeze(frame, alone(frame), Split(test=0.25, validation=0.2))
    table = pd.crosstab(frame["label"], frozen.split)
    assert table["test"].to_dict() == {"a": 20, "b": 10, "oos": 5}
    assert table["validation"].to_dict() == {"a": 12, "b": 6, "oos": 3}
    assert frozen.counts == {"train": 84, "validation": 21, "test": 35}
    assert (frozen.brought, frozen.made) == (False, ("test", "validation"))


def test_clusters_never_straddle_what_is_made_here():
    frame = messages({"a": 60, "b": 60})
    clusters = alone(frame) // 3
    clusters[58:62] = 999  # a cluster of two labels
    split = freeze(frame, clusters, Split()).split
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert not shared(split, clusters, one, other)
    assert split.value_counts().min() >= 9


@pytest.mark.parametrize("seed", range(5))
def test_small_classes_keep_training_rows_and_are_tested_where_they_can(seed: int):
    frame = messages({"a": 50, "three": 3, "four": 4, "two": 2})
    split = freeze(frame, alone(frame), Split(test=0.05, validation=0.02, seed=seed)).split
    table = pd.crosstab(frame["label"], split)
    assert (table["train"] >= 1).all()
    assert (table.loc[["a", "three", "four"]] >= 1).all(axis=None)
    assert table.loc["two", ["train", "test"]].tolist() == [1, 1]


def test_a_class_that_is_one_cluster_stays_in_training():
    frame = messages({"a": 40, "b": 6})
    clusters = alone(frame).where(frame["label"] == "a", 999)
    split = freeze(frame, clusters, Split()).split
    assert set(split[frame["label"] == "b"]) == {"train"}


def test_the_seed_decides_and_nothing_else():
    frame = messages({"a": 40, "b": 40})
    one, again, other = (freeze(frame, alone(frame), Split(seed=seed)) for seed in (1, 1, 2))
    assert one.split.equals(again.split)
    assert not one.split.equals(other.split)


def test_a_brought_test_set_is_kept_and_validation_avoids_it():
    frame = pd.concat([messages({"a": 40}, "train"), messages({"a": 20}, "test")])
    frame = frame.reset_index(drop=True)
    clusters = alone(frame)
    clusters[40:45] = clusters[0:5].to_numpy()  # five test rows repeat training rows
    frozen = freeze(frame, clusters, Split(validation=0.5))
    assert (frozen.split == "test").equals(frame["split"] == "test")
    assert (frozen.brought, frozen.made) == (True, ("validation",))
    assert frozen.counts == {"train": 20, "validation": 20, "test": 20}
    assert not shared(frozen.split, clusters, "validation", "test")
    assert not shared(frozen.split, clusters, "validation", "train")
    assert shared(frozen.split, clusters, "train", "test") == {0, 1, 2, 3, 4}


def test_a_complete_split_is_left_alone():
    frame = messages({"a": 9})
    frame["split"] = ["train", "validation", "test"] * 3
    frozen = freeze(frame, alone(frame), Split())
    assert frozen.split.equals(frame["split"])
    assert frozen.made == ()


def test_training_rows_alone_are_split():
    frame = messages({"a": 40}, "train")
    assert freeze(frame, alone(frame), Split()).made == ("test", "validation")


def test_the_record_names_labels_in_scope_and_fingerprints():
    frame = messages({"b": 20, "a": 20, "oos": 20})
    frozen = freeze(frame, alone(frame), Split())
    record = frozen.record(frame, ["channel"])
    assert record["labels"] == ["a", "b"]
    moved = freeze(frame, alone(frame), Split(seed=1)).record(frame, ["channel"])
    assert record["test_id_sha256"] != moved["test_id_sha256"]
    assert record["slices"] == ["channel"]


def test_nothing_to_learn_from_or_to_carve_out():
    frame = messages({"a": 9}, "test")
    with pytest.raises(UserError, match="no training rows"):
        freeze(frame, alone(frame), Split())
    frame = messages({"a": 9})
    with pytest.raises(UserError, match="no test rows can be carved out of 9"):
        freeze(frame, alone(frame) * 0, Split())


@pytest.mark.parametrize("name", ["test", "validation"])
def test_a_split_without_rows_in_scope_is_missing(name: str):
    frame = pd.concat([messages({"a": 40, "b": 40}, "train"), messages({"oos": 10}, name)])
    frame = frame.reset_index(drop=True)
    clusters = alone(frame)
    clusters[80] = clusters[0]  # a brought row repeats a training row, which stays
    frozen = freeze(frame, clusters, Split())
    assert name in frozen.made
    assert not frozen.brought
    assert (frozen.split[frame["split"] == name] == name).all()
    table = pd.crosstab(frozen.split, frame["label"])
    assert (table[["a", "b"]] >= 4).all(axis=None)
    assert frozen.split[0] == "train"
    assert (frozen.carved == (frozen.split != frame["split"])).all()
    made = set(clusters[frozen.carved])
    assert made.isdisjoint(clusters[~frozen.carved])


def test_carving_rows_out_of_scope_alone_is_not_enough():
    frame = messages({"a": 9, "oos": 9})
    clusters = alone(frame).where(frame["label"] == "oos", 999)
    with pytest.raises(UserError, match="no test rows can be carved out of 9 training rows in"):
        freeze(frame, clusters, Split())
    frame["split"] = ["test"] * 9 + ["train"] * 9
    with pytest.raises(UserError, match="no training rows in scope"):
        freeze(frame, clusters, Split())
