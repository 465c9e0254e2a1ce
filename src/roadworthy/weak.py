"""Weak supervision: rules that vote for a label or are silent, and the labels their votes make.

What one would have without anybody labelling: each rule's worth is measured against verified labels
where there are some, and the votes are put together by majority and by Dawid and Skene's model.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy.intervals import wilson
from roadworthy.models.architecture import softmax
from roadworthy.models.probe import fit_probe
from roadworthy.noise import CONFIDENCE, Floats
from roadworthy.rows import Rows

Fires = NDArray[np.bool_]
"""Which rule speaks about which message, shape (messages, rules)."""
ROUNDS = 50


def fires(rules: pd.DataFrame, texts: pd.Series) -> Fires:
    """Apply the rules: ``pattern`` found in the text, and ``unless`` (if any) not; case ignored."""
    columns = []
    for rule in rules.itertuples():
        pattern = re.compile(str(rule.pattern), re.IGNORECASE)
        unless = re.compile(str(rule.unless), re.IGNORECASE) if rule.unless else None
        columns.append(
            [bool(pattern.search(text)) and not (unless and unless.search(text)) for text in texts]
        )
    return np.asarray(columns, dtype=bool).reshape(len(columns), len(texts)).T


def summary(rules: pd.DataFrame, spoken: Fires, truth: pd.Series) -> pd.DataFrame:
    """One line a rule: coverage, overlap, conflict as shares of all messages; accuracy on truth.

    Overlap: another rule speaks, too; conflict: and for another label. Accuracy is that of the
    verified messages on which the rule speaks (``verified``), with a 95 % Wilson interval.

    Args:
        rules: ``name, label, pattern, unless``.
        spoken: from ``fires``.
        truth: verified label by message, missing where nobody verified.

    """
    label = rules["label"].to_numpy()
    number = spoken.sum(axis=1)
    for_label = spoken.astype(int) @ (label[:, None] == label[None, :]).astype(int)
    known = truth.notna().to_numpy()
    lines = []
    for place, name in enumerate(label):
        on = spoken[:, place]
        right = (truth[on & known] == name).sum()
        judged = int((on & known).sum())
        low, high = wilson(int(right), judged, CONFIDENCE)
        lines.append(
            {
                "rule": rules["name"].iloc[place],
                "label": name,
                "coverage": on.mean(),
                "overlap": (on & (number > 1)).mean(),
                "conflict": (on & (number > for_label[:, place])).mean(),
                "verified": judged,
                "accuracy": right / judged if judged else np.nan,
                "low": low,
                "high": high,
            }
        )
    columns = [
        "rule",
        "label",
        "coverage",
        "overlap",
        "conflict",
        "verified",
        "accuracy",
        "low",
        "high",
    ]
    return pd.DataFrame(lines, columns=columns)


def majority(rules: pd.DataFrame, spoken: Fires, labels: list[str]) -> Floats:
    """Shares of the votes, (messages, classes); zeros where no rule speaks."""
    votes = np.stack(
        [spoken[:, (rules["label"] == one).to_numpy()].sum(axis=1) for one in labels], axis=1
    )
    shares: Floats = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    return shares


def dawid_skene(rules: pd.DataFrame, spoken: Fires, labels: list[str]) -> Floats:
    """Class probabilities (messages, classes) by expectation maximisation; zeros where none speaks.

    Dawid and Skene 1979, with a rule as an annotator who answers by speaking or silence: a rule
    votes for one label only, so it has two rates, how often it speaks where its label is right and
    where it is not. Starts from the majority; rates are smoothed by one message.
    """
    any_spoken = spoken.any(axis=1)
    said, truth = spoken[any_spoken].astype(float), majority(rules, spoken, labels)[any_spoken]
    own = (rules["label"].to_numpy()[:, None] == np.asarray(labels)).astype(float)
    for _ in range(ROUNDS if len(said) else 0):
        prior = (truth.sum(axis=0) + 1) / (len(truth) + len(labels))
        meant = truth @ own.T
        hit = ((meant * said).sum(axis=0) + 0.5) / (meant.sum(axis=0) + 1)
        slip = (((1 - meant) * said).sum(axis=0) + 0.5) / ((1 - meant).sum(axis=0) + 1)
        # What speaking and silence say for a rule's own label against all others.
        evidence = said * np.log(hit / slip) + (1 - said) * np.log((1 - hit) / (1 - slip))
        truth = softmax(np.log(prior) + evidence @ own)
    probabilities = np.zeros((len(spoken), len(labels)))
    probabilities[any_spoken] = truth
    return probabilities


def compare(
    rules: pd.DataFrame, spoken: Fires, rows: Rows, truth: pd.Series, C: float
) -> pd.DataFrame:
    """Labels made by rules beside those on file, on the messages about which a rule speaks.

    Columns ``covered`` (messages), ``agree`` (with the label on file), ``verified, accuracy``, and
    ``validation``: accuracy on validation rows of a probe that learnt from these labels.

    Args:
        rules: ``name, label, pattern, unless``.
        spoken: from ``fires``, one line a training row.
        rows: training and validation rows.
        truth: verified label of each training row, missing where nobody verified.
        C: inverse regularisation of the probe.

    """
    names, on = np.asarray(rows.labels, dtype=object), spoken.any(axis=1)
    known = on & truth.notna().to_numpy()
    y = rows.y["train"]
    made = {
        "majority": majority(rules, spoken, rows.labels).argmax(axis=1),
        "dawid_skene": dawid_skene(rules, spoken, rows.labels).argmax(axis=1),
        "on_file": y,
    }
    lines = {}
    for name, label in made.items():
        score = np.nan
        if on.any():
            probe = fit_probe(rows.X["train"][on], label[on], len(names), C)
            score = (probe.predict(rows.X["validation"]) == rows.y["validation"]).mean()
        lines[name] = {
            "covered": int(on.sum()),
            "agree": (label == y)[on].mean() if on.any() else np.nan,
            "verified": int(known.sum()),
            "accuracy": (names[label] == truth.to_numpy())[known].mean() if known.any() else np.nan,
            "validation": score,
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("labels")
