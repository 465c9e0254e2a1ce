"""The whole promise, in a fresh clone: an experiment to a verdict, then notebooks under nbval.

One clone serves all of these tests; they run in the order of the file. What is tested is HEAD,
not the working tree.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

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


PARITY = """
import json
import numpy as np
from roadworthy import calibration, service, store

served = service.load()
rows = store.read_messages().query("split == 'test'")
said = served.decide(*served.judge(rows["text"].tolist()))
frame = store.read_frame("finetune", "predictions/lora").set_index("id").loc[rows["id"]]
p = frame[[f"p_{label}" for label in served.labels]].to_numpy(np.float64)
expected = calibration.top(p, calibration.Scale.of(served.fitted))
print(json.dumps({
    "rows": len(rows),
    "difference": float(np.abs(said["confidence"].to_numpy() - expected).max()),
    "labels": float((said["label"].to_numpy() == frame["pred"].to_numpy()).mean()),
    "automated": int((said["decision"] == service.AUTOMATED).sum()),
}))
"""


def test_what_is_served_is_what_was_judged(clone: Path):
    """Every test message, answered anew, against the frames that ``evaluate`` has judged."""
    found = json.loads(succeed(clone, sys.executable, "-c", PARITY).splitlines()[-1])
    judged = json.loads((clone / "reports" / "metrics" / "evaluate.json").read_text())
    counts = judged["rows"]
    assert found["rows"] == counts["test"] + counts["test_out_of_scope"]
    assert found["difference"] < 1e-4
    assert found["labels"] == 1
    assert found["automated"] == judged["served"]["automated"] > 0


def test_changing_the_volume_retrains_nothing(clone: Path):
    out = succeed(clone, "dvc", "exp", "run", "-S", "profile=smoke", "-S", "cost.volume=200000")
    ran = {line.split("'")[1] for line in out.splitlines() if line.startswith("Running stage")}
    assert ran == {"config", "cost", "readiness"}


def test_experiments_are_compared_as_the_readme_says(clone: Path):
    readme = (clone / "README.md").read_text(encoding="utf-8")
    (line,) = [one for one in readme.splitlines() if one.startswith("dvc exp show")]
    out = succeed(clone, *shlex.split(line, comments=True))
    assert "no-go" in out
    assert "helpdesk" in out


def contract(notebook: dict[str, Any]) -> dict[str, Any]:
    """The one cell whose output must not change."""
    (cell,) = [
        cell
        for cell in notebook["cells"]
        if "nbval-check-output" in cell["metadata"].get("tags", [])
    ]
    return cell


def test_notebooks_by_hand_give_the_contracts_of_the_pipeline(clone: Path):
    """Each source notebook under nbval: no error, and its contract cell prints what it printed."""
    for path in sorted((clone / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text())
        executed = contract(json.loads((clone / "reports" / "notebooks" / path.name).read_text()))
        # Without a count nbval would compare nothing.
        assert executed["execution_count"]
        assert executed["outputs"]
        contract(notebook).update({key: executed[key] for key in ("execution_count", "outputs")})
        path.write_text(json.dumps(notebook))
    plugin = ["-p", "nbval", "--nbval-lax", "--nbval-current-env", "-W", "default"]
    plugin += ["--nbval-sanitize-with", "nbval_sanitize.cfg", "-p", "no:cacheprovider"]
    own = {"ROADWORTHY_OVERRIDES": "profile=smoke cost.volume=200000", "WANDB_MODE": "disabled"}
    command = [sys.executable, "-m", "pytest", "-q", *plugin, "notebooks"]
    done = call(clone, *command, minutes=20, **own)
    succeed(clone, "git", "checkout", "-q", "notebooks")
    assert done.returncode == 0, done.stdout[-6000:]


def test_only_results_have_changed(clone: Path):
    """Neither the pipeline nor notebooks run by hand leave anything in git's sight but results."""
    lines = succeed(clone, "git", "status", "--porcelain").splitlines()
    changed = {line[3:] for line in lines}
    expected = ("reports/", "params.yaml", "dvc.lock")
    assert [path for path in sorted(changed) if not path.startswith(expected)] == []
