"""When to ring: every rule, its test, and how false alarms are kept rare.

Each week is held against the test rows, the training rows or the weeks before it, by one test a
rule. Many tests give false alarms, so that their p-values are adjusted over all weeks and rules
together (Benjamini and Hochberg 1995): where nothing has changed, at most one file in twenty has an
alarm at all. Of near-copies one counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom, false_discovery_control, hypergeom, mannwhitneyu

from roadworthy import drift, intervals, rates
from roadworthy.drift import LEAST
from roadworthy.embeddings import Vectors

LEVEL = 0.05
"""A q-value below this rings."""
DRAWS = (999, 4999)
"""Fewest and most random divisions behind a p-value of drift, see ``_draws``."""
TEST, EARLIER, ACCEPTED, TRAIN = "test rows", "the periods before", "accepted", "training rows"

LABEL = "read a random sample of these messages and label it"
RETRAIN = "add labelled messages of this period to the data and run `dvc repro`"


@dataclass(frozen=True)
class Rule:
    """One reason to ring."""

    share: str
    """What is looked at, as ``rates`` or ``drift`` names it."""
    higher: bool
    """Whether more of it is worse."""
    against: str
    says: str
    todo: str


RULES = {
    "accuracy": Rule("accuracy", False, TEST, "accuracy on known classes is lower", RETRAIN),
    "fall": Rule("accuracy", False, EARLIER, "accuracy on known classes has fallen", RETRAIN),
    "risk": Rule(
        "risk",
        True,
        ACCEPTED,
        "more errors among the automated messages",
        "send these messages to people until the threshold is fitted anew (`dvc repro`)",
    ),
    "recall": Rule(
        "recall",
        False,
        TEST,
        "the guard finds fewer of the messages of no known class",
        "look at those that it let pass, add them to the data as such and run `dvc repro`",
    ),
    "beyond": Rule(
        "beyond",
        True,
        TEST,
        "more messages of no known class",
        "read them: if they share a subject it may need a class of its own, and `dvc repro`",
    ),
    "held": Rule("held", True, TEST, "more messages held back as like no known class", LABEL),
    "unsure": Rule("unsure", True, TEST, "more messages sent to a person as unsure", LABEL),
    "confidence": Rule("confidence", False, TEST, "the model is less confident", LABEL),
    "length": Rule("length", True, TRAIN, "other lengths", LABEL),
    "vocabulary": Rule("vocabulary", True, TRAIN, "other words", LABEL),
    "meaning": Rule("meaning", True, TRAIN, "other subjects", LABEL),
    "mix": Rule("labels", True, TEST, "another mix of predicted classes", LABEL),
}
"""Every rule. Those against the training rows are about the texts, and ring together."""
SHARES = ("accuracy", "fall", "risk", "recall", "beyond", "held", "unsure")

Line = dict[str, Any]
"""A test: ``period, rule, found, reference, p_value``; found and reference are estimates."""


def above(one: tuple[int, int], other: tuple[int, int]) -> float:
    """One-sided p-value of Fisher's exact test: is the first share (count, among) the higher?"""
    total, successes = one[1] + other[1], one[0] + other[0]
    return float(hypergeom.sf(one[0] - 1, total, successes, one[1]))


@dataclass(frozen=True)
class Seen:
    """The shares of a group of judged messages, and the counts that they are tested by."""

    estimates: dict[str, dict[str, Any]]
    counts: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, judged: pd.DataFrame, classes: Collection[str], level: float) -> Seen:
        """Look at one group."""
        return cls(rates.estimates(judged, classes, level), rates.counts(judged, classes))


def _tested(rule: Rule, week: Seen, other: Seen | None, accepted: float) -> Line | None:
    """Whether a share is worse than it should be; None where there is nothing to count."""
    found, among = week.counts[rule.share]
    if rule.against == ACCEPTED:
        reference: dict[str, Any] = {"value": accepted}
        p_value = float(binom.sf(found - 1, among, accepted))
    elif other is None or not other.counts[rule.share][1]:
        return None
    else:
        reference = other.estimates[rule.share]
        pairs = ((found, among), other.counts[rule.share])
        p_value = above(*((k if rule.higher else n - k, n) for k, n in pairs))
    if not among:
        return None
    return {"found": week.estimates[rule.share], "reference": reference, "p_value": p_value}


