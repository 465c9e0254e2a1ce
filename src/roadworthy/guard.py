"""Is a message unlike all that was learnt from? In service, by the score that ``scope`` chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import calibration, familiarity


def unlike(
    fitted: dict[str, Any],
    model: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    known: NDArray[np.floating],
    strangers: list[str],
) -> Callable[[str], bool] | None:
    """A function from a message to whether it looks like one of no known class.

    Args:
        fitted: ``guard`` as ``scope.guard`` chose it, and ``temperature``, of the same model.
        model: with ``predict_proba``.
        network: its fine-tuned network, with ``vectors`` and ``head``.
        known: vectors of the training rows of known classes.
        strangers: texts of the training rows of no known class.

    Returns:
        None where the data had no row that could choose a guard.

    """
    guard = fitted["guard"]
    if guard is None:
        return None
    strange = network.vectors(strangers)

    def tell(text: str) -> bool:
        vector = network.vectors([text])
        logits = network.head(vector)
        scores = familiarity.frame(pd.Series([""]), logits, vector, known, strange)
        if guard["score"] == "confidence":
            said = model.predict_proba([text])
            scores["confidence"] = calibration.top(said, fitted["temperature"])
        if guard["score"] == "joint":
            scores["joint"] = familiarity.joint(scores, guard["spread"])
        return bool(scores[guard["score"]].iloc[0] < guard["threshold"])

    return tell
