"""Who should look again? Several annotators' labels and a model weighed against each other.

CROWDLAB (Goh et al. 2022) gives the consensus label of a message and how far it is to be trusted;
ActiveLab (Goh and Mueller 2023) says for which message one more label would teach most. Both are
cleanlab's.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from roadworthy.models.architecture import numbers
from roadworthy.noise import Floats

COLUMNS = [
    "id", "labels", "annotators", "consensus", "quality", "active_score"
]  # fmt: skip


def look_again(
    votes: pd.DataFrame, ids: pd.Series, labels: list[str], probabilities: Floats
) -> pd.DataFrame:
    """Messages in the order in which one more label teaches most.

    ``id, labels, annotators, consensus, quality, active_score``; both scores in [0, 1], low is bad.
    No row where no message has two annotators: then the review queue is all there is to say.

    Args:
        votes: ``id, annotator, label``, whoever labelled; labels out of scope are left aside.
        ids: the messages that may be looked at.
        labels: class names.
        probabilities: out-of-sample, one row per id, one column per class.

    """
    known = votes[votes["id"].isin(ids) & votes["label"].isin(labels)]
    if known.empty or not known["id"].duplicated().any():
        return pd.DataFrame(columns=COLUMNS)
    coded = known.assign(label=numbers(known["label"], labels).astype(float))
    table = coded.pivot(index="id", columns="annotator", values="label")
    place = pd.Index(ids).get_indexer(table.index)
    from cleanlab.multiannotator import get_active_learning_scores, get_label_quality_multiannotator

    # Temperature-scaled inside, so that a model which is too sure does not outvote people.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # annotators that share no message with others
        quality = get_label_quality_multiannotator(
            table, probabilities[place], verbose=False, calibrate_probs=True
        )["label_quality"]
        scores, _ = get_active_learning_scores(table, probabilities[place])
    said = known.sort_values("annotator").groupby("id")["label"].agg(", ".join)
    frame = pd.DataFrame(
        {
            "id": table.index,
            "labels": said[table.index].to_numpy(),
            "annotators": table.notna().sum(axis=1).to_numpy(),
            "consensus": np.asarray(labels)[quality["consensus_label"].astype(int)],
            "quality": quality["consensus_quality_score"].to_numpy(),
            "active_score": scores,
        }
    )
    return frame.sort_values(["active_score", "id"], kind="stable").reset_index(drop=True)
