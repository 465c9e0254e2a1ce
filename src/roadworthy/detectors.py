"""Which labels are wrong? Several detectors on the same folds, and the choice among them.

An ensemble judges each row: its neighbours; heads on its sentence vector and on that with its
compressed TF-IDF, once out of fold and once by the course of their training; a fine-tuned network,
if asked for. After a first round the doubted rows are no longer learnt from, which keeps systematic
errors from confirming themselves. Which score of which round ranks errors best depends on how they
arose, so it is chosen on errors that are injected into rows believed to be right, of the same
structure as the suspects. Nothing here reads a verified label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score
from tqdm import tqdm

from roadworthy.doubt import DOUBT, consensus, given, log_ratio, margin, others, posterior
from roadworthy.looks import NOBODY, Looks, tell
from roadworthy.noise import Flags, Floats, Integers, confident_learning, out_of_fold
from roadworthy.settings import Clean
from roadworthy.views import COURSE, Views, votes

STOCK = ("self_confidence", "normalized_margin", "neighbours")
"""What a user gets without this module: one probe's probabilities, or the neighbours' votes."""
SCORES = {"given": given, "margin": margin, "log_ratio": log_ratio, "posterior": posterior}
"""Scores of the ensemble, of either round."""
WHEN = ("first", "last")
OWN = (*(f"{name}_{when}" for when in WHEN for name in SCORES), "consensus")
"""``consensus``: margin, log ratio and posterior of both rounds together."""
FEW = 0.02
"""Share of suspects below which the score is not chosen by injected errors: it is ``OWN[0]``."""


@dataclass(frozen=True)
class Found:
    """What the detectors say of every row; scores in [0, 1], low is bad."""

    scores: dict[str, Floats]
    chosen: str
    """Of the ensemble's scores, the one that ranks injected errors best."""
    injected: dict[str, float]
    """Average precision of each score on the injected errors."""
    opinions: dict[str, Floats]
    """Out-of-fold probabilities of the ``first`` and the ``last`` round."""
    right: Floats
    """How likely each given label is right: ``posterior`` of ``probabilities``, or what people
    found where it contradicts that (``learnt``)."""
    flag: Flags
    """Rows whose label is more likely wrong than right."""
    strange: Flags
    """Rows that fit no class, as people found: not learnt from, and flagged."""
    counted: dict[str, Any] = field(default_factory=NOBODY.copy)
    """What people found, see ``looks.tell``."""

    @property
    def probabilities(self) -> Floats:
        """Out-of-fold probabilities after the last round."""
        return self.opinions["last"]

    def issues(self, y: Integers) -> pd.DataFrame:
        """What is thought of each row.

        ``is_label_issue, label_score, suggested, confidence, right, set_aside``. The label score
        is the row's place in the ranking by the chosen score, whose own scale says nothing: the
        share of rows that are doubted as much or more, low is bad.
        What is suggested is the likeliest label other than the given one, with its probability;
        ``right`` is the probability that the given label is right.
        """
        rest = others(self.probabilities, y)
        return pd.DataFrame(
            {
                "is_label_issue": self.flag,
                "label_score": rankdata(self.scores[self.chosen], method="max") / len(y),
                "suggested": rest.argmax(axis=1),
                "confidence": rest.max(axis=1),
                "right": self.right,
                "set_aside": self.strange,
            }
        )

    def learnt(self, looks: Looks, seed: int) -> Found:
        """The same, with what people found: ``right``, ``flag`` and ``counted`` are theirs."""
        score = ensemble_scores(self.opinions, looks.filed)[self.chosen]
        told, counted = tell(score, self.right, looks, seed)
        right = np.where(looks.rows, ~looks.strange, told)
        return replace(self, right=right, flag=right < DOUBT, counted=counted)


def ensemble_scores(opinions: dict[str, Floats], y: Integers) -> dict[str, Floats]:
    """The scores of ``OWN``, from probabilities of the ``first`` and the ``last`` round."""
    found = {
        f"{name}_{when}": score(opinions[when], y)
        for when in WHEN
        for name, score in SCORES.items()
    }
    together = [score for name, score in found.items() if not name.startswith("given")]
    return found | {"consensus": consensus(together)}


Tuned = Callable[[Flags], Floats]
"""Out-of-fold probabilities of a fine-tuned network that learns from the rows given."""


def _opinions(parts: dict[str, Floats], expert: Floats | None = None) -> tuple[Floats, Floats]:
    """Mean probabilities: of the parts that never learnt the row itself, and of all parts.

    The course of training ranks errors well, but it leans towards the given label: whether a label
    is more likely wrong than right is for the others to say. A fine-tuned network counts for two:
    it is a different kind of model, so its errors are different ones, too.
    """
    twice = [] if expert is None else [expert, expert]
    unseen = [part for name, part in parts.items() if not name.endswith(COURSE)]
    return np.mean([*unseen, *twice], axis=0), np.mean([*parts.values(), *twice], axis=0)


