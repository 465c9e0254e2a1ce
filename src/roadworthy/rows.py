"""The training rows as the stage ``clean`` sees them, and the rows it is judged on."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy.census import shown
from roadworthy.doubt import DOUBT, others, posterior
from roadworthy.errors import UserError
from roadworthy.intervals import wilson
from roadworthy.looks import NO_CLASS, Looks
from roadworthy.models.architecture import numbers
from roadworthy.models.probe import fit_probe
from roadworthy.noise import CONFIDENCE, Flags, Floats, Integers, Noise, noise
from roadworthy.settings import Clean
from roadworthy.views import Views, joint

Vectors = NDArray[np.floating]
ENOUGH = 30
"""Rows of a random sample that say something of a share."""


@dataclass(frozen=True)
class Rows:
    """Rows in scope; vectors and integer labels by split name."""

    filed: pd.DataFrame
    """Training rows as the audit left them."""
    train: pd.DataFrame
    """The same with people's decisions applied."""
    looked: Flags
    """Training rows that people have decided about."""
    labels: list[str]
    X: dict[str, Vectors]
    """Sentence vectors, shape (rows, d)."""
    J: dict[str, Vectors]
    """Sentence vectors beside compressed TF-IDF that is learnt from training rows."""
    y: dict[str, Integers]
    judged: dict[str, pd.DataFrame] = field(default_factory=dict)
    """Validation and test rows by split: ``id, text, label, filed, looked``. ``filed`` is the label
    before people's decisions, ``looked`` whether they have decided."""
    strange: Flags | None = None
    """Training rows that fit no class, as people found; they keep their filed label here."""
    held: Integers | None = None
    """Near-duplicate cluster of each validation row, numbered as those of training rows are; None:
    each row is its own."""

    @property
    def clusters(self) -> Integers:
        """Near-duplicate cluster of each training row."""
        return self.train["cluster"].to_numpy()

    @property
    def held_clusters(self) -> Integers:
        """Near-duplicate cluster of each validation row."""
        alone = -1 - np.arange(len(self.y["validation"]))
        return alone if self.held is None else self.held

    @property
    def views(self) -> Views:
        """What the detectors look at."""
        return Views(self.X["train"], self.J["train"], self.clusters, len(self.labels))

    @property
    def looks(self) -> Looks | None:
        """What people found at the rows they looked at; None if there is none."""
        if not self.looked.any():
            return None
        decided = self.y["train"]
        decided = decided if self.strange is None else np.where(self.strange, NO_CLASS, decided)
        return Looks(self.looked, self.y_filed, decided)

    @property
    def y_filed(self) -> Integers:
        """Integer labels of the training rows before people's decisions."""
        return numbers(self.filed["label"], self.labels)


def prepare(
    messages: pd.DataFrame, vectors: Vectors, looked: pd.DataFrame, labels: list[str], seed: int
) -> Rows:
    """Assemble the rows.

    Args:
        messages: every message, as the audit wrote them: decisions about validation and test rows
            are in their labels.
        vectors: one row per message.
        looked: people's decisions, ``id, label, filed``; a label that is no class says that none
            fits.
        labels: class names.
        seed: of the compression of TF-IDF.

    """
    filed = messages[(messages["split"] == "train") & messages["in_scope"]]
    train, seen, strange = reviewed(filed, looked, labels)
    both = joint(vectors, messages["text"].tolist(), messages.index.isin(train.index), seed)
    decided = messages["label"].where(~messages.index.isin(train.index), train["label"])
    X, J, y = {}, {}, {}
    for split in ("train", "validation", "test"):
        rows = ((messages["split"] == split) & messages["in_scope"]).to_numpy()
        X[split], J[split], y[split] = vectors[rows], both[rows], numbers(decided[rows], labels)
    known = messages[messages["in_scope"]]
    asked, before = known["id"].isin(looked["id"]), looked.set_index("id")["filed"]
    known = known.assign(looked=asked, filed=known["label"].where(~asked, known["id"].map(before)))
    parts = {split: known[known["split"] == split] for split in ("validation", "test")}
    columns = ["id", "text", "label", "filed", "looked"]
    judged = {split: part[columns] for split, part in parts.items()}
    told = (judged, strange.to_numpy(), parts["validation"]["cluster"].to_numpy(np.int64))
    return Rows(filed, train, seen.to_numpy(), labels, X, J, y, *told)


