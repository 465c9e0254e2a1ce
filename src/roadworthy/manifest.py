"""A JSON file that answers for a folder: hashes of the files beside it, and one of its own text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from roadworthy.data import sha256
from roadworthy.drafts import write_text
from roadworthy.errors import UserError

OWN = "content_sha256"
FILES = "sha256"


def anew(stage: str) -> str:
    """What to do where a file of a stage's is not what the stage wrote."""
    return (
        f"`dvc checkout --force {stage}` brings back what the stage wrote, "
        f"`dvc repro {stage}` makes it anew"
    )


def write(path: Path, content: dict[str, Any], names: Iterable[str]) -> None:
    """Write what a folder says of itself, by renaming.

    Args:
        path: of the JSON file.
        content: JSON-ready, without hashes.
        names: of the files beside it that it answers for, written before.

    """
    hashes = {name: sha256(path.parent / name) for name in sorted(names)}
    write_text(path, _text(content | {FILES: hashes}))


def read(path: Path, redo: str) -> dict[str, Any]:
    """What ``write`` was given and, as ``sha256``, the files' hashes: nothing has changed since.

    Args:
        path: of the JSON file.
        redo: what to do if it or a file beside it is not what was written.

    Raises:
        UserError: a file is missing, unreadable, damaged or changed, by a single byte.

    """
    try:
        found = path.read_bytes().decode()  # read_text would pass over a changed line end
        content: dict[str, Any] = json.loads(found)
        own = content.pop(OWN, None)
        same = found == _text(content)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is missing or unreadable ({error}): {redo}") from error
    if own is None:
        raise UserError(f"{path} was made by an older version, or changed since: {redo}")
    if not same:
        raise UserError(f"{path} was changed or damaged since it was saved: {redo}")
    for name, digest in content[FILES].items():
        file = path.parent / name
        try:
            same = sha256(file) == digest
        except OSError as error:
            raise UserError(f"{file} is missing or unreadable ({error}): {redo}") from error
        if not same:
            raise UserError(f"{file} was changed or damaged since it was saved: {redo}")
    return content


def _text(content: dict[str, Any]) -> str:
    """The whole file, with the hash of all else in it as its last entry."""
    own = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return json.dumps(content | {OWN: own}, indent=1, ensure_ascii=False) + "\n"