def of_shares(
    weeks: Mapping[str, pd.DataFrame],
    test: pd.DataFrame,
    classes: Collection[str],
    accepted: float,
    level: float,
) -> Iterator[Line]:
    """Tests of the shares and of the confidence, week by week.

    Args:
        weeks: judged messages by period, in order, see ``rates``.
        test: the judged test rows. Where none of them is automated, ``unsure`` says nothing new.
        classes: those that the model knows.
        accepted: error rate among the automated.
        level: of the intervals.

    """
    others = {TEST: Seen.of(test, classes, level)}
    keys = [key for key in SHARES if key != "unsure" or test["automated"].any()]
    for number, (name, week) in enumerate(weeks.items()):
        if number:
            before = pd.concat([*weeks.values()][:number])
            others[EARLIER] = Seen.of(before, classes, level)
        own = Seen.of(week, classes, level)
        for key in keys:
            line = _tested(RULES[key], own, others.get(RULES[key].against), accepted)
            if line is not None:
                yield {"period": name, "rule": key} | line
        yield from _of_confidence(name, week, test, level)


def _line(period: str, rule: str, found: Line, reference: Line, p_value: float) -> Line:
    return {
        "period": period,
        "rule": rule,
        "found": found,
        "reference": reference,
        "p_value": p_value,
    }


def _of_confidence(
    period: str, week: pd.DataFrame, test: pd.DataFrame, level: float
) -> Iterator[Line]:
    """Whether the confidence is lower than on the test rows (Mann and Whitney 1947)."""
    parts = [part.loc[~part["cluster"].duplicated(), "confidence"] for part in (week, test)]
    if min(len(part) for part in parts) < LEAST:
        return
    found, reference = (vars(intervals.student(part.tolist(), level)) for part in parts)
    p_value = float(mannwhitneyu(*parts, alternative="less").pvalue)
    yield _line(period, "confidence", found, reference, p_value)


def _draws(periods: int) -> int:
    """So many that one signal alone can ring, whatever the number of tests, up to the most."""
    fewest, most = DRAWS
    return int(np.clip(2 * periods * len(RULES) / LEVEL, fewest, most))


def of_drift(rows: pd.DataFrame, vectors: Vectors | None, names: Sequence[str]) -> Iterator[Line]:
    """Tests of the texts against the training rows, of the predictions against the test rows.

    Args:
        rows: ``text, label`` (as predicted), ``cluster, group``: ``TRAIN``, ``TEST`` or a period.
        vectors: one a row, or None.
        names: of the periods.

    """
    signals = {rule.share: name for name, rule in RULES.items()}
    for name in names:
        week = (rows["group"] == name).to_numpy(bool)
        for against, given in ((TRAIN, vectors), (TEST, None)):
            base = (rows["group"] == against).to_numpy(bool)
            both = drift.pair(rows, given, base, week, 0)
            if both is None:
                continue
            effects = {
                key: effect
                for key, effect in both.effects.items()
                if RULES[signals[key]].against == against
            }
            observed = np.arange(both.total) < both.first
            table = drift.judge(replace(both, effects=effects), observed, _draws(len(names)), 0)
            for signal, row in table.iterrows():
                found = {"value": float(row["effect"]), "n": both.total - both.first}
                reference = {"value": float(row["by_chance"])}
                p_value = float(row["p_value"])
                yield _line(name, signals[str(signal)], found, reference, p_value)


def adjusted(lines: Sequence[Line]) -> list[Line]:
    """The tests with their ``q_value``, and whether each is an ``alarm``."""
    values = false_discovery_control([line["p_value"] for line in lines]) if lines else []
    return [
        line | {"q_value": float(q), "alarm": bool(q < LEVEL)}
        for line, q in zip(lines, values, strict=True)
    ]
