"""Where a stage finds what earlier ones made and writes what it makes: artifacts/ and reports/.

Reads always come from the pipeline's own artifacts and reports. Writes go to a drafts folder: under
the runner to the stage's draft, which it moves into place once the notebook has finished; by hand
to scratch/, which git ignores, so that exploring never touches the record.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from roadworthy import drafts
from roadworthy.config import root
from roadworthy.data import id_hash, sha256
from roadworthy.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIMPLEST_FIRST = (
    "majority",
    "keyword",
    "tfidf",
    "boosted",
    "static",
    "pool",
    "neighbours",
    "probe",
)
FROZEN = {"timings": "make timings"}
"""Stages that ``dvc repro`` leaves alone, and the command that runs them."""


def existing(path: str, stage: str) -> Path:
    """The full path of what ``stage`` makes; a UserError names the command if it is not there."""
    full = root() / path
    if not full.exists():
        command = FROZEN.get(stage, f"dvc repro {stage}")
        raise UserError(f"{path} is missing: run `{command}` first (it makes this file)")
    return full


def new(path: str) -> Path:
    """Where to write what will lie at ``path`` once the stage has finished."""
    full = drafts.write_root() / path
    full.parent.mkdir(parents=True, exist_ok=True)
    return full


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """JSON-ready: numbers rounded to six decimals, NaN as null (missing evidence), keys as text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def write_json(path: str, content: dict[str, Any]) -> Path:
    """Write a JSON file by renaming; ``path`` is relative to the root."""
    target = new(path)
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    drafts.write_text(target, text + "\n")
    return target


def read_json(path: str, stage: str) -> dict[str, Any]:
    """A JSON file that ``stage`` makes; a UserError if it is missing or damaged."""
    text = existing(path, stage).read_bytes()
    try:
        return {**json.loads(text)}
    except (ValueError, TypeError) as error:
        command = FROZEN.get(stage, f"dvc repro {stage}")
        raise UserError(f"{path} is damaged ({error}): remove it and run `{command}`") from error


def write_metrics(stage: str, content: dict[str, Any]) -> Path:
    """reports/metrics/<stage>.json, the stage's record."""
    return write_json(f"reports/metrics/{stage}.json", content)


def read_metrics(stage: str) -> dict[str, Any]:
    """The record of an earlier stage."""
    return read_json(f"reports/metrics/{stage}.json", stage)


def write_frame(stage: str, name: str, frame: pd.DataFrame) -> Path:
    """artifacts/<stage>/<name>.parquet."""
    target = new(f"artifacts/{stage}/{name}.parquet")
    frame.reset_index(drop=True).to_parquet(target)
    return target


def write_frames(stage: str, frames: dict[str, pd.DataFrame]) -> None:
    """artifacts/<stage>/<name>.parquet for each."""
    for name, frame in frames.items():
        write_frame(stage, name, frame)


def read_frame(stage: str, name: str) -> pd.DataFrame:
    """A frame that an earlier stage wrote."""
    return pd.read_parquet(existing(f"artifacts/{stage}/{name}.parquet", stage))


def frame_sha256(stage: str, name: str) -> str:
    """SHA-256 of the file of a frame that an earlier stage wrote."""
    return sha256(existing(f"artifacts/{stage}/{name}.parquet", stage))


def read_messages() -> pd.DataFrame:
    """The audited messages and their frozen split, checked against the recorded hash.

    Columns: ``id, text, label, split, in_scope, cluster, leaked, created_at`` and the slice
    columns; no gold label.
    """
    messages = read_frame("audit", "messages")
    frozen = read_json("artifacts/audit/split.json", "audit")["test_id_sha256"]
    check_test_ids(
        messages.loc[messages["split"] == "test", "id"], frozen, "artifacts/audit/messages.parquet"
    )
    return messages


def check_test_ids(ids: Iterable[str], frozen: str, where: str) -> None:
    """Raise unless these ids are the frozen test set."""
    found = id_hash(ids)
    if found != frozen:
        raise UserError(
            f"the test rows in {where} are not the frozen test set (id hash {found[:12]}…, the "
            f"audit recorded {frozen[:12]}…): run `dvc repro` to rebuild it from the audit on"
        )


def new_folder(stage: str, name: str) -> Path:
    """An empty folder artifacts/<stage>/<name>/ to write a model into."""
    folder = drafts.write_root() / "artifacts" / stage / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def folder(stage: str, name: str) -> Path:
    """A folder that an earlier stage wrote."""
    return existing(f"artifacts/{stage}/{name}", stage)


def read_predictions() -> dict[str, pd.DataFrame]:
    """Every model's predictions frame, simplest first and the fine-tuned model last.

    That order settles ties between models, so it does not depend on file names.
    """
    found: dict[str, pd.DataFrame] = {}
    for stage in ("baseline", "finetune"):
        files = sorted(folder(stage, "predictions").glob("*.parquet"))
        if not files:
            raise UserError(
                f"artifacts/{stage}/predictions is empty: run `dvc repro {stage}` first"
            )
        found |= {path.stem: pd.read_parquet(path) for path in files}
    known = [name for name in SIMPLEST_FIRST if name in found]
    others = [name for name in found if name not in (*SIMPLEST_FIRST, "lora")]
    return {name: found[name] for name in (*known, *others, "lora") if name in found}


def write_csv(
    stage: str, name: str, frame: pd.DataFrame, index: bool = False, folder: str = "reports/tables"
) -> Path:
    """<folder>/<stage>/<name>.csv, a table for people (floats with four decimals).

    Text that a spreadsheet would run as a formula, in the index and header too, is defused with a
    leading apostrophe.
    """
    target = new(f"{folder}/{stage}/{name}.csv")
    safe = (frame.reset_index() if index else frame).rename(columns=defused)
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = safe[column].map(defused)
    safe.to_csv(target, index=False, float_format="%.4f", lineterminator="\n")
    return target


def read_csv(stage: str, name: str) -> pd.DataFrame:
    """artifacts/<stage>/<name>.csv as ``write_csv`` left it: all text, formulas still defused."""
    path = existing(f"artifacts/{stage}/{name}.csv", stage)
    # The line end is named because a message may hold another one, a bare carriage return.
    return pd.read_csv(path, dtype="str", keep_default_na=False, lineterminator="\n")


def write_tables(stage: str, tables: dict[str, pd.DataFrame]) -> None:
    """reports/tables/<stage>/<name>.csv for each, with its index unless that just counts rows."""
    for name, frame in tables.items():
        write_csv(stage, name, frame, index=not isinstance(frame.index, pd.RangeIndex))


def write_figures(stage: str, figures: dict[str, Figure]) -> None:
    """reports/figures/<stage>/<name>.png for each."""
    for name, figure in figures.items():
        write_figure(stage, name, figure)


def defused(cell: Any) -> Any:  # noqa: ANN401
    """The cell as ``write_csv`` writes it: text like a formula gets a leading apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip()[:1] in tuple("=+-@") else cell


def write_figure(stage: str, name: str, figure: Figure) -> Path:
    """reports/figures/<stage>/<name>.png, byte-stable on one machine."""
    target = new(f"reports/figures/{stage}/{name}.png")
    drafts.write_figure(target, figure)
    return target


def write_text(path: str, text: str) -> Path:
    """A text file for people, relative to the root."""
    target = new(path)
    target.write_text(text, encoding="utf-8", newline="\n")
    return target
