"""The training rows as the stage ``clean`` sees them, and the rows it is judged on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy.census import shown
from roadworthy.doubt import DOUBT, others, posterior
from roadworthy.errors import UserError
from roadworthy.looks import NO_CLASS, Looks
from roadworthy.models.architecture import numbers
from roadworthy.models.probe import fit_probe
from roadworthy.noise import Flags, Integers, Noise, noise
from roadworthy.views import Views, joint

Vectors = NDArray[np.floating]


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
    test: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Test rows."""
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
        messages: every message, as the audit wrote them.
        vectors: one row per message.
        looked: people's decisions, ``id, label``; a label that is no class says that none fits.
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
    test = messages[(messages["split"] == "test") & messages["in_scope"]]
    held = messages.loc[(messages["split"] == "validation") & messages["in_scope"], "cluster"]
    told = (test, strange.to_numpy(), held.to_numpy(np.int64))
    return Rows(filed, train, seen.to_numpy(), labels, X, J, y, *told)


def of_test(rows: Rows, kept: Flags, C: float) -> tuple[Noise, pd.DataFrame]:
    """Noise of the test labels, by a probe on the training rows of ``kept``, and the doubted rows.

    These come most doubtful first: ``id, label, suggested, right`` (the probability that the label
    is right) and ``text``, masked. Nothing is changed or chosen by them: whoever knows better
    corrects the file.
    """
    probe = fit_probe(rows.J["train"][kept], rows.y["train"][kept], len(rows.labels), C)
    p, y = probe.predict_proba(rows.J["test"]), rows.y["test"]
    right, names = posterior(p, y), np.asarray(rows.labels, dtype=object)
    found = rows.test[["id", "label"]].assign(suggested=names[others(p, y).argmax(axis=1)])
    found = found.assign(right=right, text=rows.test["text"])[right < DOUBT]
    found["text"] = found["text"].map(shown)
    return noise(y, p), found.sort_values("right", kind="stable")


def reviewed(
    train: pd.DataFrame, looked: pd.DataFrame, labels: list[str]
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Give the training rows people's labels, and say which they have looked at, which fit none.

    ``train`` has ``id, label``; ``looked`` has ``id, label``: what a person decided, the given
    label included, or one that is not among ``labels`` where none fits: such a row keeps what was
    filed. Rows that are no training rows are left aside: cleaning touches no others.
    """
    decided = train["id"].map(looked.set_index("id")["label"])
    seen = decided.notna()
    strange = seen & ~decided.isin(labels)
    changed = train.assign(label=train["label"].where(~seen | strange, decided))
    if lost := sorted(set(train["label"]) - set(changed["label"][~strange])):
        raise UserError(f"data.decisions leaves no training row of class {lost[0]!r}: keep one")
    return changed, seen, strange
