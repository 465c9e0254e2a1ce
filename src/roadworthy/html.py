"""The executed notebooks as web pages in reports/html/, for readers without Jupyter.

``make report`` writes them. The pages load nothing and run nothing: scripts are taken out and a
content security policy forbids them, so they open without network and hostile text stays text.
"""

from __future__ import annotations

import re
import shutil
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from roadworthy.config import root
from roadworthy.errors import UserError
from roadworthy.evidence import read_evidence
from roadworthy.markdown import find
from roadworthy.readiness import RECORD, verdict_on

if TYPE_CHECKING:
    from nbconvert import HTMLExporter
    from nbformat import NotebookNode

# nbconvert's own sanitiser breaks tables; this lets a page show itself and do nothing else.
POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"
META = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
NOTEBOOK = re.compile(r'href="(\d\d_\w+)\.ipynb"')
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{meta}<title>Roadworthy</title>
<style>
body {{ font: 1.1rem/1.6 sans-serif; max-width: 45rem; margin: 3rem auto; padding: 0 1rem }}
</style>
</head><body><h1>Roadworthy</h1>
<p><strong>{verdict}</strong></p>
<p>From raw data to a go / no-go, in reading order; the last page has the model card.</p>
<ol>
{links}
</ol></body></html>
"""


def exporter() -> HTMLExporter:
    """Nbconvert's exporter: no code, and every address it would load from emptied."""
    from nbconvert import HTMLExporter

    addresses = (
        "mathjax_url",
        "require_js_url",
        "jquery_url",
        "mermaid_js_url",
        "widget_renderer_url",
    )
    offline = {name: "" for name in addresses if name in HTMLExporter.class_trait_names()}
    return HTMLExporter(exclude_input=True, exclude_output_prompt=True, **offline)


def still(page: str) -> str:
    """A page without its scripts, with a policy that forbids scripts and loading.

    Its links to other notebooks lead to their pages.
    """
    page = NOTEBOOK.sub(r'href="\1.html"', SCRIPT.sub("", page))
    return page.replace("<head>", f"<head>{META}", 1)


def title(notebook: NotebookNode, default: str) -> str:
    """The first heading of a notebook, or ``default``."""
    for cell in notebook.cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else []:
            if line.startswith("# "):
                return str(line.removeprefix("# ").strip())
    return default


def index(titles: dict[str, str], verdict: str) -> str:
    """The front page: the verdict, and file name -> title, as links."""
    links = (
        f'<li><a href="{escape(name)}">{escape(text)}</a></li>' for name, text in titles.items()
    )
    return PAGE.format(meta=META, links="\n".join(links), verdict=escape(verdict))


def _convert(sources: list[Path], folder: Path) -> dict[str, str]:
    import nbformat

    convert, titles = exporter(), {}
    for source in sources:
        notebook = nbformat.read(source, as_version=4)
        body, _ = convert.from_notebook_node(notebook, {"metadata": {"name": source.stem}})
        name = f"{source.stem}.html"
        (folder / name).write_text(still(body), encoding="utf-8")
        titles[name] = title(notebook, source.stem)
    return titles


def _verdict() -> str:
    """The last verdict in a line."""
    found = read_evidence([RECORD])[RECORD] or {}
    data = find(found, "dataset") or "No data"
    said, reasons = verdict_on(data, found)
    because = f" because of {', '.join(reasons).replace('_', ' ')}" if reasons else ""
    return f"{data}: {said}{because}"


def write() -> str:
    """Write reports/html/ anew; returns the message.

    Raises:
        UserError: no notebook has been executed yet.

    """
    base = root() / "reports"
    sources = sorted((base / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not sources:
        raise UserError("reports/notebooks/ holds no executed notebook: run `dvc repro` first")
    draft, target = base / "html.draft", base / "html"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    titles = _convert(sources, draft)
    (draft / "index.html").write_text(index(titles, _verdict()), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    draft.replace(target)
    return f"report: {len(titles)} notebooks; open reports/html/index.html"
