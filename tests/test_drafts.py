"""Work that several processes share: done once, whatever its name, and never half."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from roadworthy import drafts


def _do(folder: Path, did: list[str]):
    def do(name: str, wait: bool) -> None:
        with drafts.once(folder / name, wait) as draft:
            if draft is not None:
                (draft / "facts.json").write_text(name)
                did.append(name)

    return do


def test_jobs_are_done_once_and_a_dot_in_a_name_is_no_suffix(tmp_path: Path):
    did: list[str] = []
    jobs = ["pair-0.2-0", "pair-0.4-0", "pair-0.2-0"]
    drafts.share(jobs, _do(tmp_path, did), "test", "job")
    assert did == ["pair-0.2-0", "pair-0.4-0"]
    assert [path.read_text() for path in drafts.finished(tmp_path, "facts.json")] == did


def test_what_another_process_holds_is_left_until_the_others_are_done(tmp_path: Path):
    did: list[str] = []
    lock = drafts.locked(tmp_path / "first.lock", wait=False)
    lock.__enter__()

    def do(name: str, wait: bool) -> None:
        if wait and name == "first":
            lock.__exit__(None, None, None)  # the other process dies without a result
        _do(tmp_path, did)(name, wait)

    drafts.share(["first", "second"], do, "test", "job")
    assert did == ["second", "first"]


def test_a_draft_is_no_result_and_is_made_anew(tmp_path: Path):
    with suppress(RuntimeError), drafts.once(tmp_path / "cell", wait=False) as draft:
        (draft / "facts.json").write_text("half")
        raise RuntimeError
    assert drafts.finished(tmp_path, "facts.json") == []
    with drafts.once(tmp_path / "cell", wait=False) as draft:
        assert list(draft.iterdir()) == []
    assert (tmp_path / "cell").is_dir()
