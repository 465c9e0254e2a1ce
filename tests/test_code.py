"""Only the code of a notebook counts: prose, outputs and counts leave the frozen file as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roadworthy import code
from roadworthy.errors import UserError


def notebook(source: str, prose: str = "why", **extra: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": ["contract"]}} | extra
    return {
        "cells": [{"cell_type": "markdown", "source": [prose], "metadata": {}}, cell],
        "metadata": {},
    }


def frozen(project: Path, content: dict[str, Any]) -> str:
    folder = project / "notebooks"
    folder.mkdir(exist_ok=True)
    (folder / "01_toy.ipynb").write_text(json.dumps(content))
    assert code.freeze() == "code: 1 notebooks frozen"
    return (project / "artifacts" / "code" / "01_toy.json").read_text()


@pytest.mark.parametrize("content", ["<<<<<<< HEAD\n{}", "[]", '{"cells": [{}]}'])
def test_what_is_no_notebook_is_a_user_error(project: Path, content: str):
    (project / "notebooks").mkdir(exist_ok=True)
    (project / "notebooks" / "01_toy.ipynb").write_text(content)
    with pytest.raises(UserError, match=r"01_toy\.ipynb is no notebook"):
        code.freeze()


def test_frozen_code_is_sources_and_tags(project: Path):
    assert json.loads(frozen(project, notebook("x = 1"))) == [
        {"tags": ["contract"], "source": "x = 1"}
    ]


def test_source_as_lines_or_as_text_is_the_same(project: Path):
    assert frozen(project, notebook("x = 1\ny = 2")) == frozen(
        project, notebook(["x = 1\n", "y = 2"])
    )  # type: ignore[arg-type]


def test_prose_outputs_and_counts_change_nothing(project: Path):
    before = frozen(project, notebook("x = 1"))
    ran = notebook("x = 1", prose="said better", outputs=[{"text": "1"}], execution_count=4, id="a")
    assert frozen(project, ran) == before


def test_a_change_of_code_shows(project: Path):
    assert frozen(project, notebook("x = 1")) != frozen(project, notebook("x = 2"))


def test_other_files_are_not_stages(project: Path):
    frozen(project, notebook("x = 1"))
    (project / "notebooks" / "draft.ipynb").write_text(json.dumps(notebook("y")))
    code.freeze()
    assert [path.name for path in (project / "artifacts" / "code").iterdir()] == ["01_toy.json"]
