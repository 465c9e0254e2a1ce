"""scikit-learn estimators on disk, without pickle: skops, with a closed list of types."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from skops.io import dump, get_untrusted_types, load
from skops.io.exceptions import UntrustedTypesFoundException

from roadworthy.errors import UserError

TRUSTED = [
    "numpy.dtype",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
]


def save_estimator(path: Path, estimator: Any) -> None:  # noqa: ANN401 - any scikit-learn estimator
    """Write an estimator that ``load_estimator`` will accept."""
    dump(estimator, path)


def load_estimator(path: Path) -> Any:  # noqa: ANN401
    """Read an estimator; anything but scikit-learn's own parts is refused."""
    try:
        unknown = sorted(set(get_untrusted_types(file=path)) - set(TRUSTED))
        if unknown:
            raise UserError(
                f"{path.name} in {path.parent} holds {unknown[0]}, which is not trusted: not loaded"
            )
        return load(path, trusted=TRUSTED)
    except (OSError, BadZipFile, ValueError, KeyError, UntrustedTypesFoundException) as error:
        raise UserError(
            f"{path.name} in {path.parent} cannot be read ({error}): run `dvc repro baseline`"
        ) from error
