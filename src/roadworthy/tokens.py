"""Tokenised messages in batches of similar length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler

from roadworthy.models.architecture import Labelled

Batch = dict[str, torch.Tensor]


class LengthBuckets(Sampler[list[int]]):
    """Batches of similar length in random order.

    Shuffle, sort inside chunks of 32 batches, shuffle batches.

    Mean length is a fraction of the longest, so random batches would be mostly padding.
    """

    def __init__(self, lengths: list[int], size: int, seed: int) -> None:
        """``lengths`` in tokens, ``size`` in rows; each epoch draws a new order from the seed."""
        self.lengths, self.size, self.seed, self.epoch = np.asarray(lengths), size, seed, 0

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        order, chunk = rng.permutation(len(self.lengths)), self.size * 32
        batches = []
        for start in range(0, len(order), chunk):
            rows = order[start : start + chunk]
            rows = rows[np.argsort(self.lengths[rows], kind="stable")]
            batches += [rows[at : at + self.size].tolist() for at in range(0, len(rows), self.size)]
        yield from (batches[number] for number in rng.permutation(len(batches)))


class Tokens(pl.LightningDataModule):
    """Tokenised training and validation rows."""

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401
        train: Labelled,
        validation: Labelled,
        max_length: int,
        batch_size: int,
        seed: int,
    ) -> None:
        """Tokenise once; ``max_length`` in tokens."""
        super().__init__()
        self.tokenizer, self.batch_size, self.seed = tokenizer, batch_size, seed
        self.train, self.validation = (
            self._tokenise(rows, max_length) for rows in (train, validation)
        )

    def _tokenise(self, rows: Labelled, max_length: int) -> Dataset:
        tokens = self.tokenizer(rows.texts, truncation=True, max_length=max_length)["input_ids"]
        return Dataset.from_dict({"input_ids": tokens, "label": rows.y.tolist()})

    def _collate(self, rows: list[dict[str, Any]]) -> Batch:
        padded = self.tokenizer.pad(
            {"input_ids": [row["input_ids"] for row in rows]}, return_tensors="pt"
        )
        labels = torch.tensor([row["label"] for row in rows])
        return {
            "input_ids": padded["input_ids"],
            "attention_mask": padded["attention_mask"],
            "label": labels,
        }

    @property
    def lengths(self) -> list[int]:
        """Tokens of each training row."""
        return [len(ids) for ids in self.train["input_ids"]]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Length-bucketed batches in a new random order each epoch."""
        sampler = LengthBuckets(self.lengths, self.batch_size, self.seed)
        return DataLoader(self.train, batch_sampler=sampler, collate_fn=self._collate)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation rows in order."""
        return DataLoader(self.validation, batch_size=4 * self.batch_size, collate_fn=self._collate)
