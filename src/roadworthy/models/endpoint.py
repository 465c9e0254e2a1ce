"""A large model behind an OpenAI-compatible endpoint, asked about one message at a time.

Each call may cost money: there are caps, and what is paid for is kept. Off unless
``baseline.architectures`` names it.

What the cap on the spend promises: no call begins once the calls so far, at the prices of the
settings, cost ``max_spend``. What a server does not state, and each try without an answer that it
may charge for, counts as all bytes sent and the longest answer. It cannot promise the bill: calls
under way still end (``concurrency`` of them, each with its retries), the prices are those of the
settings, and a server may charge for what it does not state.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from roadworthy.config import root
from roadworthy.errors import UserError
from roadworthy.models.answers import Answers, Call, key
from roadworthy.models.architecture import Architecture, Labelled
from roadworthy.models.client import Client, Reply
from roadworthy.models.conversation import FAILED, REFUSAL, Answer, Conversation

ASKED = ("base_url", "model", "form", "temperature", "output_tokens")
"""Settings that a saved model was made with, and is loaded with only."""

HOPELESS = 40
"""Calls after which a model that has not named a single class is asked no further."""


class Endpoint(Architecture):
    """A large model that somebody else runs; zero-shot, or with examples of each class.

    In the chat form the class that it names has probability one. Where it refuses, or twice gives
    no known class, the message gets the class shares of the training rows, which is all that is
    known then: it counts as routed to the commonest class.
    """

    local = False

    def fit(self, train: Labelled) -> None:
        """Choose the examples, at random among the rows whose label is more likely right.

        Raises:
            ValueError: ``train`` does not name its classes.
            UserError: the settings name no model.
        """
        if len(train.labels) != train.n_classes:
            raise ValueError("the endpoint is asked by the classes' names: Labelled.labels")
        random = np.random.default_rng(self.seed)
        examples: list[tuple[int, str]] = []
        for label in range(train.n_classes):
            rows = np.flatnonzero((train.y == label) & (train.weights >= 0.5))
            count = min(self.settings.endpoint.shots, len(rows))
            chosen = random.choice(rows, count, replace=False)
            examples += [(label, train.texts[row]) for row in chosen]
        counts = np.bincount(train.y, train.weights, minlength=train.n_classes)
        self.shares: NDArray[np.float64] = counts / counts.sum()
        order = random.permutation(len(examples))
        self._ask_with(list(train.labels), [examples[at] for at in order])

    def _ask_with(self, labels: list[str], examples: list[tuple[int, str]]) -> None:
        """Settle the question, and find what was already answered to it."""
        own = self.settings.endpoint
        if not own.model:
            raise UserError("config: baseline.endpoint.model is empty: name the model to ask")
        self.conversation = Conversation(own, labels, examples)
        question = [own.base_url, own.form, self.conversation.request("")]
        name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
        self.answers = Answers(root() / "scratch" / "endpoint" / name, len(labels))

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities, shape (n, n_classes); only messages never asked before are paid for.

        Raises:
            UserError: a cap is reached, the key is missing or refused, or the endpoint fails.
        """
        pending = deque(text for text in dict.fromkeys(texts) if not self.answers.settled(text))
        if pending:
            with (
                Client(self.settings.endpoint) as client,
                tqdm(total=len(pending), desc="endpoint", unit="message") as bar,
            ):
                self._ask_all(client, pending, bar)
        rows = [self.answers.probabilities(text, self.shares) for text in texts]
        return np.array(rows).reshape(len(texts), self.answers.n_classes)

    def _ask_all(self, client: Client, pending: deque[str], bar: tqdm[Any]) -> None:
        """Ask in batches of ``concurrency``; whatever stops one, all its answers are kept."""
        with ThreadPoolExecutor(self.settings.endpoint.concurrency) as pool:
            while pending:
                batch = [pending.popleft() for _ in range(min(self._allowed(), len(pending)))]
                failed: list[UserError] = []
                for future in as_completed(
                    [pool.submit(self._ask, client, text) for text in batch]
                ):
                    try:
                        future.result()
                    except UserError as error:
                        failed.append(error)
                if failed:
                    raise failed[0]
                again = [text for text in batch if not self.answers.settled(text)]
                pending.extend(again)
                bar.update(len(batch) - len(again))

    def _allowed(self) -> int:
        """How many calls may be made at once; at least one, or a UserError."""
        own, calls, spent = self.settings.endpoint, self.answers.totals["calls"], self.spend()
        for name, so_far in (("max_spend", spent), ("max_calls", calls)):
            if so_far >= getattr(own, name):
                kept = self.answers.path.relative_to(root())
                raise UserError(
                    f"baseline.endpoint: {spent:.4f} spent in {calls} calls, which reaches {name} "
                    f"= {getattr(own, name)}; the answers are kept in {kept}: raise {name} and run "
                    f"it again to go on"
                )
        answers = calls - self.answers.totals["failed"]
        if answers >= HOPELESS and not self.answers.totals["answered"]:
            raise UserError(
                f"baseline.endpoint: none of {answers} answers of '{own.model}' names a class: "
                f"check output_tokens (a model that reasons first needs thousands), model and form"
            )
        return min(own.concurrency, own.max_calls - calls)

    def _ask(self, client: Client, text: str) -> None:
        """One message, one call, kept as soon as it is answered or may have to be paid.

        By the thread that made it: where Ctrl-C stops the others, calls under way are paid for too.

        Raises:
            UserError: no reply.
        """
        request = self.conversation.request(text)
        reply = client.ask(request)
        if reply.lost or not reply.problem:
            self.answers.add(self._call(text, request, reply))
        if reply.problem:
            raise UserError(reply.problem)

    def _call(self, text: str, request: dict[str, Any], reply: Reply) -> Call:
        """What a reply says and took, tries that were lost before it included."""
        answer, used = Answer(FAILED), (0, 0)
        if not reply.problem:
            answer = Answer(REFUSAL) if reply.filtered else self.conversation.read(reply.body)
            used = self.conversation.tokens(reply.body, request)
        most = self.conversation.tokens(None, request)
        inputs, outputs = (n + reply.lost * m for n, m in zip(used, most, strict=True))
        return Call(key(text), answer, inputs, outputs, reply.retries)

    def spend(self) -> float:
        """What all that is kept cost, at the prices of the settings; what is not sure, dearly."""
        own, total = self.settings.endpoint, self.answers.totals
        inputs, outputs = total["input_tokens"], total["output_tokens"]
        return (inputs * own.input_price + outputs * own.output_price) / 1e6

    def save(self, folder: Path) -> None:
        """Write endpoint.json, the question, and counts.json, what was asked and paid so far."""
        content = {
            "asked": self._asked(),
            "labels": self.conversation.labels,
            "examples": self.conversation.examples,
            "shares": self.shares.tolist(),
        }
        counts = self.answers.counts() | {"spend": round(self.spend(), 6)}
        for name, item in (("endpoint.json", content), ("counts.json", counts)):
            text = json.dumps(item, ensure_ascii=False, indent=1)
            (folder / name).write_text(text + "\n", encoding="utf-8")

    def _asked(self) -> dict[str, Any]:
        return {name: getattr(self.settings.endpoint, name) for name in ASKED}

    def load(self, folder: Path) -> None:
        """Read the question again; a file must not choose whom the key is sent to.

        Raises:
            UserError: the file is damaged, or was made with other settings than these.
        """
        try:
            content = json.loads((folder / "endpoint.json").read_text(encoding="utf-8"))
            asked, labels = content["asked"], [str(label) for label in content["labels"]]
            examples = [
                (range(len(labels))[label], str(text)) for label, text in content["examples"]
            ]
            shares = np.array([float(content["shares"][label]) for label in range(len(labels))])
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(
                f"endpoint.json in {folder} cannot be read ({error}): run `dvc repro baseline`"
            ) from error
        if asked != self._asked():
            raise UserError(
                f"endpoint.json in {folder} was made with {asked}, the settings now say "
                f"{self._asked()}: run `dvc repro baseline`"
            )
        self.shares = shares
        self._ask_with(labels, examples)