def _rounds(
    views: Views,
    y: Integers,
    trusted: Flags,
    strange: Flags,
    settings: Clean,
    seed: int,
    tuned: Tuned | None,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Scores, and the out-of-fold probabilities of the ``first`` and the ``last`` round."""
    keep = ~strange
    steps = 2 * settings.folds * (settings.rounds + 1)
    with tqdm(total=steps, desc="detectors", unit="head", leave=False) as bar:
        parts = views.judge(y, keep, settings, seed, bar)
        unseen, first = _opinions(parts)
        held_out = {"first": unseen}
        for _ in range(settings.rounds):
            keep = ~strange & (trusted | (posterior(unseen, y) >= DOUBT))
            for label in np.setdiff1d(y, y[keep]):  # a class that is wholly doubted is still learnt
                keep |= ~strange & (y == label)
            parts = views.judge(y, keep, settings, seed, bar)
            unseen, _ = _opinions(parts)
    expert = tuned(keep) if tuned else None
    held_out["last"], last = _opinions(parts, expert)
    scores = {"training_dynamics": margin(parts[f"joint{COURSE}"], y)}
    if expert is not None:
        scores["tuned_loss"] = given(expert, y)
    return scores | ensemble_scores({"first": first, "last": last}, y), held_out


def inject(y: Integers, probabilities: Floats, flag: Flags, seed: int) -> tuple[Integers, Flags]:
    """Put errors into rows believed to be right, shaped like the suspects; (labels, which rows).

    As many as there are suspects, at least one row and at most a quarter. Where the suspects' given
    label tends to be the model's second choice, so is the wrong label here; else it is the given
    label of a suspect that the model takes for the same class.
    """
    generator, guess = np.random.default_rng(seed), probabilities.argmax(axis=1)
    good, suspects = np.flatnonzero(~flag), np.flatnonzero(flag)
    good = good if len(good) else np.arange(len(y))
    size = int(np.clip(len(suspects), 1, max(1, len(good) // 4)))
    rows = generator.choice(good, size, replace=False)
    second = np.argsort(-probabilities, axis=1)[:, 1]
    by_choice = float((y[suspects] == second[suspects]).mean()) if len(suspects) else 1.0
    labels = y.copy()
    for row in rows:
        alike = suspects[guess[suspects] == y[row]]
        if len(alike) == 0 or generator.random() < by_choice:
            labels[row] = second[row]
        else:
            labels[row] = y[generator.choice(alike)]
    return labels, np.isin(np.arange(len(y)), rows[labels[rows] != y[rows]])


def stock(views: Views, y: Integers, settings: Clean, seed: int) -> tuple[dict[str, Floats], Flags]:
    """Scores and flags that one probe and plain neighbours give: what the detectors must beat."""
    alone = out_of_fold(views.vectors, y, views.groups, views.n_classes, settings, seed)
    every = np.ones(len(y), dtype=bool)
    near = votes(views.vectors, y, views.groups, views.n_classes, every)
    scores = (given(alone, y), margin(alone, y), given(near, y))
    return dict(zip(STOCK, scores, strict=True)), confident_learning(y, alone)


def detect(
    views: Views,
    y: Integers,
    settings: Clean,
    seed: int,
    looks: Looks | None = None,
    tuned: Tuned | None = None,
) -> Found:
    """Score every row with every detector, and choose one by the errors injected.

    Args:
        views: of the training rows.
        y: given labels as integers.
        settings: folds, C and rounds.
        seed: of folds and injected errors.
        looks: what people have looked at: such rows are always learnt from and never flagged, or,
            if they fit no class, never learnt from and always flagged. If they are enough, they may
            say how likely the other labels are right, see ``tell``.
        tuned: a fine-tuned network's opinion, asked once, after the rounds; none is asked in the
            trial on injected errors.

    """
    nobody = np.zeros(len(y), dtype=bool)
    strange = nobody if looks is None else looks.strange
    trusted = nobody if looks is None else looks.rows & ~strange
    scores, held_out = _rounds(views, y, trusted, strange, settings, seed, tuned)
    unseen = held_out["last"]
    right = np.where(trusted, 1.0, np.where(strange, 0.0, posterior(unseen, y)))
    flag = right < DOUBT
    labels, wrong = inject(y, unseen, flag, seed)
    trial, _ = _rounds(views, labels, nobody, strange, settings, seed, None)
    # Suspects of the real labels may be errors themselves: they say nothing about a detector.
    judged = ~flag
    injected = {
        name: float(average_precision_score(wrong[judged], 1 - score[judged]))
        if wrong[judged].any()
        else float("nan")
        for name, score in trial.items()
    }
    # A handful of suspects says nothing of the errors' shape: then no shape is assumed.
    few = flag.mean() < FEW
    chosen = OWN[0] if few else max(OWN, key=lambda name: np.nan_to_num(injected[name]))
    found = Found(scores, chosen, injected, held_out, right, flag, strange)
    return found if looks is None else found.learnt(looks, seed)
