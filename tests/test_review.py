"""The review: what waits, what is written down, and that nothing hostile gets any further."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
import pytest

from roadworthy import companions, review, review_page, store
from roadworthy.data import id_hash, text_hash
from roadworthy.drafts import DRAFT
from roadworthy.errors import UserError
from roadworthy.review_page import Handlers, Session, where
from roadworthy.settings import Data, File

HOSTILE = '![](http://example.org/x.png)<script>alert(1)</script>\r**bold**\n, "quoted"'
MESSAGES = pd.DataFrame(
    {
        "id": ["a", "b", "=c", "d", "e", "f"],
        "text": ["hello", HOSTILE, "=1+1", "@you", "bye", "weather?"],
        "label": ["greet", "leave", "leave", "-pay", "leave", "other"],
        "split": ["train", "train", "train", "train", "test", "train"],
        "in_scope": [True, True, True, True, True, False],
    }
)
WAITING = ["=c", "b", "d", "a"]
FILE = "data/x/decisions.csv"


def settings(decisions: str | None = None, name: str = "x") -> Data:
    files = [File(path="data/x/messages.csv")]
    return Data(name=name, files=files, id="id", decisions=decisions)


@pytest.fixture
def filed(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose audit and cleaning have run."""
    monkeypatch.setenv(DRAFT, str(project))
    store.write_frame("audit", "messages", MESSAGES)
    store.write_json("artifacts/audit/split.json", {"test_id_sha256": id_hash(["e"])})
    rows = MESSAGES.set_index("id").loc[WAITING].reset_index()[["id", "text", "label"]]
    suggested = ["-pay", "greet", "greet", "leave"]
    found = rows.assign(suggested=suggested, confidence=0.91, label_score=0.1, flagged=True)
    found["part"] = ["doubted", "doubted", "doubted", "sample"]
    store.write_csv("clean", "review_queue", found, folder="artifacts")
    return project


def written(project: Path) -> list[list[str]]:
    """The rows of the file as the pipeline reads them."""
    return companions.decisions(settings(FILE), MESSAGES).to_numpy().tolist()


def test_the_queue_keeps_its_order_and_the_messages_their_text(filed: Path):
    rows = review.queue(settings())
    assert rows["id"].tolist() == WAITING
    assert rows["text"].tolist() == ["=1+1", HOSTILE, "@you", "hello"]
    assert rows["suggested"].tolist() == ["-pay", "greet", "greet", "leave"]
    assert rows["label"].tolist() == ["leave", "leave", "-pay", "greet"]


def test_decided_rows_wait_no_more_and_the_pipeline_reads_the_decisions(filed: Path):
    review.decide(settings(), "=c", "-pay")
    review.decide(settings(), "a", "greet")
    assert review.queue(settings())["id"].tolist() == ["b", "d"]
    assert written(filed) == [["=c", "-pay"], ["a", "greet"]]
    assert [path.name for path in (filed / FILE).parent.iterdir()] == ["decisions.csv"]


def test_where_ids_are_row_numbers_a_decision_stays_with_its_message(filed: Path):
    """One row more above, and every id means the message before."""
    nameless = replace(settings(FILE), id=None)
    review.decide(nameless, "b", "greet")
    (row,) = companions.written(nameless).to_numpy().tolist()
    assert row == ["b", "greet", hashlib.sha256(HOSTILE.encode()).hexdigest()[:16]]
    assert companions.decisions(nameless, MESSAGES).to_numpy().tolist() == [["b", "greet"]]
    shifted = MESSAGES.assign(text=["new", *MESSAGES["text"][:-1]])
    with pytest.raises(UserError, match="the message 'b' has another text"):
        companions.decisions(nameless, shifted)
    store.write_frame("audit", "messages", shifted)
    with pytest.raises(UserError, match="the message 'b' has another text"):
        review.decide(nameless, "a", "greet")
    assert companions.written(nameless)["id"].tolist() == ["b"]


def test_rows_that_the_audit_no_longer_has_do_not_wait(filed: Path):
    store.write_frame("audit", "messages", MESSAGES[MESSAGES["id"] != "b"])
    assert review.queue(settings())["id"].tolist() == ["=c", "d", "a"]


def test_a_second_decision_replaces_the_first_and_undo_takes_it_back(filed: Path):
    for id, label in [("a", "greet"), ("b", "leave"), ("a", "leave")]:
        review.decide(settings(), id, label)
    assert written(filed) == [["b", "leave"], ["a", "leave"]]
    review.undo(settings(), "a")
    assert written(filed) == [["b", "leave"]]
    review.undo(settings(), "b")
    assert not (filed / FILE).exists()


