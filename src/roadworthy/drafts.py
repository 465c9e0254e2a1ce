"""Where a stage writes until it has finished, and how its results replace the last ones."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

from roadworthy.config import root

if TYPE_CHECKING:  # most commands draw nothing
    from matplotlib.figure import Figure

DRAFT = "ROADWORTHY_DRAFT"
Job = TypeVar("Job")


def outputs(stage: str) -> list[str]:
    """What a stage may write, relative to the root, in the order of publishing."""
    return [
        f"artifacts/{stage}",
        f"reports/figures/{stage}",
        f"reports/tables/{stage}",
        *(["reports/cards"] if stage == "readiness" else []),
        f"reports/metrics/{stage}.json",
    ]


def draft_folder(stage: str) -> Path:
    """Where the runner lets a stage write until it has finished."""
    return root() / "scratch" / "drafts" / stage


def write_root() -> Path:
    """The draft folder under the runner, scratch/ by hand."""
    draft = os.environ.get(DRAFT)
    return Path(draft) if draft else root() / "scratch"


def write_text(path: Path, text: str) -> None:
    """Write a text file by renaming: whoever reads it finds the old one or the new one, whole."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, encoding="utf-8", newline="\n")
    draft.replace(path)


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG by renaming, byte-stable on one machine."""
    draft = path.with_name(path.name + ".draft")
    figure.savefig(draft, format="png", dpi=110, metadata={"Software": None})
    draft.replace(path)


def clear(stage: str) -> Path:
    """An empty draft folder; what a killed ``publish`` had only taken away is put back first."""
    draft = draft_folder(stage)
    for name in outputs(stage):
        retired = draft / "retired" / name
        if retired.exists() and not (root() / name).exists():
            retired.replace(root() / name)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    return draft


def publish(stage: str) -> None:
    """Move a finished stage's draft into place, replacing what was there.

    Each folder is swapped by two renamings, so a killed run leaves the old one or the new one, or,
    between the two, none until ``clear`` puts the old one back.
    """
    draft = draft_folder(stage)
    for name in outputs(stage):
        new, old = draft / name, root() / name
        if not new.exists():
            continue
        old.parent.mkdir(parents=True, exist_ok=True)
        if new.is_file():
            new.replace(old)
            continue
        retired = draft / "retired" / name
        retired.parent.mkdir(parents=True, exist_ok=True)
        if old.exists():
            old.replace(retired)
        new.replace(old)
    shutil.rmtree(draft)
    forget(stage)


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[bool]:
    """Hold the lock that this file is, against threads and processes of this machine alike.

    False, at once, where another has it and ``wait`` is off.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if wait:
                raise
            yield False
            return
        yield True


@contextmanager
def once(done: Path, wait: bool) -> Iterator[Path | None]:
    """A draft folder that is renamed to ``done`` when its block ends well.

    None where ``done`` is there already. If another process is making it, ``wait`` for that one, or
    leave it to that: None, too.
    """
    draft = done.with_name(f"{done.name}.draft")  # a name may have a dot of its own
    with locked(done.with_name(f"{done.name}.lock"), wait) as held:
        if done.exists() or not held:
            yield None
            return
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        yield draft
        draft.replace(done)


def finished(folder: Path, name: str) -> list[Path]:
    """That file of every folder below ``folder`` that ``once`` has completed."""
    return [path for path in sorted(folder.glob(f"*/{name}")) if path.parent.suffix != ".draft"]


def share(jobs: Sequence[Job], do: Callable[[Job, bool], None], desc: str, unit: str) -> None:
    """Do all jobs, with any number of processes that were given the same ones.

    ``do`` gets a job and whether to ``wait``, as ``once`` takes it: what another process is doing
    is skipped first and waited for last, so that it is done here should that one die.
    """
    for wait in (False, True):
        for job in tqdm(jobs, desc=desc, unit=unit, disable=wait):
            do(job, wait)


def forget(stage: str) -> None:
    """Remove the checkpoints of a stage whose results are kept."""
    shutil.rmtree(_above(stage), ignore_errors=True)


def _above(stage: str) -> Path:
    return root() / "scratch" / "checkpoints" / stage


@contextmanager
def checkpoints(stage: str, key: str) -> Iterator[Path | None]:
    """A folder for what a killed training goes on from; it goes once the stage is published.

    ``key`` tells this training from every other one: folders of others are removed. None while
    another process trains here.
    """
    above = _above(stage)
    with locked(above / "lock", wait=False) as held:
        if not held:
            yield None
            return
        for other in above.iterdir():
            if other.is_dir() and other.name != key:
                shutil.rmtree(other)
        (above / key).mkdir(exist_ok=True)
        yield above / key
