"""Keyword rules, mined from the training rows: what a patient person would write by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from roadworthy.errors import UserError
from roadworthy.models.architecture import Architecture, Labelled


class Keyword(Architecture):
    """A few telling words and word pairs per class.

    Each one found in a message votes with its log-odds.

    Log-odds of document frequency with add-one-half smoothing, in the class against all other
    classes; only positive ones become rules. A message without any keyword falls back to the class
    shares.
    """

    def fit(self, train: Labelled) -> None:
        counter = CountVectorizer(ngram_range=(1, 2), binary=True, min_df=2)
        found = counter.fit_transform(train.texts)
        terms, total = counter.get_feature_names_out(), np.asarray(found.sum(axis=0)).ravel()
        counts = np.bincount(train.y, minlength=train.n_classes)
        self.rules: list[dict[str, float]] = []
        for label in range(train.n_classes):
            inside = np.asarray(found[train.y == label].sum(axis=0)).ravel()
            p = (inside + 0.5) / (counts[label] + 1)
            q = (total - inside + 0.5) / (len(train.y) - counts[label] + 1)
            odds = np.log(p / (1 - p)) - np.log(q / (1 - q))
            # Support keeps a rule from resting on one lucky message.
            order = np.argsort(-odds * np.sqrt(inside), kind="stable")[
                : self.settings.keyword.terms
            ]
            self.rules.append(
                {str(terms[i]): round(float(odds[i]), 4) for i in order if odds[i] > 0}
            )
        self.shares = (counts / counts.sum()).tolist()

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        vocabulary = sorted({term for rules in self.rules for term in rules})
        column = {term: number for number, term in enumerate(vocabulary)}
        weights = np.zeros((len(vocabulary), len(self.rules)))
        for label, rules in enumerate(self.rules):
            for term, odds in rules.items():
                weights[column[term], label] = odds
        found = CountVectorizer(ngram_range=(1, 2), binary=True, vocabulary=vocabulary).transform(
            texts
        )
        votes = np.asarray(found @ weights) + 0.01 * np.asarray(self.shares)
        normalised: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
        return normalised

    def save(self, folder: Path) -> None:
        content = {"rules": self.rules, "shares": self.shares}
        (folder / "rules.json").write_text(
            json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )

    def load(self, folder: Path) -> None:
        try:
            content = json.loads((folder / "rules.json").read_text(encoding="utf-8"))
            self.rules, self.shares = content["rules"], content["shares"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"rules.json in {folder} cannot be read ({error}): run `dvc repro baseline`"
            ) from error
