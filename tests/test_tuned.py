"""The fine-tuned detector: out of fold, on the real encoder with a dozen short messages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_finetune import ENCODER

from roadworthy import tuned
from roadworthy.models.encoder import SentenceEncoder
from roadworthy.rows import Rows
from roadworthy.settings import Finetune, Lora, Tuned

TEXTS = [f"{w} {n}" for n in range(8) for w in ("where is my parcel", "give me my money back")]
RECIPE = Finetune(lora=Lora(r=2, layers=1), max_epochs=2, batch_size=4, learning_rate=5e-3)


@pytest.fixture(scope="module")
def rows() -> Rows:
    y = np.tile([0, 1], 8)
    y[0] = 1  # wrong
    X = SentenceEncoder(ENCODER)(TEXTS)
    frame = pd.DataFrame({"text": TEXTS, "cluster": range(16)})
    return Rows(frame, frame, np.zeros(16, dtype=bool), ["a", "b"], {"train": X}, {}, {"train": y})


@pytest.mark.slow
def test_a_wrong_label_has_a_high_loss_and_the_seed_decides(rows):
    ask = tuned.detector(rows, Tuned(folds=2, recipe=RECIPE), ENCODER, 0)
    assert ask is not None
    every = np.ones(16, dtype=bool)
    p = ask(every)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    own = p[np.arange(16), rows.y["train"]]
    assert own.argmin() == 0
    assert own[0] < 0.4
    np.testing.assert_array_equal(ask(every), p)


def test_without_folds_there_is_no_such_detector(rows):
    assert tuned.detector(rows, Tuned(), ENCODER, 0) is None
