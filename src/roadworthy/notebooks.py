"""Runs a stage's notebook with exactly the parameters dvc.yaml declares.

The only importer of papermill.

``python -m roadworthy run STAGE`` writes everything into a draft folder and publishes it once the
notebook has finished; a failed or killed run leaves the last good reports where they are.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import yaml

from roadworthy import drafts
from roadworthy.config import recorded_tree, root
from roadworthy.errors import UserError

# Spinning OpenMP threads starve each other on a busy machine; must be set before torch loads.
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
}


def stages() -> dict[str, Path]:
    """Stage word -> its notebook, in reading order."""
    found = sorted((root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return {path.stem.split("_", 1)[1]: path for path in found}


def parameters(stage: str) -> dict[str, Any]:
    """The sections of params.yaml that dvc.yaml declares for the stage."""
    declared = yaml.safe_load((root() / "dvc.yaml").read_text())["stages"][stage].get("params", [])
    values = recorded_tree()
    missing = [name for name in declared if name not in values]
    if missing:
        raise UserError(
            f"params.yaml has no section '{missing[0]}': run `python -m roadworthy config`"
        )
    return {name: values[name] for name in declared}


def normalise(path: Path) -> None:
    """Strip what differs from run to run: clocks, random ids, progress bars."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("language_info", None)
    for number, cell in enumerate(notebook.cells):
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
        elif not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
        if (
            cell.cell_type == "code"
        ):  # stderr holds progress bars and warnings: shown live, not kept
            cell["outputs"] = [item for item in cell["outputs"] if item.get("name") != "stderr"]
        cell.setdefault("id", f"cell-{number:02d}")
    nbformat.write(notebook, path)


def _this_python() -> type:
    """A kernel manager that starts this interpreter, whatever kernelspecs are installed."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisPython(AsyncKernelManager):  # type: ignore[misc]
        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [
                sys.executable,
                "-m",
                "ipykernel_launcher",
                "-f",
                "{connection_file}",
                "--log-level=50",
            ]
            return KernelSpec(argv=argv, language="python", display_name="Roadworthy")

    return ThisPython


def _environment(draft: Path, sections: list[str]) -> dict[str, str]:
    """What a stage's kernel is told: its source, its sections, its draft folder, its threads."""
    source = str(root() / "src")
    path = [
        source,
        *(part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part != source),
    ]
    # Linear algebra rounds differently with another number of threads: it is stated, not guessed.
    threads = str(recorded_tree().get("encoder", {}).get("threads", 1))
    counts = {f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL")}
    quiet = {} if sys.stderr.isatty() else {"TQDM_DISABLE": "1"}
    return (
        ENVIRONMENT
        | counts
        | quiet
        | {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "ROADWORTHY_SECTIONS": " ".join(sections),
            drafts.DRAFT: str(draft),
        }
    )


def _execute(source: Path, target: Path, values: dict[str, Any]) -> None:
    # jsonschema's optional format checker builds a grammar at import: 1-3 s for nothing.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill

    globals()["ThisPython"] = _this_python()
    papermill.execute_notebook(
        str(source),
        str(target),
        parameters=values,
        kernel_name="python3",
        cwd=str(root()),
        coalesce_streams=True,
        stdout_file=sys.stdout,
        stderr_file=sys.stderr,
        progress_bar=sys.stderr.isatty(),
        request_save_on_cell_execute=True,
        kernel_manager_class=f"{__name__}.ThisPython",
    )


def run(stage: str) -> int:
    """Execute one stage's notebook.

    Returns the exit code (0, 1 for a failing cell, 2 for a user error).
    """
    if stage not in stages():
        raise UserError(f"there is no notebook for '{stage}': choose from {', '.join(stages())}")
    values, source = parameters(stage), stages()[stage]
    draft = drafts.clear(stage)
    target = draft / source.name
    os.environ.update(_environment(draft, list(values)))
    try:
        _execute(source, target, values)
    except KeyboardInterrupt:
        _say(f"[{stage}] interrupted; the next `dvc repro` starts this stage again")
        return 130
    except Exception as error:
        return _report(stage, error, target)
    normalise(target)
    executed = root() / "reports" / "notebooks" / source.name
    executed.parent.mkdir(parents=True, exist_ok=True)
    target.replace(executed)
    drafts.publish(stage)
    return 0


def _report(stage: str, error: Exception, target: Path) -> int:
    """One message for a failed notebook.

    A user error speaks for itself, any other names cell and notebook.
    """
    name = getattr(error, "ename", type(error).__name__)
    if name == UserError.__name__:
        _say(f"[{stage}] {getattr(error, 'evalue', error)}")
        return 2
    cell = f"cell In [{error.exec_count}]" if hasattr(error, "exec_count") else "the notebook"
    _say(f"[{stage}] {cell} failed: {name}: {getattr(error, 'evalue', error)}")
    if target.exists():
        _say(f"[{stage}] open {target.relative_to(root())} to see where")
    return 1


def _say(message: str) -> None:
    sys.stderr.write(f"\n{message}\n")
    sys.stderr.flush()