def test_decisions_about_messages_that_were_not_drawn_stay(filed: Path):
    (filed / FILE).parent.mkdir(parents=True)
    (filed / FILE).write_text("id,label\nnot-drawn,gone\nb,greet\n")
    drawn = replace(settings(FILE), sample=5)
    review.decide(drawn, "a", "greet")
    assert review.decided(drawn, MESSAGES)["id"].tolist() == ["b", "a"]
    review.undo(drawn, "b")
    rows = companions.written(settings(FILE)).to_numpy().tolist()
    assert rows == [["not-drawn", "gone", ""], ["a", "greet", text_hash("hello")]]


def test_a_file_that_conf_names_is_kept_when_all_is_taken_back(filed: Path):
    named = settings(FILE)
    (filed / FILE).parent.mkdir(parents=True)
    (filed / FILE).write_text("id,label\n")
    assert written(filed) == []
    review.decide(named, "a", "greet")
    review.undo(named, "a")
    assert (filed / FILE).read_text().strip() == '"id","label","text_sha256"'
    assert written(filed) == []


@pytest.mark.parametrize(
    ("id", "label", "words"),
    [
        ("z", "greet", "no message has the id 'z'"),
        ("a", "great", "'great' is no label"),
        ("a", "other", "'other' is no label to decide for"),
        ("a", "", "'' is no label"),
    ],
)
def test_an_unknown_id_or_label_is_refused(filed: Path, id: str, label: str, words: str):
    with pytest.raises(UserError, match=words):
        review.decide(settings(), id, label)
    assert not (filed / "data").exists()


def test_a_message_may_fit_no_class_where_the_data_set_has_a_label_for_that(filed: Path):
    data = replace(settings(FILE), out_of_scope="other")
    assert review.labels(data, MESSAGES) == ["-pay", "greet", "leave", "other"]
    assert review.labels(settings(), MESSAGES) == ["-pay", "greet", "leave"]
    review.decide(data, "a", "other")
    assert companions.decisions(data, MESSAGES).to_numpy().tolist() == [["a", "other"]]
    with pytest.raises(UserError, match="no message in scope has the label 'other'"):
        companions.decisions(settings(FILE), MESSAGES)


@pytest.mark.parametrize(
    "path", ["../out.csv", "data/../out.csv", "artifacts/out.csv", "/tmp/o.csv"]
)
def test_a_path_out_of_data_is_refused(filed: Path, path: str):
    for work in (review.queue, lambda data: review.decide(data, "a", "greet")):
        with pytest.raises(UserError, match="leads out of data/"):
            work(settings(path))
    with pytest.raises(UserError, match="leads out of data/"):
        review.decide(settings(name="../.."), "a", "greet")


def test_links_lead_nowhere(filed: Path):
    outside, folder = filed.parent / "outside.csv", filed / "data" / "x"
    outside.write_text("kept")
    folder.mkdir(parents=True)
    draft = folder / "decisions.csv.draft"
    draft.symlink_to(outside)
    review.decide(settings(), "a", "greet")
    assert outside.read_text() == "kept"
    (filed / FILE).unlink()
    (filed / FILE).symlink_to(outside)
    with pytest.raises(UserError, match="leads out of data/"):
        review.decide(settings(), "a", "greet")
    assert outside.read_text() == "kept"


def test_a_file_with_other_columns_is_left_alone(filed: Path):
    """It may be the messages themselves, by a slip in the settings."""
    (filed / "data/x").mkdir(parents=True)
    content = "id,text,label\na,hello,greet\n"
    (filed / "data/x/messages.csv").write_text(content)
    with pytest.raises(UserError, match="the column 'text'"):
        review.decide(settings("data/x/messages.csv"), "b", "leave")
    assert (filed / "data/x/messages.csv").read_text() == content


def test_decisions_made_at_once_are_all_kept(filed: Path):
    threads = [
        threading.Thread(target=review.decide, args=(settings(), id, "leave")) for id in WAITING
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written(filed)) == sorted([id, "leave"] for id in WAITING)


