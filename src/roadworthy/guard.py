"""Is a message unlike all that was learnt from? In service, by the score that ``scope`` chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from roadworthy import calibration, familiarity

Vectors = NDArray[np.floating]


def unlike(
    fitted: dict[str, Any],
    network: Any,  # noqa: ANN401
    known: Vectors,
    strange: Vectors,
) -> Callable[[Vectors, calibration.Floats], calibration.Flags] | None:
    """A function from messages to which of them look like one of no known class.

    It is given their vectors by the network (n, d), and the probabilities (n, classes) of the model
    that is served, before calibration.

    Args:
        fitted: ``guard`` as ``scope.guard`` chose it, ``temperature`` and ``lapse``, of one model.
        network: the fine-tuned network, with ``head``.
        known: its vectors of the training rows of known classes.
        strange: its vectors of the training rows of no known class.

    Returns:
        None where the data had no row that could choose a guard.

    """
    guard = fitted["guard"]
    if guard is None:
        return None

    def tell(vectors: Vectors, probabilities: calibration.Floats) -> calibration.Flags:
        ids = pd.Series(range(len(vectors)))
        scores = familiarity.frame(ids, network.head(vectors), vectors, known, strange)
        scores["confidence"] = calibration.top(probabilities, calibration.Scale.of(fitted))
        if guard["score"] == "joint":
            scores["joint"] = familiarity.joint(scores, guard["spread"])
        return np.asarray(scores[guard["score"]] < guard["threshold"], dtype=bool)

    return tell
