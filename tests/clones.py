"""Fresh clones of the project, and commands run in them as a user would.

What is tested is HEAD, not the working tree.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MINUTE = 60  # limits are against hanging, not for speed: machines differ threefold


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


def fresh(folder: Path) -> Path:
    """A fresh clone of HEAD in a new folder, nothing run in it yet."""
    if subprocess.run(
        ["git", "rev-parse", "-q", "HEAD"], cwd=ROOT, capture_output=True, check=False
    ).returncode:
        pytest.skip("no commit to clone")
    subprocess.run(
        ["git", "clone", "-q", f"file://{ROOT}", str(folder)], check=True, timeout=MINUTE
    )
    return folder