@dataclass(frozen=True)
class HeldNoise(Noise):
    """Noise of labels that people may have looked at: ``flagged`` are those that nobody has.

    The estimate is the share that a model doubts, which leans high, see ``Noise``. Whoever looks
    only where a model objects corrects only the errors that models see, which flatters every score
    that goes by these labels: so what was looked at counts as settled only once ``ENOUGH`` rows of
    the random sample have been looked at, too. ``sampled_wrong`` of ``sampled`` is the share of
    wrong labels among those filed, whatever models think; less the share that was changed, it is
    what is left, and the estimate is never below that.
    """

    looked_at: int
    """Rows that people have decided about."""
    sampled: int
    """As many rows as people have looked at without a gap, in a random order that is always the
    same: the queue's sample comes in it."""
    sampled_wrong: int
    """Those of these whose label people changed; rows that fit no class are among neither."""


@dataclass(frozen=True)
class HeldOut:
    """What is to be said of the labels of one split, and what waits for a person there."""

    noise: HeldNoise
    queue: pd.DataFrame
    """Rows that nobody has looked at, ``id, text, label, suggested, confidence, right, part``:
    the doubted ones, most doubtful first, then a random sample of the others. ``right`` is the
    probability that the label is right, ``confidence`` that of ``suggested``."""

    @property
    def doubted(self) -> pd.DataFrame:
        """The doubted rows, for people to read: ``id, label, suggested, right, text`` (masked)."""
        found = self.queue[self.queue["part"] == "doubted"]
        found = found[["id", "label", "suggested", "right", "text"]]
        return found.assign(text=found["text"].map(shown))


def held_out(rows: Rows, kept: Flags, settings: Clean) -> dict[str, HeldOut]:
    """Doubt validation and test labels, by a probe on the training rows of ``kept``.

    Nothing is changed or chosen by what is found: it is for people, whose decisions the audit of
    the next run puts into the labels.

    Args:
        rows: to learn from, and to judge.
        kept: training rows that are believed right.
        settings: C, and how many rows to sample.

    """
    probe = fit_probe(rows.J["train"][kept], rows.y["train"][kept], len(rows.labels), settings.C)
    return {
        split: _doubt(part, probe.predict_proba(rows.J[split]), rows.labels, settings.sample)
        for split, part in rows.judged.items()
    }


def _doubt(part: pd.DataFrame, p: Floats, labels: list[str], number: int) -> HeldOut:
    """Judge one split; ``p`` comes from other rows, the sample is of at most ``number`` rows."""
    y, looked = numbers(part["label"], labels), part["looked"].to_numpy(dtype=bool)
    right, rest, names = posterior(p, y), others(p, y), np.asarray(labels, dtype=object)
    doubted = (right < DOUBT) & ~looked
    found = part[["id", "text", "label"]].assign(suggested=names[rest.argmax(axis=1)])
    found = found.assign(confidence=rest.max(axis=1), right=right)
    first = found[doubted].sort_values("right", kind="stable").assign(part="doubted")
    # By the id alone: neither models nor decisions may move the sample, or it would be none.
    order = np.argsort([hashlib.sha256(id.encode()).hexdigest() for id in part["id"]])
    drawn = [row for row in order[:number] if not doubted[row] and not looked[row]]
    waiting = pd.concat([first, found.iloc[drawn].assign(part="sample")], ignore_index=True)
    sampled = order[np.logical_and.accumulate(looked[order])]
    changed = (part["filed"] != part["label"]).to_numpy()
    seen = (int(looked.sum()), len(sampled), int(changed[sampled].sum()))
    return HeldOut(_noise(noise(y, p), int(doubted.sum()), int(changed.sum()), seen), waiting)


def _noise(found: Noise, doubted: int, changed: int, seen: tuple[int, int, int]) -> HeldNoise:
    """The noise ``found`` where ``doubted`` rows are left that nobody has looked at."""
    _, sampled, wrong = seen
    if math.isnan(found.estimate) or sampled < ENOUGH:
        return HeldNoise(found.rows, doubted, found.estimate, found.low, found.high, *seen)
    here = doubted / found.rows, *wilson(doubted, found.rows, CONFIDENCE)
    left = wrong / sampled, *wilson(wrong, sampled, CONFIDENCE)
    share, low, high = np.maximum(here, np.array(left) - changed / found.rows).tolist()
    return HeldNoise(found.rows, doubted, share, low, high, *seen)


def reviewed(
    train: pd.DataFrame, looked: pd.DataFrame, labels: list[str]
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Give the training rows people's labels, and say which they have looked at, which fit none.

    ``train`` has ``id, label``; ``looked`` has ``id, label``: what a person decided, the given
    label included, or one that is not among ``labels`` where none fits: such a row keeps what was
    filed. Rows that are no training rows are left aside: the audit has given them people's labels.
    """
    decided = train["id"].map(looked.set_index("id")["label"])
    seen = decided.notna()
    strange = seen & ~decided.isin(labels)
    changed = train.assign(label=train["label"].where(~seen | strange, decided))
    if lost := sorted(set(train["label"]) - set(changed["label"][~strange])):
        raise UserError(f"data.decisions leaves no training row of class {lost[0]!r}: keep one")
    return changed, seen, strange
