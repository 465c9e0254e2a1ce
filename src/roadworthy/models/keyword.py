"""Keyword rules, mined from the training rows: what a patient person would write by hand."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.errors import UserError
from roadworthy.models.architecture import Architecture, Labelled


def words(text: str) -> list[str]:
    """The words of a message, in order and lower case."""
    return re.findall(r"\w+", text.casefold())


def terms(text: str) -> set[str]:
    """The words and word pairs of a message, in lower case."""
    found = words(text)
    return {*found, *(f"{first} {second}" for first, second in pairwise(found))}


class Keyword(Architecture):
    """A few telling words and word pairs per class; each one found votes with its log-odds.

    Log-odds of document frequency with add-one-half smoothing, in the class against all other
    classes; only positive ones, seen in two messages or more, become rules. A message without any
    keyword falls back to the class shares.
    """

    def fit(self, train: Labelled) -> None:
        # A rule counts messages: one that is more likely wrong than right is none.
        sure = np.flatnonzero(train.weights >= 0.5)
        found, y = [terms(train.texts[row]) for row in sure], train.y[sure]
        total = Counter(term for message in found for term in message)
        counts = np.bincount(y, minlength=train.n_classes)
        self.shares = (counts / counts.sum()).tolist()
        self.rules: list[dict[str, float]] = []
        for label, rows in enumerate(counts.tolist()):
            messages = [found[i] for i in np.flatnonzero(y == label)]
            inside = Counter(term for message in messages for term in message)
            odds = {
                term: _log_odds(n, rows) - _log_odds(total[term] - n, len(found) - rows)
                for term, n in inside.items()
                if total[term] > 1
            }
            # Support keeps a rule from resting on few messages; ties go by the alphabet.
            order = sorted(odds, key=lambda term: (-odds[term] * math.sqrt(inside[term]), term))
            best = order[: self.settings.keyword.terms]
            self.rules.append({term: round(odds[term], 4) for term in best if odds[term] > 0})

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        votes = np.tile(0.01 * np.asarray(self.shares), (len(texts), 1))
        for row, text in enumerate(texts):
            found = terms(text)
            for label, rules in enumerate(self.rules):
                votes[row, label] += sum(rules[term] for term in rules if term in found)
        normalised: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
        return normalised

    def save(self, folder: Path) -> None:
        text = json.dumps({"rules": self.rules, "shares": self.shares}, ensure_ascii=False)
        (folder / "rules.json").write_text(text + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        try:
            content = json.loads((folder / "rules.json").read_text(encoding="utf-8"))
            self.rules, self.shares = content["rules"], content["shares"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"rules.json in {folder} cannot be read ({error}): run `dvc repro baseline`"
            ) from error


def _log_odds(found: int, rows: int) -> float:
    """Smoothed log-odds that a message holds a term."""
    share = (found + 0.5) / (rows + 1)
    return math.log(share / (1 - share))
