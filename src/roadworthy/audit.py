"""Can this data be trusted? The stage ``audit``: the rows as every check sees them, the record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import admission
from roadworthy.census import class_table, length_bands, words
from roadworthy.checks import Issues
from roadworthy.duplicates import Duplicates, find
from roadworthy.errors import UserError
from roadworthy.models.encoder import SentenceEncoder
from roadworthy.settings import Audit, Data, Encoder
from roadworthy.split import Frozen, freeze


def annotate(
    messages: pd.DataFrame, clusters: pd.Series, split: pd.Series, audit: Audit
) -> pd.DataFrame:
    """Add ``split``, ``cluster``, ``leaked`` and ``length``; drop file and row.

    ``leaked``: a validation or test row whose cluster also has a training row. Only rows in scope
    count, on both sides: the others are neither learnt nor scored as a class.
    """
    return messages.assign(
        split=split,
        cluster=clusters,
        leaked=_leaked,
        length=length_bands(words(messages["text"]), audit.length_edges),
    ).drop(columns=["file", "row"])


def _leaked(messages: pd.DataFrame) -> pd.Series:
    """Which rows are leaked, see ``annotate``."""
    training, scope = messages["split"] == "train", messages["in_scope"]
    learnt = messages["cluster"].isin(set(messages.loc[training & scope, "cluster"]))
    return learnt & ~training & scope


def settle(
    messages: pd.DataFrame, decided: pd.DataFrame, none: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give validation and test rows the labels that people decided on; say what was filed.

    Later stages judge by these labels. The split, made by what was filed, stays. A row that fits no
    class is out of scope from then on, like one that was filed so: it counts in no accuracy, and in
    service as misrouted. Training rows keep what was filed, ``clean`` goes by the decisions there.

    People who look only where a model disagrees correct only those errors: what is scored by
    such labels is flattered, see ``rows.HeldNoise``.

    Args:
        messages: annotated.
        decided: ``id, label``, of any split.
        none: the label of messages that fit no class.

    Returns:
        The messages, and the decisions as ``id, label, filed, split``.

    Raises:
        UserError: a split would have no row of a class left.

    """
    about = messages[["id", "label", "split"]].rename(columns={"label": "filed"})
    new = messages["id"].map(decided.set_index("id")["label"])
    held = new.notna() & (messages["split"] != "train")
    label = messages["label"].where(~held, new)
    scope = messages["in_scope"].where(~held, label != none)
    for split in ("validation", "test"):
        if not (scope & (messages["split"] == split)).any():
            raise UserError(
                f"data.decisions leaves no {split} row of a class, all would be {none!r}: take "
                f"some of these decisions out of the file, or add messages"
            )
    settled = messages.assign(label=label, in_scope=scope).assign(leaked=_leaked)
    return settled, decided[["id", "label"]].merge(about, on="id")


def looked_at(decided: pd.DataFrame, none: str | None) -> dict[str, dict[str, int]]:
    """Count what people decided, by split: ``looked_at, confirmed, changed, no_class``.

    ``decided`` is the second of what ``settle`` gives; ``changed`` is to another class,
    ``no_class`` to ``none``.
    """
    same, strange = decided["label"] == decided["filed"], decided["label"] == none
    kinds = {"looked_at": same | ~same, "confirmed": same}
    kinds |= {"changed": ~same & ~strange, "no_class": ~same & strange}
    return {
        split: {
            kind: int((flag & (decided["split"] == split)).sum()) for kind, flag in kinds.items()
        }
        for split in ("train", "validation", "test")
    }


def split_rows(data: Data, audit: Audit) -> tuple[pd.DataFrame, Frozen]:
    """Messages that keep their contract, annotated, and their frozen split: an audit, unchecked."""
    messages, _, _ = admission.admit(data, audit)
    clusters = find(messages["text"], audit.jaccard, audit.shingle, audit.permutations).rows[
        "cluster"
    ]
    frozen = freeze(messages, clusters, data.split)
    return annotate(messages, clusters, frozen.split, audit), frozen