def test_two_demos_lose_no_decision(filed: Path):
    """Another process holds the lock: this one waits, and keeps what was written meanwhile."""
    lock = filed / review.LOCK
    lock.parent.mkdir()
    script = """
import fcntl, sys
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print(flush=True)
    input()
"""
    command = [sys.executable, "-c", script, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        ours = threading.Thread(target=review.decide, args=(settings(), "a", "leave"))
        ours.start()
        ours.join(0.3)
        assert ours.is_alive()
        (filed / FILE).parent.mkdir(parents=True)
        (filed / FILE).write_text("id,label\nb,greet\n")
        other.communicate(b"\n")
        ours.join()
    assert written(filed) == [["b", "greet"], ["a", "leave"]]


def test_the_handlers_go_through_the_queue(filed: Path):
    handlers = Handlers(settings())
    said, *shown, session = handlers.show(Session())
    assert said == "3 doubted labels wait, then a sample of 1; 0 decided."
    assert shown == ["=c", "=1+1", "leave", "-pay", "0.91", None]
    _, id, text, *_, session = handlers.next("=c", session)
    assert (id, text) == ("b", HOSTILE)
    said, id, *_, session = handlers.decide("b", "leave", session)
    assert (said, id) == ("2 doubted labels wait, then a sample of 1; 1 decided.", "d")
    said, id, *_, session = handlers.decide("d", None, session)
    assert "is no label" in said
    assert id == "d"
    _, id, *_, session = handlers.undo(session)
    assert id == "b"
    for _ in range(3):
        _, id, _, label, *_, session = handlers.decide(id, "leave", session)
    assert (id, label) == ("=c", "leave"), "skipped rows come last"
    said, id, *_ = handlers.decide(id, label, session)
    assert said.startswith("Nothing waits, 4 decided.")
    assert f"once conf/data/x.yaml has the line `decisions: {FILE}`" in said
    assert id == ""


def test_a_message_that_fits_nothing_is_decided_and_taken_back_like_any_other(filed: Path):
    data = replace(settings(FILE), out_of_scope="other")
    handlers = Handlers(data)
    said, id, *_, session = handlers.decide("=c", "other", Session())
    assert (said, id) == ("2 doubted labels wait, then a sample of 1; 1 decided.", "b")
    _, id, *_ = handlers.undo(session)
    assert id == "=c"
    assert companions.decisions(data, MESSAGES).empty


def test_only_what_this_session_decided_is_taken_back(filed: Path):
    handlers = Handlers(settings())
    handlers.decide("a", "greet", Session())
    assert "nothing yet" in handlers.undo(Session())[0]
    assert written(filed) == [["a", "greet"]]


def test_each_split_has_its_queue_and_takes_back_its_own(filed: Path):
    rows = MESSAGES[MESSAGES["id"] == "e"][["id", "text", "label"]]
    found = rows.assign(suggested="greet", confidence=0.8, right=0.1, part="doubted")
    store.write_csv("clean", "review_test", found, folder="artifacts")
    store.write_csv("clean", "review_validation", found.head(0), folder="artifacts")
    assert review.queue(settings(), "test")["id"].tolist() == ["e"]
    handlers = Handlers(settings())
    _, id, *_, session = handlers.decide("=c", "-pay", Session())
    said, id, text, label, suggested, *_, session = handlers.turn("test", session)
    assert said == "1 doubted labels wait, then a sample of 0; 1 decided."
    assert (id, text, label, suggested) == ("e", "bye", "leave", "greet")
    said, id, *_, session = handlers.decide("e", "greet", session)
    assert said.startswith("Nothing waits, 2 decided.")
    assert written(filed) == [["=c", "-pay"], ["e", "greet"]]
    said, *_, session = handlers.turn("validation", session)
    assert said.startswith("Nothing waits")
    assert "nothing yet" in handlers.undo(session)[0]
    _, id, *_, session = handlers.undo(handlers.turn("test", session)[-1])
    assert (id, written(filed)) == ("e", [["=c", "-pay"]])
    assert "nothing yet" in handlers.undo(session)[0]
    handlers.undo(handlers.turn("train", session)[-1])
    assert not (filed / FILE).exists()


def test_a_missing_queue_is_said_and_breaks_nothing(filed: Path):
    (filed / "artifacts/clean/review_queue.csv").unlink()
    with pytest.raises(UserError, match="dvc repro clean"):
        review.queue(settings())
    said, id, *_ = Handlers(settings()).show(Session())
    assert "run `dvc repro clean` first" in said
    assert id == ""


def test_the_page_says_which_line_is_missing(project: Path):
    assert where(settings()).endswith(f"once conf/data/x.yaml has the line `decisions: {FILE}`.")
    assert where(settings("data/x/d.csv")).endswith("goes by what was decided.")
    assert "flatters the models" in where(settings())
    assert "`dvc exp run -S data=x`" in where(settings())
    assert "<b>" not in where(settings(name="<b>"))


def test_the_tab_shows_data_in_text_boxes_alone(filed: Path):
    async def build() -> list[Any]:
        with gr.Blocks(analytics_enabled=False) as page:
            review_page.add(page, settings(), review.labels(settings(), MESSAGES))
        return list(page.fns.values())

    # In a loop of its own: gradio would open one and leave it open.
    calls = asyncio.run(build())
    public = {call.api_name for call in calls if call.api_visibility == "public"}
    assert public == {"decide", "next", "turn", "undo"}
    inert = {"textbox", "dropdown", "state"}
    assert {part.get_block_name() for call in calls for part in call.outputs} == inert
