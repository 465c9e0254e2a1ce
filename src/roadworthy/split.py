"""The frozen split: what the data brings is kept, what is missing is carved out of training.

Near-duplicates stay together: a split that is made here shares no cluster with any other split.
Its seed is its own, so that a change of the training seed never moves a message.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from roadworthy.data import id_hash
from roadworthy.errors import UserError
from roadworthy.settings import Split


@dataclass(frozen=True)
class Frozen:
    """The split as every later stage must find it."""

    split: pd.Series
    """train, validation or test, one per message."""
    made: tuple[str, ...]
    """The splits that rows were carved out for; the others came with the data."""
    carved: pd.Series
    """Whether a row was moved here from training to another split."""
    seed: int

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each split."""
        return {name: int((self.split == name).sum()) for name in ("train", "validation", "test")}

    @property
    def brought(self) -> bool:
        """Whether the test rows in scope came with the data."""
        return "test" not in self.made

    def record(self, messages: pd.DataFrame, slices: list[str]) -> dict[str, object]:
        """Give split.json its content: labels to learn, fingerprints of the held-out rows."""
        learnt = messages.loc[(self.split == "train") & messages["in_scope"], "label"]
        return {
            "labels": sorted(learnt.unique()),
            "test_id_sha256": id_hash(messages.loc[self.split == "test", "id"]),
            "validation_id_sha256": id_hash(messages.loc[self.split == "validation", "id"]),
            "counts": self.counts,
            "seed": self.seed,
            "brought": self.brought,
            "slices": slices,
        }


@dataclass
class _Pool:
    """Groups of rows that may still leave the training rows, and what each class has left."""

    rows: dict[int, Counter[str]]
    """Group -> rows of each label in it."""
    left: Counter[str]
    """Label -> groups that are still training rows, the immovable ones too."""
    moved: Counter[str]
    """Label -> rows moved so far."""

    def may_move(self, group: int, keep: dict[str, int]) -> bool:
        return all(self.left[label] > keep[label] for label in self.rows[group])

    def fits(self, group: int, quota: dict[str, int]) -> bool:
        return all(self.moved[lab] + n <= quota[lab] for lab, n in self.rows[group].items())

    def move(self, group: int) -> None:
        self.left.subtract(self.rows[group].keys())
        self.moved.update(self.rows.pop(group))


def _groups(frame: pd.DataFrame) -> dict[int, Counter[str]]:
    """Cluster -> rows of each label, clusters in ascending order."""
    table = frame.groupby(["cluster", "label"], sort=True).size()
    groups: dict[int, Counter[str]] = {}
    for (cluster, label), count in zip(table.index, table, strict=True):
        groups.setdefault(int(cluster), Counter())[str(label)] = int(count)
    return groups


def carve(rows: pd.DataFrame, movable: pd.Series, share: float, keep: int, seed: int) -> set[int]:
    """Choose the clusters to move out of ``rows``, about ``share`` of each label.

    ``rows`` has the columns ``label`` and ``cluster``. Only clusters of which every row is
    ``movable`` move. Each label keeps at least one cluster, and ``keep`` of them where it has
    more than that; each label that can spare one moves at least one.
    """
    fixed = set(rows.loc[~movable, "cluster"])
    every = _groups(rows)
    left = Counter(label for group in every.values() for label in group)
    pool = _Pool({key: val for key, val in every.items() if key not in fixed}, left, Counter())
    sizes = rows["label"].value_counts()
    quota = {str(label): max(1, round(share * int(size))) for label, size in sizes.items()}
    spare = {label: max(1, min(keep, left[label] - 1)) for label in quota}
    order = np.random.default_rng(seed).permutation(sorted(pool.rows)).tolist()
    taken = set()
    for group in order:
        if pool.fits(group, quota) and pool.may_move(group, spare):
            pool.move(group)
            taken.add(group)
    for label in sorted(quota):
        if pool.moved[label]:
            continue
        fit = [group for group in order if group in pool.rows and label in pool.rows[group]]
        fit = [group for group in fit if pool.may_move(group, spare)]
        if fit:
            smallest = min(fit, key=lambda group: pool.rows[group].total())
            pool.move(smallest)
            taken.add(smallest)
    return taken


def freeze(messages: pd.DataFrame, clusters: pd.Series, settings: Split) -> Frozen:
    """Give every message its split.

    ``messages`` has the columns ``label``, ``in_scope`` and ``split`` (empty where the data
    brings none).

    A split that the data brings is kept. One without a row in scope is missing, since nothing
    could be scored on it: rows are carved out for it, beside those it brings. A missing test set
    takes ``settings.test`` of each label, a missing validation set ``settings.validation`` of
    what is then left; out-of-scope rows count as a label of their own. Clusters with a row in a
    split that the data brought stay in training, so that nothing made here straddles.

    Raises:
        UserError: the data brings held-out rows but no training rows, or there is too little to
        carve out.

    """
    brought = split = messages["split"].replace("", "train")
    scope = messages["in_scope"]
    if not (scope & (split == "train")).any():
        raise UserError(
            "the data brings no training rows in scope: the split of each is validation or test"
        )
    made: list[str] = []
    missing = [name for name in ("test", "validation") if not (scope & (split == name)).any()]
    for number, name in enumerate(missing):
        training = split == "train"
        rows = messages.loc[training, ["label"]].assign(cluster=clusters[training])
        movable = ~rows["cluster"].isin(set(clusters[~training]))
        keep = 2 if name == "test" and "validation" in missing else 1
        share = settings.test if name == "test" else settings.validation
        taken = carve(rows, movable, share, keep, settings.seed + number)
        moved = training & clusters.isin(taken)
        if not (moved & scope).any():
            raise UserError(
                f"no {name} rows can be carved out of {int((training & scope).sum())} training "
                f"rows in scope: nearly all are near-duplicates of one another. Add messages, or "
                f"bring a {name} split (data.files[].split in conf/data/)."
            )
        split = split.mask(moved, name)
        made.append(name)
    return Frozen(split, tuple(made), split != brought, settings.seed)
