"""Notebooks tell, modules do: the conventions of notebooks/, checked without a kernel."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
Cell = dict[str, Any]


def cells(name: str, kind: str | None = None) -> list[Cell]:
    """A notebook's cells, of one kind or all, with ``source`` as one text."""
    found = json.loads(NOTEBOOKS[name].read_text(encoding="utf-8"))["cells"]
    return [
        cell | {"source": "".join(cell["source"])}
        for cell in found
        if kind in (None, cell["cell_type"])
    ]


def tagged(name: str, tag: str) -> list[Cell]:
    return [cell for cell in cells(name) if tag in cell["metadata"].get("tags", [])]


def lines(cell: Cell) -> list[str]:
    return [line for line in cell["source"].splitlines() if line.strip()]


def forbidden(source: str) -> list[str]:
    """What does not belong into a notebook: definitions, magics, absolute paths, code from data."""
    magic = [line for line in source.splitlines() if re.match(r"\s*[%!]|.*\?$", line)]
    if magic:
        return magic
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    tree = ast.parse(source)
    found = [ast.unparse(node)[:60] for node in ast.walk(tree) if isinstance(node, kinds)]
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return (
        found
        + [text for text in texts if text.startswith(("/", "~"))]
        + [c for c in calls if c in ("eval", "exec")]
    )


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_name_and_kernel(name: str):
    assert re.fullmatch(r"\d\d_[a-z]+", name)
    assert name[3:] in PIPELINE
    assert json.loads(NOTEBOOKS[name].read_text())["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_one_parameters_cell_with_exactly_the_stages_params(name: str):
    (cell,) = tagged(name, "parameters")
    declared = PIPELINE[name[3:]]["params"]
    assert cell["id"] == "parameters"
    assert sorted(lines(cell)) == sorted(f'{section} = conf("{section}")' for section in declared)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_one_contract_cell_that_asserts_and_prints(name: str):
    (cell,) = tagged(name, "nbval-check-output")
    assert cell["id"] == "contract"
    assert "assert " in cell["source"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_budgets(name: str):
    code = cells(name, "code")
    assert 15 <= len(cells(name)) <= 30
    assert sum(len(lines(cell)) for cell in code) <= 80
    assert {cell["id"]: len(lines(cell)) for cell in code if len(lines(cell)) > 12} == {}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_prose_leads_and_outweighs_the_code(name: str):
    words = {
        kind: sum(len(cell["source"].split()) for cell in cells(name, kind))
        for kind in ("markdown", "code")
    }
    assert words["markdown"] >= words["code"]
    first, last = cells(name)[0], cells(name)[-1]
    assert (first["cell_type"], last["cell_type"]) == ("markdown", "markdown")
    assert first["source"].startswith("# ")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_definitions_magics_or_absolute_paths(name: str):
    assert [line for cell in cells(name, "code") for line in forbidden(cell["source"])] == []


@pytest.mark.parametrize(
    "source", ["def f(): pass", "class A: pass", "%matplotlib inline", "!ls", "open('/etc/hosts')"]
)
def test_the_search_for_forbidden_code_finds_it(source: str):
    assert forbidden(source)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_sources_carry_no_outputs(name: str):
    code = cells(name, "code")
    assert [
        cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None
    ] == []
    assert [cell["id"] for cell in code if "execution" in cell["metadata"]] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_ids_are_unique_and_readable(name: str):
    ids = [cell["id"] for cell in cells(name)]
    assert len(set(ids)) == len(ids)
    assert [word for word in ids if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", word)] == []
    assert [word for word in ids if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}.*)?", word)] == []
