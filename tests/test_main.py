"""The command line: what people see, and which source runs."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from roadworthy import __main__ as entry
from roadworthy import readiness

ROOT = Path(__file__).resolve().parents[1]


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``python -m roadworthy`` in a folder, with this project's source as the installed one."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "roadworthy", *words]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def copy(project: Path) -> Path:
    """A project with conf/ and dvc.yaml of its own, without source."""
    shutil.copytree(ROOT / "conf", project / "conf")
    shutil.copy(ROOT / "dvc.yaml", project)
    return project


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The entry point, called with a command line in this process."""

    def called(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["roadworthy", *words])
        return entry.main()

    return called


def test_config_writes_then_checks(
    copy: Path, main: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    assert main("config", "seed=4") == 0
    assert main("config", "--check") == 1
    assert "seed: 4 -> 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["config", "clean.folds=1"], "clean.folds = 1 is out of range"),
        (["run", "audit"], "there is no notebook for 'audit'"),
        (["report"], "run `dvc repro` first"),
    ],
)
def test_a_user_error_is_one_line_and_exit_code_2(
    copy: Path,
    main: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
):
    assert main(*words) == 2
    out, error = capsys.readouterr()
    (line,) = error.splitlines()
    assert out == ""
    assert line.startswith("roadworthy: ")
    assert message in line


def test_an_interrupt_is_no_traceback(main: Callable[..., int], monkeypatch: pytest.MonkeyPatch):
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "dispatch", interrupted)
    assert main("code") == 130


@pytest.mark.parametrize("verdict", [0, 1])
def test_a_reader_that_has_seen_enough_changes_no_verdict(
    main: Callable[..., int], monkeypatch: pytest.MonkeyPatch, verdict: int
):
    """As in ``PYTHONUNBUFFERED=1 python -m roadworthy readiness | head -1``."""
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(readiness, "verdict", lambda: ("one line\nand another", verdict))
    with io.TextIOWrapper(open(writing, "wb", 0), write_through=True) as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert main("readiness") == verdict


def test_a_wrong_command_is_a_usage_error(
    main: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stopped:
        main("drive")
    assert stopped.value.code == 2
    assert "invalid choice: 'drive'" in capsys.readouterr().err


def test_outside_a_project_it_says_so(tmp_path: Path):
    done = call(tmp_path, "code")
    assert done.returncode == 2
    assert done.stderr.startswith("roadworthy: no dvc.yaml")
    assert "Traceback" not in done.stderr


def test_an_experiments_checkout_runs_its_own_source(copy: Path):
    """As in ``dvc exp run --temp``: installed is the main source, the folder has its own."""
    shutil.copytree(
        ROOT / "src" / "roadworthy",
        copy / "src" / "roadworthy",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    code = copy / "src" / "roadworthy" / "code.py"
    before = code.read_text()
    code.write_text(before.replace('return f"code:', 'return f"code of the experiment:'))
    assert code.read_text() != before
    assert call(copy, "code").stdout == "code of the experiment: 0 notebooks frozen\n"
    below = copy / "notebooks"
    below.mkdir()
    assert call(below, "code").stdout == "code of the experiment: 0 notebooks frozen\n"


def test_without_source_of_its_own_the_installed_one_runs(copy: Path):
    assert call(copy, "code").stdout == "code: 0 notebooks frozen\n"


@pytest.mark.parametrize(
    "words",
    [
        ["noise_benchmark", "--draws", "0"],
        ["benchmark", "--seeds", "-1"],
        ["benchmark", "--seeds", "5000000000"],
        ["ablation", "--seeds", "0", str(2**31)],
        ["benchmark", "--shots", "two"],
        ["scaling", "--rows", "0"],
        ["rivals", "--threads", "1.5"],
    ],
)
def test_a_number_that_cannot_be_is_refused_with_code_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        entry.parser().parse_args(words)
    assert caught.value.code == 2
    assert "is no whole number from" in capsys.readouterr().err


def test_the_largest_seed_of_the_settings_is_one_of_the_command_lines():
    words = ["benchmark", "--seeds", "0", str(2**31 - 1)]
    assert entry.parser().parse_args(words).seeds == [0, 2**31 - 1]


@pytest.mark.parametrize(("given", "spins"), [(None, False), ("active", True)])
def test_openmp_does_not_spin_unless_asked_to(tmp_path: Path, given: str | None, spins: bool):
    """What OpenMP itself reports when scikit-learn loads it, in a process of its own."""
    script = """
from roadworthy import __main__ as entry
def dispatch(_):
    import sklearn.utils._openmp_helpers
    return None, 0
entry.dispatch = dispatch
entry.main()
"""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "OMP_DISPLAY_ENV": "VERBOSE"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", script, "code"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this OpenMP is not GNU's")
    assert ("GOMP_SPINCOUNT = '0'" in done.stderr) != spins


def test_every_command_has_its_function():
    import importlib
    import inspect

    for command, (function, *names) in entry.CALLS.items():
        module = importlib.import_module(f"roadworthy.{entry.MODULES.get(command, command)}")
        taken = list(inspect.signature(getattr(module, function)).parameters)
        assert taken[: len(names)] == names, command


def test_explain_takes_one_message():
    options = entry.parser().parse_args(["explain", "where is it?"])
    assert (options.command, options.text) == ("explain", "where is it?")
