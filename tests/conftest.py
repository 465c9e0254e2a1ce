"""What every test gets: the project's folder to work in, a clean environment, no network."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks import sentences

# Before anything loads torch: spinning threads starve each other on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# An optional part of jsonschema that builds a grammar at import: a second for nothing.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

ROOT = Path(__file__).resolve().parents[1]
PREFIXES = ("ROADWORTHY_", "DVC_", "WANDB_")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of the project leaks in, and none that the code under test sets leaks out."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(PREFIXES):
            del os.environ[name]
    os.environ["WANDB_MODE"] = "disabled"
    monkeypatch.chdir(ROOT)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets reach this machine only."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and not str(address).startswith(
            ("('127.", "('localhost", "('::1")
        ):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project in a temporary folder, which is also the working directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def planted() -> tuple[Any, ...]:
    """Three well separated classes, 20 of 240 training labels flipped to the next class.

    Vectors, true classes, given classes, rows with a wrong label, what the detectors say.
    """
    from roadworthy.detectors import detect
    from roadworthy.settings import Clean
    from roadworthy.views import Views

    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1, 2], 80)
    X = np.eye(3)[truth] * 3 + rng.normal(size=(240, 3)) * 0.5
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y, wrong = truth.copy(), rng.choice(240, 20, replace=False)
    y[wrong] = (y[wrong] + 1) % 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roadworthy.dynamics.EPOCHS", 10)
        found = detect(Views(X, X, np.arange(240), 3), y, Clean(folds=3), seed=0)
    return X, truth, y, wrong, found.issues(y)


@pytest.fixture(scope="session")
def noise_sample() -> tuple[Any, ...]:
    """Five classes, 60 rows each: vectors, labels, what a model finds likely."""
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(5), 60)
    X = np.eye(5)[y] * 2 + generator.normal(size=(300, 5)) * 0.6
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    p = np.exp(4 * X)
    return X, y, p / p.sum(axis=1, keepdims=True)


@pytest.fixture
def tiny(project: Path) -> Path:
    """A project with one small data set that brings all its splits."""
    shutil.copytree(ROOT / "conf", project / "conf")
    rows = [*sentences("train", 10), *sentences("validation", 4), *sentences("test", 6)]
    folder = project / "data" / "tiny"
    folder.mkdir(parents=True)
    frame = pd.DataFrame(rows, columns=["split", "label", "text"])
    frame.to_csv(folder / "rows.csv", index=False)
    (project / "conf" / "data" / "tiny.yaml").write_text(
        "name: tiny\ntitle: Tiny, made up\nfiles: [{path: data/tiny/rows.csv}]\n"
        "split_column: split\nout_of_scope: oos\n"
    )
    return project


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """What runs a training and kills it after that many steps, which it must reach."""
    from roadworthy.training import Progress

    class Killed(BaseException):
        """No handler of the training's catches it."""

    def run(steps: int, train: Callable[[], object]) -> None:
        seen = 0

        def kill(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == steps:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Progress, "on_train_batch_end", kill)
            with pytest.raises(Killed):
                train()

    return run
