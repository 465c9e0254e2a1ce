"""Work spread over processes: the same results in the same order as without, and errors arrive."""

from __future__ import annotations

import os

import pandas as pd
import pytest

from roadworthy import duplicates, parallel


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch):
    """Two processes even for a few items."""
    monkeypatch.setattr(parallel, "LARGE", 4)
    monkeypatch.setattr(parallel, "CHUNK", 2)
    monkeypatch.setattr(parallel, "cpu_count", lambda: 2)


def test_few_items_stay_in_this_process():
    assert set(parallel.spread(lambda _: os.getpid(), range(10), "test", "item")) == {os.getpid()}


def test_many_items_go_to_other_processes_and_come_back_in_order(several: None):
    def work(chunk: range) -> tuple[int, list[int]]:
        return os.getpid(), list(chunk)

    results = list(parallel.spread(work, range(9), "test", "item"))
    assert [items for _, items in results] == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert os.getpid() not in {process for process, _ in results}


def test_duplicates_are_the_same_either_way(request: pytest.FixtureRequest):
    text = "the parcel that was promised for monday has still not come to my door"
    texts = pd.Series([text[n % 4 :] + text[: n % 3] for n in range(40)])
    here = duplicates.find(texts)
    request.getfixturevalue("several")
    there = duplicates.find(texts)
    pd.testing.assert_frame_equal(here.rows, there.rows)
    assert (here.candidates, here.pairs) == (there.candidates, there.pairs)
    assert here.pairs > 0


def test_an_error_in_another_process_arrives(several: None):
    with pytest.raises(TypeError):
        list(parallel.spread(int, [[1], [2], [3], [4]], "test", "item"))
