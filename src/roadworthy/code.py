"""Notebook code, frozen.

Notebooks/NN_stage.ipynb -> artifacts/code/NN_stage.json, sources and tags only.

Stages depend on these files, so rewording prose or saving outputs by hand re-runs nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

from roadworthy import drafts
from roadworthy.config import root
from roadworthy.errors import UserError


def cells(notebook: Path) -> list[dict[str, object]]:
    """The code cells of a notebook: tags and source, nothing that execution adds.

    Raises:
        UserError: the file is no notebook.
    """
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        return [
            {"tags": cell["metadata"].get("tags", []), "source": "".join(cell["source"])}
            for cell in content["cells"]
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{notebook.name} is no notebook ({error}): look for marks of a merge in it, or "
            f"`git checkout notebooks/{notebook.name}`"
        ) from error


def freeze() -> str:
    """Write artifacts/code/; returns the message."""
    target = root() / "artifacts" / "code"
    target.mkdir(parents=True, exist_ok=True)
    sources = sorted((root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    for notebook in sources:
        text = json.dumps(cells(notebook), indent=1, ensure_ascii=False)
        drafts.write_text(target / f"{notebook.stem}.json", text + "\n")
    return f"code: {len(sources)} notebooks frozen"
