"""Runs mirrored to Weights & Biases: the only importer of wandb.

Offline unless asked otherwise, never prompting, never in the way: the record of truth is the JSON
under reports/. Group = experiment, job type = stage. Look at runs without a server: ``wandb leet
wandb/``.
"""

from __future__ import annotations

import logging
import netrc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image

from roadworthy import drafts
from roadworthy.config import compose, flat, parse, recorded, root
from roadworthy.settings import Track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


class Run:
    """What a stage logs: metrics, tables and figures. Without wandb every method is a no-op."""

    def __init__(self, backend: Any = None) -> None:  # noqa: ANN401 - wandb's Run, or nothing
        self._backend = backend

    def metrics(self, content: dict[str, Any]) -> None:
        """Numbers of a (nested) record, into the run's summary."""
        if self._backend is not None:
            numbers = {key: value for key, value in flat(content) if isinstance(value, int | float)}
            self._backend.summary.update(numbers)

    def step(self, values: dict[str, float]) -> None:
        """One point of a learning curve."""
        if self._backend is not None:
            self._backend.log(values)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """A table, as shown in the notebook."""
        if self._backend is not None:
            import wandb

            shown = frame.reset_index() if frame.index.name else frame
            self._backend.log({name: wandb.Table(dataframe=shown.astype(str).rename(columns=str))})

    def figure(self, name: str, figure: Figure) -> None:
        """A figure, as shown in the notebook."""
        if self._backend is not None:
            import wandb

            stream = BytesIO()
            figure.savefig(stream, format="png", dpi=110)
            self._backend.log({name: wandb.Image(Image.open(stream))})


def settings() -> Track:
    """The section ``track``: from params.yaml under the runner, from conf/ by hand.

    It is no stage's parameter, so that going online retrains nothing.
    """
    return recorded().track if os.environ.get(drafts.DRAFT) else parse(compose()).track


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1]
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def mode(track: Track) -> str:
    """WANDB_MODE where it is set, else track.mode: offline, online or disabled.

    Online without a key would prompt or fail, so it falls back to offline, with a warning.
    """
    asked = os.environ.get("WANDB_MODE") or track.mode
    if asked == "online" and not _has_key():
        log.warning("W&B: no API key (WANDB_API_KEY or `wandb login`): tracking offline")
        return "offline"
    return asked


def _begin(stage: str, config: dict[str, Any], project: str, chosen: str) -> Run:
    os.environ.update(WANDB_SILENT="true", WANDB_ERROR_REPORTING="false")
    import wandb

    experiment = os.environ.get("DVC_EXP_NAME") or (
        "repro" if os.environ.get(drafts.DRAFT) else "by-hand"
    )
    try:
        backend = wandb.init(
            mode=chosen,  # type: ignore[arg-type]
            project=os.environ.get("WANDB_PROJECT", project),
            # DVC_ROOT outlives the temporary checkout of `dvc exp run --temp`.
            dir=os.environ.get("DVC_ROOT", str(root())),
            group=experiment,
            job_type=stage,
            name=f"{experiment}-{stage}",
            config=config,
            settings=wandb.Settings(
                console="off", x_disable_stats=True, save_code=False, disable_git=False
            ),
        )
    except (wandb.Error, OSError) as error:
        log.warning("W&B: not tracking this run (%s)", error)
        return Run()
    return Run(backend)


@contextmanager
def run(stage: str, **sections: Any) -> Iterator[Run]:  # noqa: ANN401 - sections are mappings or numbers
    """A tracked run of one stage; finished on leaving the block, also after an error."""
    track = settings()
    chosen = mode(track)
    tracked = Run() if chosen == "disabled" else _begin(stage, sections, track.project, chosen)
    failed = True
    try:
        yield tracked
        failed = False
    finally:
        if tracked._backend is not None:
            tracked._backend.finish(exit_code=int(failed))


def record(
    stage: str,
    metrics: dict[str, Any],
    figures: dict[str, Figure],
    tables: dict[str, pd.DataFrame] | None = None,
    curve: pd.DataFrame | None = None,
    **sections: Any,  # noqa: ANN401 - sections are mappings or numbers
) -> None:
    """A tracked run of one stage, all at once; ``curve`` has a point a line."""
    with run(stage, **sections) as tracked:
        for point in [] if curve is None else curve.to_dict("records"):
            tracked.step({str(name): value for name, value in point.items()})
        tracked.metrics(metrics)
        for name, table in (tables or {}).items():
            tracked.table(name, table)
        for name, figure in figures.items():
            tracked.figure(name, figure)