def offered(messages: pd.DataFrame, made: pd.DataFrame, audit: Audit) -> pd.DataFrame:
    """Add ``near_real`` to synthetic rows: near-duplicates of a real message leak or repeat it.

    Both frames have ``id, text``.
    """
    both = pd.concat([messages["text"], made["text"]], ignore_index=True)
    found = find(both, audit.jaccard, audit.shingle, audit.permutations)
    cluster = found.rows["cluster"].to_numpy()
    return made.assign(near_real=np.isin(cluster[len(messages) :], cluster[: len(messages)]))


def embedded(
    texts: list[pd.Series], audit: Audit, encoder: Encoder
) -> list[NDArray[np.float32] | None]:
    """Sentence vectors of each series of texts; None where the first has too many rows."""
    if len(texts[0]) > audit.embed_rows:
        return [None for _ in texts]
    embed = SentenceEncoder(encoder)
    first = embed(texts[0].tolist())
    return [first, *(embed(more.tolist()) if len(more) else first[:0] for more in texts[1:])]


def periods(
    messages: pd.DataFrame, audit: Audit
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Name the groups of rows that the drift tests compare.

    Test against training rows; where the data has dates also the last ``audit.recent`` of the
    period against what came before, and the two halves of what came before: a comparison of the
    same kind in quieter times.
    """
    split, dates = messages["split"].to_numpy(), messages["created_at"]
    groups = {"training rows, test rows": (split == "train", split == "test")}
    known = dates.dropna()
    if known.empty or known.min() == known.max():
        return groups
    cut = known.max() - (known.max() - known.min()) * audit.recent
    middle = known.min() + (cut - known.min()) / 2
    before, recent = (dates < cut).to_numpy(), (dates >= cut).to_numpy()
    early = (dates < middle).to_numpy()
    named = f"before {cut.date()}, from then on"
    return groups | {
        named: (before, recent),
        f"before {middle.date()}, then until {cut.date()}": (early, before & ~early),
    }


def record(
    messages: pd.DataFrame, found: Duplicates, issues: Issues, split: dict[str, Any], audit: Audit
) -> dict[str, Any]:
    """Assemble what audit.json says about the rows; ratios are shares in [0, 1].

    ``leakage.test_share`` is a share of the test rows in scope.
    """
    classes, counts = class_table(messages, audit), words(messages["text"])
    info, flagged = issues.info, issues.summary["rows"]
    tests = int(((messages["split"] == "test") & messages["in_scope"]).sum())
    tail = classes.loc[classes["tail"], "train"]
    return {
        "rows": len(messages),
        "classes": len(classes),
        "out_of_scope_rows": int((~messages["in_scope"]).sum()),
        "duplicates": {
            "exact_rows": int(flagged["exact_duplicate"]),
            "near_rows": int(flagged["near_duplicate"]),
            "clusters": found.clusters,
        },
        "conflicting_clusters": info["conflicting_label"]["clusters"],
        "semantic_twins": {"rows": int(flagged["semantic_twin"])} | info["semantic_twin"]
        if "semantic_twin" in info
        else None,
        "broken_encoding_rows": int(flagged["broken_encoding"]),
        "personal_data": {"rows": int(flagged["personal_data"])} | info["personal_data"],
        "leakage": info["leaked"] | {"test_share": info["leaked"]["test"] / tests},
        "balance": {
            "largest": int(classes["train"].max()),
            "smallest": int(classes["train"].min()),
            "ratio": classes["train"].max() / classes["train"].min(),
            "tail_classes": len(tail),
            "tail_share": tail.sum() / classes["train"].sum(),
        },
        "length": {
            "median_words": float(counts.median()),
            "p95_words": float(counts.quantile(0.95)),
            "max_words": int(counts.max()),
        },
        "split": split["counts"]
        | {key: split[key] for key in ("test_id_sha256", "brought", "seed")},
    }
