"""Messages in batches of similar length, as what the frozen layers make of them."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler
from tqdm import tqdm

from roadworthy.errors import UserError
from roadworthy.models.architecture import Labelled
from roadworthy.models.encoder import by_length
from roadworthy.models.network import IntentNetwork

Batch = dict[str, torch.Tensor]
IGNORED = -100
"""A label that torch's cross-entropy passes over."""


class LengthBuckets(Sampler[list[int]]):
    """Batches of similar length in random order.

    Shuffle, sort inside chunks of 32 batches, shuffle batches.

    Mean length is a fraction of the longest, so random batches would be mostly padding.
    """

    def __init__(self, lengths: list[int], size: int, seed: int) -> None:
        """``lengths`` in tokens, ``size`` in rows; each epoch draws a new order from the seed.

        The next pass is that of ``epoch``, without its first ``skip`` batches.
        """
        self.lengths, self.size, self.seed = np.asarray(lengths), size, seed
        self.epoch = self.skip = 0

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        skip, self.skip, self.epoch = self.skip, 0, self.epoch + 1
        order, chunk = rng.permutation(len(self.lengths)), self.size * 32
        batches = []
        for start in range(0, len(order), chunk):
            rows = order[start : start + chunk]
            rows = rows[np.argsort(self.lengths[rows], kind="stable")]
            batches += [rows[at : at + self.size].tolist() for at in range(0, len(rows), self.size)]
        yield from (batches[number] for number in rng.permutation(len(batches))[skip:])


class Frozen:
    """What the frozen part of a network makes of some rows: computed once, in a temporary file.

    Half a megabyte for ten messages: too much for memory where rows are many, nothing for a disk.
    """

    def __init__(self, network: IntentNetwork, ids: Sequence[list[int]], batch_size: int) -> None:
        """``ids`` has the token ids of each row."""
        self.starts = np.concatenate([[0], np.cumsum([len(row) for row in ids])])
        width = network.prototypes.shape[1]
        with tempfile.TemporaryFile(prefix="roadworthy-") as file:  # gone when nothing maps it
            shape = (int(self.starts[-1]), width)
            _reserve(file.fileno(), 4 * shape[0] * width)
            self.states = np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        device = network.prototypes.device
        network.eval()
        with torch.inference_mode():
            batches = by_length([len(row) for row in ids], batch_size)
            for batch in tqdm(batches, desc="frozen layers", unit="batch"):
                padded, mask = pad([torch.tensor(ids[row]) for row in batch])
                hidden = network.lower(padded.to(device), mask.to(device)).float().cpu().numpy()
                for row, states in zip(batch, hidden, strict=True):
                    start, end = self.starts[row], self.starts[row + 1]
                    self.states[start:end] = states[: end - start]

    def __getstate__(self) -> dict[str, Any]:
        """For a process that is being started: the open file, not what is in it."""
        return {"starts": self.starts, "shape": self.states.shape, "file": DupFd(self._file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the same file."""
        self.starts = state["starts"]
        with open(state["file"].detach(), "rb") as file:
            self.states = np.memmap(file, dtype=np.float32, mode="r", shape=state["shape"])

    def __getitem__(self, row: int) -> torch.Tensor:
        """Hidden states (tokens, d) of one row."""
        return torch.from_numpy(self.states[self.starts[row] : self.starts[row + 1]].copy())


def _reserve(file: int, size: int) -> None:
    """Take the space now: a disk that runs full under a mapping kills without a word."""
    try:
        os.posix_fallocate(file, 0, size)
    except AttributeError:  # not every system can
        return
    except OSError as error:
        raise UserError(
            f"{size / 1e9:.1f} GB of hidden states do not fit into the temporary folder ({error}): "
            "make room, or name another one by TMPDIR"
        ) from error


def pad(rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of different length in one tensor, zeros behind, and the mask (rows, length) of them."""
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), mask.long()


def collate(states: Frozen, rank: int, ranks: int, rows: list[dict[str, Any]]) -> Batch:
    """One process's part of a batch.

    ``hidden`` (rows, tokens, d), ``attention_mask``, ``label``, ``weight``. Weights make the mean
    over ranks of the mean over rows that of the whole batch. Where there are fewer rows than ranks,
    a process without one gets the first, its label ``IGNORED``.
    """
    part = rows[rank::ranks] or [rows[0] | {"label": IGNORED}]
    hidden, mask = pad([states[row["row"]] for row in part])
    labels = torch.tensor([row["label"] for row in part])
    weights = torch.tensor([row["weight"] for row in part], dtype=torch.float32)
    weights *= ranks * len(part) / len(rows)
    return {"hidden": hidden, "attention_mask": mask, "label": labels, "weight": weights}


class Tokens(pl.LightningDataModule):
    """Training and validation rows as the hidden states that enter the trained layers."""

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401
        network: IntentNetwork,
        train: Labelled,
        validation: Labelled | None,
        max_length: int,
        batch_size: int,
        seed: int,
    ) -> None:
        """Tokenise and pass through the network's frozen part once; ``max_length`` in tokens."""
        super().__init__()
        self.tokenizer, self.batch_size = tokenizer, batch_size
        parts = [self._tokenise(rows, max_length) for rows in (train, validation) if rows]
        self.train, self.validation = parts[0], parts[1] if validation else None
        self.sampler = LengthBuckets(self.lengths, batch_size, seed)
        self._states = [Frozen(network, part["input_ids"], 4 * batch_size) for part in parts]

    def _tokenise(self, rows: Labelled, max_length: int) -> Dataset:
        ids = self.tokenizer(rows.texts, truncation=True, max_length=max_length)["input_ids"]
        return Dataset.from_dict(
            {
                "row": range(len(ids)),
                "input_ids": ids,
                "label": rows.y.tolist(),
                "weight": rows.weights.tolist(),
            }
        )

    @property
    def lengths(self) -> list[int]:
        """Tokens of each training row."""
        return [len(ids) for ids in self.train["input_ids"]]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Length-bucketed batches in a new random order each epoch."""
        rows, join = self.train.remove_columns("input_ids"), self._collate(0)
        return DataLoader(rows, batch_sampler=self.sampler, collate_fn=join)

    def val_dataloader(self) -> DataLoader[Batch] | list[Batch]:
        """Validation rows in order, where there are any."""
        if self.validation is None:
            return []  # Lightning then validates nothing
        rows = self.validation.remove_columns("input_ids")
        join = self._collate(1)
        return DataLoader(rows, batch_size=4 * self.batch_size, collate_fn=join)

    def _collate(self, part: int) -> Callable[[list[dict[str, Any]]], Batch]:
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return partial(collate, self._states[part], rank, ranks)
