"""The runner, on a toy project with one notebook: what goes in, what comes out, what stays."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest
import yaml

from roadworthy import notebooks
from roadworthy.errors import UserError

SHOW = """import os
print(seed, toy["colour"], "other" in globals(), os.environ["ROADWORTHY_SECTIONS"])"""
WRITE = "from roadworthy import store\npath = store.write_metrics('toy', {'seed': seed})\npath.name"
WARN = "import warnings\nwarnings.warn('careful')"


def place(project: Path, *sources: str) -> None:
    """notebooks/01_toy.ipynb with a parameters cell and these code cells."""
    cells = [nbformat.v4.new_markdown_cell("# A toy", id="title")]
    start = nbformat.v4.new_code_cell("seed = -1\ntoy = {}", id="parameters")
    start.metadata["tags"] = ["parameters"]
    cells += [
        start,
        *(nbformat.v4.new_code_cell(text, id=f"step-{n}") for n, text in enumerate(sources)),
    ]
    kernel = {"name": "python3", "display_name": "Roadworthy", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    (project / "notebooks").mkdir(exist_ok=True)
    nbformat.write(notebook, project / "notebooks" / "01_toy.ipynb")


@pytest.fixture
def toy(project: Path) -> Path:
    """A project with the stage ``toy``; params.yaml also holds a section it does not declare."""
    stage = {"cmd": "python -m roadworthy run toy", "params": ["seed", "toy"]}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"toy": stage}}))
    values = {"seed": 3, "toy": {"colour": "red", "limit": None, "on": True}, "other": 4}
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    return project


def executed(project: Path) -> Path:
    return project / "reports" / "notebooks" / "01_toy.ipynb"


def printed(project: Path) -> str:
    cells = json.loads(executed(project).read_text())["cells"]
    return "".join(
        line
        for cell in cells
        for output in cell.get("outputs", [])
        for line in output.get("text", [])
    )


def test_a_run_injects_declared_sections_publishes_and_repeats_to_the_byte(toy: Path):
    place(toy, SHOW, WARN, WRITE)
    assert notebooks.run("toy") == 0
    assert "3 red False seed toy" in printed(toy)
    assert json.loads((toy / "reports" / "metrics" / "toy.json").read_text()) == {"seed": 3}
    first = executed(toy).read_bytes()
    os.environ.pop("ROADWORTHY_SECTIONS")
    assert notebooks.run("toy") == 0
    assert executed(toy).read_bytes() == first
    content = json.loads(first)
    assert "injected-parameters" in {cell["id"] for cell in content["cells"]}
    assert "papermill" not in content["metadata"]
    assert not notebooks.drafts.draft_folder("toy").exists()


def test_a_failing_cell_keeps_the_last_good_report(toy: Path, capsys: pytest.CaptureFixture[str]):
    good = toy / "reports" / "metrics" / "toy.json"
    good.parent.mkdir(parents=True)
    good.write_text("good")
    executed(toy).parent.mkdir(parents=True)
    executed(toy).write_text("good")
    place(toy, WRITE, "1 / 0")
    assert notebooks.run("toy") == 1
    assert (good.read_text(), executed(toy).read_text()) == ("good", "good")
    error = capsys.readouterr().err
    assert "[toy] cell In [4] failed: ZeroDivisionError: division by zero" in error
    assert "[toy] open scratch/drafts/toy/01_toy.ipynb to see where" in error
    assert "Traceback" not in error
    assert (toy / "scratch" / "drafts" / "toy" / "01_toy.ipynb").is_file()


def test_a_user_error_in_a_cell_is_its_message_alone(toy: Path, capsys: pytest.CaptureFixture[str]):
    place(
        toy, "from roadworthy.errors import UserError\nraise UserError('mail.csv, row 3: no text')"
    )
    assert notebooks.run("toy") == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == "[toy] mail.csv, row 3: no text"
    assert not executed(toy).exists()


def test_the_kernel_is_this_python_with_the_projects_source_first(toy: Path):
    environment = notebooks._environment(toy / "draft", ["seed"])
    assert environment["PYTHONPATH"].split(os.pathsep)[0] == str(toy / "src")
    assert notebooks._this_python()().kernel_spec.argv[0] == os.sys.executable  # type: ignore[attr-defined]


def test_an_unknown_stage_lists_the_known_ones(toy: Path):
    place(toy)
    with pytest.raises(UserError, match="no notebook for 'tyo': choose from toy"):
        notebooks.run("tyo")


def test_missing_parameters_name_the_command(toy: Path):
    (toy / "params.yaml").write_text("seed: 3\n")
    with pytest.raises(UserError, match="no section 'toy': run `python -m roadworthy config`"):
        notebooks.parameters("toy")
    (toy / "params.yaml").unlink()
    with pytest.raises(UserError, match=r"params\.yaml is missing"):
        notebooks.parameters("toy")
