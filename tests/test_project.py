"""The whole promise, in a fresh clone: an experiment to a verdict, then notebooks under nbval.

One clone serves all of these tests; they run in the order of the file. What is tested is HEAD,
not the working tree.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = ["audit", "clean", "baseline", "finetune", "evaluate", "cost", "readiness"]
MINUTE = 60  # limits are against hanging, not for speed: machines differ threefold
pytestmark = pytest.mark.slow

TOPICS = {
    "opening": ["are you open", "when do you close", "which hours do you keep", "is the shop shut"],
    "parking": [
        "where can I park",
        "is there a car park",
        "what does parking cost",
        "may I leave my van",
    ],
    "tickets": [
        "how much is a ticket",
        "do you sell passes",
        "is there a child price",
        "can I book entry",
    ],
}
ENDINGS = [
    "on Monday",
    "on Sunday",
    "in winter",
    "at Easter",
    "tonight",
    "tomorrow",
    "next week",
    "in August",
]


def environment(clone: Path) -> dict[str, str]:
    """Variables with this interpreter first on the path and nothing of the project inherited."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC_", "ROADWORTHY_", "WANDB_", "GIT_"))
    }
    person = {
        f"GIT_{role}_{key}": f"test{at}"
        for role in ("AUTHOR", "COMMITTER")
        for key, at in (("NAME", ""), ("EMAIL", "@localhost"))
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {
        "PATH": path,
        "PYTHONPATH": str(clone / "src"),
        "WANDB_MODE": "offline",
        "HF_HUB_OFFLINE": "1",
    }
    return kept | person | own


def call(
    clone: Path, *command: str, minutes: float = 10, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in the clone; the whole output is shown where a test fails."""
    return subprocess.run(
        command,
        cwd=clone,
        env=environment(clone) | extra,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=minutes * MINUTE,
        check=False,
    )


def succeed(clone: Path, *command: str, minutes: float = 10, **extra: str) -> str:
    done = call(clone, *command, minutes=minutes, **extra)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-6000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of HEAD, nothing run in it yet."""
    clone = tmp_path_factory.mktemp("fresh") / "clone"
    if subprocess.run(
        ["git", "rev-parse", "-q", "HEAD"], cwd=ROOT, capture_output=True, check=False
    ).returncode:
        pytest.skip("no commit to clone")
    subprocess.run(["git", "clone", "-q", f"file://{ROOT}", str(clone)], check=True, timeout=MINUTE)
    return clone


@pytest.fixture(scope="module")
def committed(fresh: Path) -> int:
    """Exit code of ``config --check`` on what is committed, before anything else has run."""
    return call(fresh, sys.executable, "-m", "roadworthy", "config", "--check").returncode


@pytest.fixture(scope="module")
def clone(fresh: Path, committed: int) -> Path:
    """The clone after one smoke-sized experiment through every stage."""
    succeed(fresh, "dvc", "exp", "run", "-S", "profile=smoke", minutes=20)
    return fresh


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


def test_a_csv_the_project_has_never_seen(clone: Path):
    """A folder, a file in conf/data/, git add; in a temporary checkout, so the workspace stays."""
    folder = clone / "data" / "mine"
    folder.mkdir()
    with (folder / "mail.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["topic", "ignored", "message"])
        for topic, openings in TOPICS.items():
            writer.writerows(
                [topic, "x", f"{opening} {ending}?"] for opening in openings for ending in ENDINGS
            )
    option = "name: mine\nfiles:\n  - path: data/mine/mail.csv\ntext: message\nlabel: topic\n"
    (clone / "conf" / "data" / "mine.yaml").write_text(option)
    succeed(clone, "git", "add", "data/mine", "conf/data/mine.yaml")
    before = (clone / "reports" / "metrics" / "audit.json").read_bytes()
    succeed(
        clone,
        "dvc",
        "exp",
        "run",
        "--temp",
        "-n",
        "mine",
        "-S",
        "profile=smoke",
        "-S",
        "data=mine",
        minutes=20,
    )
    assert (clone / "reports" / "metrics" / "audit.json").read_bytes() == before
    succeed(clone, "dvc", "exp", "branch", "mine", "mine")
    verdict = json.loads(succeed(clone, "git", "show", "mine:reports/metrics/readiness.json"))
    evaluated = json.loads(succeed(clone, "git", "show", "mine:reports/metrics/evaluate.json"))
    assert verdict
    assert evaluated["rows"]["test"] > 0
