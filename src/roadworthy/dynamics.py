"""Training dynamics: what a linear head says of each row while it learns.

A head in the middle of its training knows the classes and has not yet memorised the wrong labels:
so it is stopped by the loss on rows held out, and for the rows that it learns from, what counts is
the mean over all epochs until then (area under the margin: Pleiss et al. 2020).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from roadworthy.models.architecture import softmax

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
EPOCHS, PATIENCE, RATE = 20, 2, 0.02
STEPS = 40
"""Steps an epoch, as far as batches of 16 to 256 rows allow."""


def learn(
    X: NDArray[np.floating],
    y: Integers,
    learnt: Integers,
    held: Integers,
    n_classes: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Train a softmax head; probabilities (n, n_classes) of all rows at its best, and on the way.

    Args:
        X: shape (n, d).
        y: given labels.
        learnt: rows to learn from.
        held: rows whose loss says when to stop; where there are none, the last epoch counts.
        n_classes: number of classes.
        seed: of the order of rows.

    Returns:
        The probabilities after the epoch with the lowest loss on ``held``, and their mean over the
        epochs so far.

    """
    generator = np.random.default_rng(seed)
    inputs, targets = torch.from_numpy(np.ascontiguousarray(X, dtype=np.float32)), torch.tensor(y)
    head = torch.nn.Linear(X.shape[1], n_classes)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.Adam(head.parameters(), lr=RATE)
    size = int(np.clip(len(learnt) // STEPS, 16, 256))
    total, lowest, waited = np.zeros((len(y), n_classes)), np.inf, 0
    best = (total, total)
    for epoch in range(1, EPOCHS + 1):
        order = generator.permutation(learnt)
        for start in range(0, len(order), size):
            batch = torch.from_numpy(order[start : start + size])
            loss = torch.nn.functional.cross_entropy(head(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.inference_mode():
            now = softmax(head(inputs).numpy())
        total = total + now
        judged = -np.log(np.maximum(now[held, y[held]], 1e-12)).mean() if len(held) else -epoch
        if judged < lowest:
            lowest, waited, best = float(judged), 0, (now, total / epoch)
        else:
            waited += 1
        if waited == PATIENCE:
            break
    return best
