"""Paid answers, kept as they come: a run that dies or reaches its cap goes on without paying twice.

One line of JSON for each call. A message is named by its hash: what people wrote is not kept here.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.errors import UserError
from roadworthy.models.conversation import ANSWERED, FAILED, REFUSAL, UNPARSED, Answer

TRIES = 2
"""An answer that cannot be read is asked for once more."""


@dataclass(frozen=True)
class Call:
    """One call: what it said and what it took."""

    message: str
    """SHA-256 of the message."""
    answer: Answer
    input_tokens: int
    output_tokens: int
    """Both of all its tries."""
    retries: int
    """Tries before the last one."""


def key(text: str) -> str:
    """The name of a message among the answers."""
    return hashlib.sha256(text.encode()).hexdigest()


class Answers:
    """All calls so far with one question, in memory and in ``<folder>/answers.jsonl``.

    Any thread may ``add``.
    """

    def __init__(self, folder: Path, n_classes: int) -> None:
        """Read what earlier runs kept.

        Raises:
            UserError: a line is not what this class writes.
        """
        self.path, self.n_classes = folder / "answers.jsonl", n_classes
        names = ("answered", "failed", "calls", "retries", "input_tokens", "output_tokens")
        self.totals = Counter(dict.fromkeys(names, 0))
        self._of: dict[str, list[Call]] = {}
        self._lock = threading.Lock()
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):  # killed while it wrote: the next line must not touch this
            os.truncate(self.path, len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._remember(self._call(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"{self.path}: line {number} is damaged ({type(error).__name__}): remove the "
                    f"line, its message is then asked and paid for again"
                ) from error

    def _call(self, line: dict[str, object]) -> Call:
        """A line as a call, or a ValueError."""
        outcome, shares = line["answer"]["outcome"], line["answer"]["shares"]  # type: ignore[index]
        pairs = tuple((int(number), float(share)) for number, share in shares)
        numbers = [number for number, _ in pairs]
        counts = [line[name] for name in ("input_tokens", "output_tokens", "retries")]
        if (
            outcome not in (ANSWERED, UNPARSED, REFUSAL, FAILED)
            or not all(type(count) is int and count >= 0 for count in counts)
            or not set(numbers) <= set(range(self.n_classes))
            or (outcome == ANSWERED and not 0.999 < sum(share for _, share in pairs) < 1.001)
        ):
            raise ValueError
        return Call(str(line["message"]), Answer(outcome, pairs), *counts)  # type: ignore[arg-type]

    def _remember(self, call: Call) -> None:
        spent = {name: getattr(call, name) for name in ("retries", "input_tokens", "output_tokens")}
        outcomes = {name: int(call.answer.outcome == name) for name in (ANSWERED, FAILED)}
        self.totals.update(spent | outcomes, calls=1)
        if call.answer.outcome != FAILED:  # its message is still to be asked
            self._of.setdefault(call.message, []).append(call)

    def add(self, call: Call) -> None:
        """Keep a call, on disk before anything else is done with it."""
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(call)) + "\n")
            self._remember(call)

    def settled(self, text: str) -> bool:
        """Whether there is nothing left to ask about a message."""
        calls = self._of.get(key(text), [])
        return len(calls) >= TRIES or any(call.answer.outcome != UNPARSED for call in calls)

    def probabilities(self, text: str, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shape (n_classes,); ``otherwise`` where the model refused or could not be read."""
        shares = self._of[key(text)][-1].answer.shares
        row = np.zeros(self.n_classes) if shares else otherwise.copy()
        for number, share in shares:
            row[number] = share
        normalised: NDArray[np.float64] = row / row.sum()
        return normalised

    def counts(self) -> dict[str, int]:
        """Messages by outcome, calls, retries and tokens: of all that is kept."""
        last = Counter(calls[-1].answer.outcome for calls in self._of.values())
        return {"unparsed": last[UNPARSED], "refusals": last[REFUSAL], **self.totals}
