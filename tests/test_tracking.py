"""Tracking never asks, never blocks, and without W&B does nothing."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from roadworthy import tracking
from roadworthy.config import compose, validate

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tracked(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with conf/, no key and an empty home folder."""
    shutil.copytree(ROOT / "conf", project / "conf")
    home = project.parent / "home"
    home.mkdir()
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.delenv("WANDB_MODE")
    return project


def log_everything(run: tracking.Run) -> None:
    run.metrics({"accuracy": 0.5, "models": {"probe": {"n": 3, "name": "probe"}}})
    run.step({"loss": 1.0})
    run.table("table", pd.DataFrame({"text": ["hello"]}))
    run.figure("figure", Figure(figsize=(1, 1)))


def test_disabled_is_a_no_op(tracked: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with tracking.run("audit", seed=0) as run:
        log_everything(run)
    assert not (tracked / "wandb").exists()


def test_offline_is_the_default_and_the_environment_wins(
    tracked: Path, monkeypatch: pytest.MonkeyPatch
):
    track = tracking.settings()
    assert tracking.mode(track) == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert tracking.mode(track) == "disabled"


def test_online_without_a_key_falls_back_to_offline(
    tracked: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("WANDB_MODE", "online")
    track = tracking.settings()
    with caplog.at_level(logging.WARNING):
        assert tracking.mode(track) == "offline"
    assert "no API key" in caplog.text
    (Path.home() / ".netrc").write_text("machine example.org login a password b\n")
    with caplog.at_level(logging.WARNING):
        assert tracking.mode(track) == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert tracking.mode(track) == "online"


@pytest.mark.slow  # W&B starts a service
def test_offline_writes_a_run_folder(tracked: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_EXP_NAME", "trial")
    with tracking.run("audit", seed=0) as run:
        log_everything(run)
        assert run._backend.group == "trial"
        assert run._backend.job_type == "audit"
    (folder,) = (tracked / "wandb").glob("offline-run-*")
    assert list(folder.glob("*.wandb"))


def test_a_temporary_checkout_tracks_into_the_main_repository(
    tracked: Path, monkeypatch: pytest.MonkeyPatch
):
    main = tracked.parent / "main"
    main.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(main))
    seen = {}
    fake = type(
        "Fake",
        (),
        {
            "Error": ValueError,
            "Settings": lambda **_: None,
            "init": lambda **given: seen.update(given),
        },
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with tracking.run("audit"):
        pass
    assert seen["dir"] == str(main)
    assert os.environ["WANDB_SILENT"] == "true"


def test_a_failing_backend_does_not_stop_the_stage(tracked: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(**_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setitem(
        sys.modules,
        "wandb",
        type("Fake", (), {"Error": ValueError, "Settings": lambda **_: None, "init": fails}),
    )
    with tracking.run("audit") as run:
        log_everything(run)


def test_an_error_in_the_stage_is_passed_on_and_recorded():
    class Backend:
        code = -1

        def finish(self, exit_code: int) -> None:
            self.code = exit_code

    backend = Backend()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "mode", lambda _: "offline")
        patch.setattr(tracking, "_begin", lambda *_: tracking.Run(backend))
        with pytest.raises(ZeroDivisionError), tracking.run("audit"):
            raise ZeroDivisionError
    assert backend.code == 1


def test_under_the_runner_params_yaml_says_how_to_track(
    tracked: Path, monkeypatch: pytest.MonkeyPatch
):
    """An experiment's -S track=disabled reaches params.yaml, not conf/."""
    tree = validate(compose(["track=disabled"]))
    (tracked / "params.yaml").write_text(yaml.safe_dump(tree))
    assert tracking.settings().mode == "offline"
    monkeypatch.setenv("ROADWORTHY_DRAFT", str(tracked / "scratch"))
    assert tracking.settings().mode == "disabled"
