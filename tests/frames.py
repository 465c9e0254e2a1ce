"""Synthetic rows for the tests of the scorers: what the audit and the models leave behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from roadworthy.data import id_hash

LABELS = ["card", "parcel", "refund"]


def messages(
    validation: int, test: int, outside: int = 0, seed: int = 0, held: int = 0
) -> pd.DataFrame:
    """Rows of the three splits, every fifth leaked; beyond these, out of scope: held, outside.

    ``held`` validation rows and ``outside`` test rows.
    """
    generator = np.random.default_rng(seed)
    split = ["train"] * 9 + ["validation"] * validation + ["test"] * test
    label = [*generator.choice(LABELS, len(split)), *["oos"] * (held + outside)]
    split += ["validation"] * held + ["test"] * outside
    number = np.arange(len(split))
    return pd.DataFrame(
        {
            "id": [f"m{n:05d}" for n in number],
            "text": [f"message {n}" for n in number],
            "label": label,
            "split": split,
            "cluster": number,
            "leaked": (number % 5 == 0) & (np.array(split) != "train"),
            "channel": np.where(number % 3 == 0, "mail", "chat"),
            "length": "1-8",
        }
    )


def frame(rows: pd.DataFrame, accuracy: float, seed: int, sharpness: float = 3.0) -> pd.DataFrame:
    """Predictions with about ``accuracy`` right; ``sharpness`` makes them confident."""
    rows = rows[rows["split"] != "train"]
    generator = np.random.default_rng(seed)
    truth = pd.Index(LABELS).get_indexer(rows["label"].to_numpy())
    guess = np.where(truth < 0, generator.integers(3, size=len(rows)), truth)
    wrong = generator.random(len(rows)) >= accuracy
    guess = np.where(wrong, (guess + generator.integers(1, 3, size=len(rows))) % 3, guess)
    logits = generator.normal(0, 0.4, (len(rows), 3))
    logits[np.arange(len(rows)), guess] += sharpness * (1 - 0.4 * wrong)
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = {f"p_{label}": values[:, n].astype(np.float32) for n, label in enumerate(LABELS)}
    pred = np.array(LABELS, dtype=object)[values.argmax(axis=1)]
    kept = rows[["id", "split", "label"]].reset_index(drop=True)
    return kept.assign(pred=pred, **columns)


def majority(rows: pd.DataFrame) -> pd.DataFrame:
    """Always the first class, with certainty."""
    constant = frame(rows, 0.5, 0).assign(pred="card")
    return constant.assign(p_card=1.0, p_parcel=0.0, p_refund=0.0)


def record(rows: pd.DataFrame) -> dict[str, Any]:
    """The audit's split.json, as far as scorers read it."""
    test = rows.loc[rows["split"] == "test", "id"]
    return {"labels": LABELS, "test_id_sha256": id_hash(test), "slices": ["channel"]}


def no_gold() -> pd.DataFrame:
    return pd.DataFrame({"id": pd.Series(dtype=str), "gold": pd.Series(dtype=str)})
