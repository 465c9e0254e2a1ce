"""What a LoRA-tuned transformer says of each training row, having learnt from the others.

Its loss on the given label finds more real errors than the loss of a frozen encoder's probe
(Chong et al. 2022); it costs a fine-tuning per fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from roadworthy.models.architecture import Labelled, softmax
from roadworthy.models.lora import head, predict_vectors
from roadworthy.models.network import centroids
from roadworthy.noise import Flags, Floats, Integers, folds
from roadworthy.rows import Rows
from roadworthy.settings import Encoder, Tuned
from roadworthy.soup import train


def detector(
    rows: Rows, settings: Tuned, encoder: Encoder, seed: int
) -> Callable[[Flags], Floats] | None:
    """What ``detectors.detect`` asks with the rows to learn from; None where it is switched off."""
    if settings.folds == 0:
        return None
    return partial(
        out_of_fold,
        rows.train["text"].tolist(),
        rows.X["train"],
        rows.y["train"],
        rows.clusters,
        settings=settings,
        encoder=encoder,
        seed=seed,
    )


def out_of_fold(
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    y: Integers,
    groups: Integers,
    keep: Flags,
    settings: Tuned,
    encoder: Encoder,
    seed: int,
) -> Floats:
    """Probabilities (n, classes) of a network tuned on the rows of ``keep`` in the other folds.

    Args:
        texts: the messages.
        vectors: their sentence vectors, for the class vectors to start from.
        y: given labels, 0 … classes - 1.
        groups: near-duplicate cluster of each row: never on both sides.
        keep: rows to learn from.
        settings: folds and recipe.
        encoder: the encoder, threads and device.
        seed: of folds and training.

    """
    classes, length = int(y.max()) + 1, encoder.max_length
    probabilities = np.zeros((len(y), classes))
    for learnt, held in folds(y, groups, settings.folds, seed):
        chosen = learnt[keep[learnt]]
        start = centroids(vectors[chosen], y[chosen], classes)
        known = Labelled([texts[row] for row in chosen], y[chosen], classes)
        trained, tokenizer = train(known, None, start, encoder, settings.recipe, seed)
        judged = [texts[row] for row in held]
        own = predict_vectors(trained.network, tokenizer, judged, length, encoder.batch_size)
        probabilities[held] = softmax(head(trained.network, own))
    return probabilities
