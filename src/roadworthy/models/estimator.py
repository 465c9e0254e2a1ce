"""scikit-learn estimators on disk, without pickle: skops, with a closed list of types."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from sklearn.feature_extraction.text import TfidfVectorizer
from skops.io import dumps, get_untrusted_types, load
from skops.io.exceptions import UntrustedTypesFoundException

from roadworthy.errors import UserError

SCHEMA = "schema.json"
TERMS = "terms.json"
"""The terms of each vectorizer, in the order of its columns. skops would spell out each as an
object of its own, which takes most of a minute."""
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
    """Write an estimator that ``load_estimator`` will accept; equal estimators give equal bytes."""
    vectorizers = _vectorizers(estimator)
    kept = [one.vocabulary_ for one in vectorizers]
    try:
        for one in vectorizers:
            one.vocabulary_ = {}
        archive = _canonical(dumps(estimator))
    finally:
        for one, vocabulary in zip(vectorizers, kept, strict=True):
            one.vocabulary_ = vocabulary
    with ZipFile(archive, "a") as out:
        out.writestr(ZipInfo(TERMS), json.dumps([sorted(one, key=one.get) for one in kept]))
    path.write_bytes(archive.getvalue())


def _vectorizers(estimator: Any) -> list[Any]:  # noqa: ANN401
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return [part for part in parts if isinstance(part, TfidfVectorizer)]


def _canonical(archive: bytes) -> BytesIO:
    """The same archive without what differs from run to run.

    skops names its parts at random, notes memory addresses and stamps the time: parts and
    addresses are numbered in the order of the schema instead, and the time is zip's first.
    """
    with ZipFile(BytesIO(archive)) as source:
        parts = {name: source.read(name) for name in source.namelist() if name != SCHEMA}
        schema = source.read(SCHEMA).decode("utf-8")
    named = dict.fromkeys(re.findall(r'"file": "([^"]+)"', schema))
    part = {name: f"part-{number:05d}{Path(name).suffix}" for number, name in enumerate(named)}
    schema = re.sub(r'"file": "([^"]+)"', lambda m: f'"file": "{part[m.group(1)]}"', schema)
    addresses = dict.fromkeys(re.findall(r'"__id__": (\d+)', schema))
    index = {address: str(number) for number, address in enumerate(addresses)}
    schema = re.sub(r'"__id__": (\d+)', lambda m: f'"__id__": {index[m.group(1)]}', schema)
    # A vectorizer keeps the address of the stop words that it has checked.
    schema = re.sub(r'("_stop_words_id": \{[^}]*"content": ")\d+', r"\g<1>0", schema)
    target = BytesIO()
    with ZipFile(target, "w") as out:
        out.writestr(ZipInfo(SCHEMA), schema)
        for name, new in part.items():
            out.writestr(ZipInfo(new), parts[name])
    return target


def load_estimator(path: Path) -> Any:  # noqa: ANN401
    """Read an estimator; anything but scikit-learn's own parts is refused."""
    try:
        unknown = sorted(set(get_untrusted_types(file=path)) - set(TRUSTED))
        if unknown:
            raise UserError(
                f"{path.name} in {path.parent} holds {unknown[0]}, which is not trusted: not loaded"
            )
        estimator = load(path, trusted=TRUSTED)
        with ZipFile(path) as archive:
            terms = json.loads(archive.read(TERMS))
        for one, known in zip(_vectorizers(estimator), terms, strict=True):
            if len(known) != len(one.idf_):
                raise ValueError(f"{len(known)} terms for {len(one.idf_)} columns")
            one.vocabulary_ = {term: column for column, term in enumerate(known)}
        return estimator
    except (OSError, BadZipFile, ValueError, KeyError, UntrustedTypesFoundException) as error:
        raise UserError(
            f"{path.name} in {path.parent} cannot be read ({error}): run the stage that made it"
        ) from error
