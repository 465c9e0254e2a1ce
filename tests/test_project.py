"""The whole promise, in a fresh clone: an experiment to a verdict, then notebooks under nbval.

One clone serves all of these tests; they run in the order of the file. What is tested is HEAD,
not the working tree.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clones import call, fresh, succeed

STAGES = ["audit", "clean", "baseline", "finetune", "evaluate", "cost", "readiness"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh(tmp_path_factory.mktemp("fresh") / "clone")


@pytest.fixture(scope="module")
def committed(untouched: Path) -> int:
    """Exit code of ``config --check`` on what is committed, before anything else has run."""
    return call(untouched, sys.executable, "-m", "roadworthy", "config", "--check").returncode


@pytest.fixture(scope="module")
def clone(untouched: Path, committed: int) -> Path:
    """The clone after one smoke-sized experiment through every stage."""
    succeed(untouched, "dvc", "exp", "run", "-S", "profile=smoke", minutes=20)
    return untouched


def test_params_in_git_match_conf(committed: int):
    assert committed == 0, "run `dvc repro config` and commit params.yaml"


def test_an_experiment_reaches_a_verdict(clone: Path):
    for stage in STAGES:
        assert (clone / "reports" / "metrics" / f"{stage}.json").is_file(), stage
        assert list((clone / "reports" / "notebooks").glob(f"[0-9][0-9]_{stage}.ipynb")), stage
    done = call(clone, sys.executable, "-m", "roadworthy", "readiness")
    assert done.returncode in (0, 1), done.stdout


def test_every_stage_judges_the_same_frozen_test_set(clone: Path):
    frozen = json.loads((clone / "artifacts" / "audit" / "split.json").read_text())[
        "test_id_sha256"
    ]
    for stage in ("baseline", "finetune", "evaluate"):
        record = json.loads((clone / "reports" / "metrics" / f"{stage}.json").read_text())
        assert record["test_id_sha256"] == frozen, stage


def test_a_second_run_executes_no_stage(clone: Path):
    out = succeed(clone, "dvc", "repro")
    assert "Running stage" not in out
    assert "up to date" in out


def test_changing_the_volume_retrains_nothing(clone: Path):
    out = succeed(clone, "dvc", "exp", "run", "-S", "profile=smoke", "-S", "cost.volume=200000")
    ran = {line.split("'")[1] for line in out.splitlines() if line.startswith("Running stage")}
    assert ran == {"config", "cost", "readiness"}


def nbval(clone: Path, folder: str) -> subprocess.CompletedProcess[str]:
    """Re-execute a folder's notebooks; cells tagged nbval-check-output must print the same."""
    options = [
        "-p",
        "nbval",
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-sanitize-with",
        "nbval_sanitize.cfg",
        "-W",
        "default",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, folder]
    own = {"ROADWORTHY_OVERRIDES": "profile=smoke", "WANDB_MODE": "disabled"}
    return call(clone, *command, minutes=20, **own)


@pytest.fixture(scope="module")
def rerun(
    clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, subprocess.CompletedProcess[str]]:
    """Both folders of notebooks under nbval, side by side: the executed ones in a copy."""
    copy = tmp_path_factory.mktemp("copy") / "clone"
    shutil.copytree(clone, copy, symlinks=True)
    folders = {"notebooks": clone, "reports/notebooks": copy}
    with ThreadPoolExecutor() as pool:
        found = pool.map(nbval, folders.values(), folders)
        return dict(zip(folders, found, strict=True))


def test_each_notebook_runs_by_hand(rerun: dict[str, subprocess.CompletedProcess[str]]):
    done = rerun["notebooks"]
    assert done.returncode == 0, done.stdout[-6000:]


def test_executed_notebooks_give_the_same_contract_again(
    clone: Path, rerun: dict[str, subprocess.CompletedProcess[str]]
):
    executed = sorted((clone / "reports" / "notebooks").glob("*.ipynb"))
    assert len(executed) == len(STAGES)
    for path in executed:
        cells = json.loads(path.read_text())["cells"]
        (contract,) = [
            cell for cell in cells if "nbval-check-output" in cell["metadata"].get("tags", [])
        ]
        # Without a count nbval would compare nothing.
        assert contract["execution_count"]
        assert contract["outputs"]
    done = rerun["reports/notebooks"]
    assert done.returncode == 0, done.stdout[-6000:]


def test_only_results_have_changed(clone: Path):
    """Neither the pipeline nor notebooks run by hand leave anything in git's sight but results."""
    lines = succeed(clone, "git", "status", "--porcelain").splitlines()
    changed = {line[3:] for line in lines}
    expected = ("reports/", "params.yaml", "dvc.lock")
    assert [path for path in sorted(changed) if not path.startswith(expected)] == []
