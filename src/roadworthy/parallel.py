"""The same work on many items, spread over the cores of this machine where there are enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGE = 50_000
"""From so many items on, other processes are worth the seconds that they take to start."""
CHUNK = 2_000
"""Items handed over at once."""
IDLE = 20
"""Seconds without work after which a process ends, also where its parent was killed."""


def spread(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item], desc: str, unit: str
) -> Iterator[Result]:
    """Yield ``work(chunk)`` of each chunk of the items, in their order, under a progress bar.

    Fewer than ``LARGE`` items are worked on in this process. More are shared out to one process
    per core that may be used: ``work``, the items and what comes of them must be picklable, and
    what comes of an item must not depend on the others of its chunk.
    """
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    many = len(items) >= LARGE
    options = {"backend": "loky", "idle_worker_timeout": IDLE} if many else {}
    processes = Parallel(cpu_count() if many else 1, return_as="generator", **options)
    results = processes(delayed(work)(chunk) for chunk in chunks)
    with tqdm(desc=desc, unit=unit, total=len(items)) as bar:
        for chunk, result in zip(chunks, results, strict=True):
            yield result
            bar.update(len(chunk))
