"""Which code a published number comes from."""

from __future__ import annotations

import subprocess
from functools import partial

from roadworthy.config import root


def commit() -> str:
    """The commit that runs, with a + where code or configuration differ from it."""
    git = partial(subprocess.run, cwd=root(), capture_output=True, text=True, check=False)
    head = git(["git", "rev-parse", "--short=10", "HEAD"]).stdout.strip()
    changed = git(["git", "status", "--porcelain", "--", "src", "conf"]).stdout.strip()
    return f"{head}+" if changed else head or "unknown"
