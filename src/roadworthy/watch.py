"""After a go: what comes in, judged as it is served: ``python -m roadworthy watch FILE``.

Messages that came in after the model was trained are held, week by week, against what the test rows
showed; labels of some of them (``--labels``) say whether it is still right. Rings by the rules in
``alarms``. Exit code 0 without an alarm, 1 with one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from roadworthy import alarms, drafts, duplicates, embeddings, incoming, rates, service, store
from roadworthy import watch_page as words
from roadworthy.commit import commit
from roadworthy.config import recorded, root
from roadworthy.data import sha256
from roadworthy.embeddings import Vectors
from roadworthy.errors import UserError
from roadworthy.models.encoder import SentenceEncoder
from roadworthy.plots import watch as plots
from roadworthy.service import Service
from roadworthy.settings import Encoder, Settings

FOLDER = "reports/watch"
UNKNOWN = 5
"""Labels unknown to the model that are listed, the commonest first."""


def judged(served: Service, rows: pd.DataFrame) -> pd.DataFrame:
    """What service does with each row, beside it: ``label, confidence, automated, held``."""
    found = served.decide(*served.judge(rows["text"].tolist())).set_index(rows.index)
    decision = found.pop("decision")
    found["automated"] = decision == service.AUTOMATED
    found["held"] = decision == service.UNLIKE
    return rows.drop(columns="label", errors="ignore").join(found)


def known_rows() -> tuple[pd.DataFrame, bool]:
    """Training and test rows, ``text, label, truth, group``, and whether the truth is verified.

    Verified labels where test rows have any: what people say of new messages is that careful, too.
    """
    messages = store.read_messages()
    gold = store.read_frame("audit", "gold").set_index("id")["gold"]
    golden = messages["id"].map(gold)
    verified = bool(golden[messages["split"] == "test"].notna().any())
    truth = golden if verified else messages["label"]
    names = {"train": alarms.TRAIN, "test": alarms.TEST}
    kept = messages.assign(truth=truth, group=messages["split"].map(names))
    return kept[["text", "label", "truth", "group"]], verified


def vectors(new: Sequence[str], encoder: Encoder) -> Vectors | None:
    """The frozen encoder's vectors of the audited messages and of new ones.

    None where the audit went without.
    """
    if not (root() / embeddings.AUDIT).exists():
        return None
    old = embeddings.read()
    return np.vstack([old, SentenceEncoder(encoder)(new)])


def arrived(
    file: Path, labels: Path | None, text: str | None, settings: Settings
) -> tuple[pd.DataFrame, list[str]]:
    """The file's messages, ``row, text, truth, group``, and the names of the periods, in order."""
    data = settings.data
    columns = {"text": text or data.text, "id": data.id, "created_at": data.created_at}
    messages = incoming.read(file, columns)
    codes, names = incoming.periods(file, messages)
    said = incoming.labels(labels, messages, file, data) if labels else pd.Series(dtype=object)
    rows = messages[["row", "text"]].assign(
        truth=messages["row"].map(said).astype(object),
        group=np.array(names, dtype=object)[codes],
    )
    if not rows["text"].str.strip().any():
        raise UserError(f"{file} has no message with text in its column '{columns['text']}'")
    return rows, names


def watched(
    served: Service, new: pd.DataFrame, names: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Every figure, test and alarm; ``new`` and ``names`` are what ``arrived`` gives."""
    old, verified = known_rows()
    every = pd.concat([old, new.drop(columns="row")], ignore_index=True)
    audit, evaluate = settings.audit, settings.evaluate
    rule = (audit.jaccard, audit.shingle, audit.permutations)
    every["cluster"] = duplicates.find(every["text"], *rule).rows["cluster"]
    model = judged(served, every[every["group"].isin([alarms.TEST, *names])])
    every.loc[model.index, "label"] = model["label"]
    groups = {str(name): part for name, part in model.groupby("group", sort=False)}
    test = groups.pop(alarms.TEST)
    weeks = {name: groups[name] for name in names if name in groups}
    accepted, level = evaluate.target_risk, evaluate.confidence
    lines = [
        *alarms.of_shares(weeks, test, served.labels, accepted, level),
        *alarms.of_drift(every, vectors(new["text"].tolist(), settings.encoder), [*weeks]),
    ]
    tests = alarms.adjusted(lines)

    def shown(part: pd.DataFrame) -> dict[str, Any]:
        return rates.summary(part, served.labels, level, evaluate.bins, settings.seed)

    return {
        "verified": verified,
        "target_risk": accepted,
        "threshold": served.fitted["threshold"],
        "confidence": level,
        "level": alarms.LEVEL,
        "test": shown(test),
        "periods": {name: shown(week) for name, week in weeks.items()},
        "alarms": words.ringing(tests),
        "tests": tests,
    }


def unknown(truth: pd.Series, settings: Settings, classes: Sequence[str]) -> dict[str, int]:
    """The commonest labels that are neither a class nor the data's own word for none."""
    own = [*classes, *filter(None, [settings.data.out_of_scope])]
    counts = truth[truth.notna() & ~truth.isin(own)].value_counts()
    return {str(label): int(count) for label, count in counts.head(UNKNOWN).items()}


def write(record: dict[str, Any]) -> str:
    """JSON, figure and page in reports/watch/; the page's path."""
    folder, name = root() / FOLDER, record["name"]
    text = json.dumps(store.plain(record), indent=1, ensure_ascii=False, allow_nan=False)
    page, figure = words.markdown(record, f"{name}.png"), plots.periods(record)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drafts.write_figure(folder / f"{name}.png", figure)
        drafts.write_text(folder / f"{name}.json", text + "\n")
        drafts.write_text(folder / f"{name}.md", page)
    except OSError as error:
        raise UserError(f"{FOLDER}/{name} cannot be written ({error})") from error
    return f"{FOLDER}/{name}.md"


def run(file: str, labels: str | None = None, text: str | None = None) -> tuple[str, int]:
    """Judge the file, write the report; what to say, and 1 if an alarm rings.

    ``text`` is the column that holds the messages; None: called as in the data the model is from.

    Raises:
        UserError: what ``incoming`` raises, no trained model, the report cannot be written.

    """
    settings, path = recorded(), Path(file)
    rows, names = arrived(path, Path(labels) if labels else None, text, settings)
    served = service.load()
    filled = rows[rows["text"].str.strip() != ""]
    record = {
        "name": re.sub(r"[^\w-]+", "_", path.stem),
        "data": settings.data.name,
        "commit": commit(),
        "file": re.sub(r"[^\w.-]+", "_", path.name),
        "file_sha256": sha256(path),
        "labels_sha256": sha256(Path(labels)) if labels else None,
        "predictions_sha256": served.fitted.get("predictions_sha256"),
        "messages": len(filled),
        "empty": len(rows) - len(filled),
        "labelled": int(filled["truth"].notna().sum()),
        "unknown_labels": unknown(filled["truth"], settings, served.labels),
    } | watched(served, filled, names, settings)
    return words.spoken(record, write(record)), int(bool(record["alarms"]))
