"""Stage ``finetune``: what does a LoRA-tuned small transformer score?"""

from __future__ import annotations

from roadworthy.training import Trained


def counts(trained: Trained) -> dict[str, object]:
    """What training took, as it stands in the stage's metrics."""
    return {
        "best_epoch": trained.best_epoch,
        "steps": trained.steps,
        "examples_seen": trained.examples,
        "tokens_seen": trained.tokens,
        "parameters": {"trainable": trained.trainable, "total": trained.total},
    }
