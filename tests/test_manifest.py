"""What a folder says of itself is believed to the byte, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roadworthy import manifest
from roadworthy.errors import UserError

CONTENT = {"labels": ["Öl", "b"], "scale": 20.0, "1": [None, 1e-7]}
REDO = "run `make it`"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "weights").write_bytes(b"\0\1\2")
    (tmp_path / "unlisted").write_bytes(b"")
    manifest.write(tmp_path / "about.json", CONTENT, ["weights"])
    return tmp_path / "about.json"


def test_what_was_written_is_read(path: Path):
    found = manifest.read(path, REDO)
    assert list(found.pop(manifest.FILES)) == ["weights"]
    assert found == CONTENT
    (path.parent / "unlisted").unlink()
    manifest.read(path, REDO)
    assert sorted(one.name for one in path.parent.iterdir()) == ["about.json", "weights"]


def test_a_flipped_bit_anywhere_in_it_is_noticed(path: Path):
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"about\.json (is|was) .*: run `make it`"):
            manifest.read(path, REDO)


def test_the_same_said_in_other_bytes_is_not_the_same(path: Path):
    whole = path.read_text(encoding="utf-8")
    for other in (json.dumps(json.loads(whole)), whole + "\n", whole.replace("\n", "\r\n")):
        path.write_bytes(other.encode())
        with pytest.raises(UserError, match=r"about\.json was changed or damaged"):
            manifest.read(path, REDO)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b"\xff", b"{", b'"a"'])
def test_what_is_no_manifest_is_unreadable(path: Path, content: bytes):
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"about\.json is missing or unreadable .*: run `make it`"):
        manifest.read(path, REDO)


def test_one_without_its_own_hash_is_old_or_changed(path: Path):
    content = json.loads(path.read_text(encoding="utf-8"))
    del content[manifest.OWN]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"about\.json was made by an older version, or changed"):
        manifest.read(path, REDO)


def test_the_files_beside_it_are_checked(path: Path):
    file = path.parent / "weights"
    file.write_bytes(b"\0\1\3")
    with pytest.raises(UserError, match=r"weights was changed or damaged .*: run `make it`"):
        manifest.read(path, REDO)
    file.unlink()
    with pytest.raises(UserError, match=r"weights is missing or unreadable .*: run `make it`"):
        manifest.read(path, REDO)
    path.unlink()
    with pytest.raises(UserError, match=r"about\.json is missing or unreadable"):
        manifest.read(path, REDO)


def test_the_remedy_names_the_stage():
    assert "`dvc repro finetune`" in manifest.anew("finetune")
