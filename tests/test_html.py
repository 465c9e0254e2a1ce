"""The report's pages load nothing and run nothing, and show hostile text as text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest

from roadworthy import html
from roadworthy.errors import UserError

HOSTILE = "<script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
    "hgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def executed(project: Path) -> Path:
    """A project with one executed notebook: prose, printed text, a table, a figure."""
    outputs = [
        nbformat.v4.new_output("stream", text=HOSTILE),
        nbformat.v4.new_output(
            "display_data", data={"text/html": f"<table><tr><td>42 {HOSTILE}</td></tr></table>"}
        ),
        nbformat.v4.new_output("display_data", data={"image/png": PIXEL}),
    ]
    cells = [
        nbformat.v4.new_markdown_cell(f"# Trust & <b>care</b>\n\nMath $x^2$ {HOSTILE}"),
        nbformat.v4.new_markdown_cell("Next: [02 · Clean](02_clean.ipynb)."),
        nbformat.v4.new_code_cell("show()", outputs=outputs, execution_count=1),
    ]
    folder = project / "reports" / "notebooks"
    folder.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "01_audit.ipynb")
    return project


def test_without_executed_notebooks_the_command_is_named(project: Path):
    with pytest.raises(UserError, match="run `dvc repro` first"):
        html.write()


def test_pages_load_nothing_and_run_nothing(executed: Path):
    assert html.write() == "report: 1 notebooks; open reports/html/index.html"
    folder = executed / "reports" / "html"
    assert sorted(path.name for path in folder.iterdir()) == ["01_audit.html", "index.html"]
    for page in folder.iterdir():
        text = page.read_text(encoding="utf-8")
        assert html.POLICY in text[:600]
        assert "<script" not in text.lower()
        assert not re.search(r"<link\b[^>]*href=|@import|url\(\s*[\"']?https?:", text)
    text = (folder / "01_audit.html").read_text(encoding="utf-8")
    assert "<td>42 " in text
    assert PIXEL in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "show()" not in text  # for people who do not read code
    assert 'href="02_clean.html"' in text


def test_the_index_links_each_notebook_by_its_title(executed: Path):
    html.write()
    index = (executed / "reports" / "html" / "index.html").read_text(encoding="utf-8")
    assert '<a href="01_audit.html">Trust &amp; &lt;b&gt;care&lt;/b&gt;</a>' in index


def test_the_index_begins_with_the_verdict(executed: Path):
    html.write()
    index = executed / "reports" / "html" / "index.html"
    assert "No data: not judged yet" in index.read_text(encoding="utf-8")
    (executed / "reports" / "metrics").mkdir()
    record = {"dataset": "<toy>", "verdict": "no-go", "reasons": ["macro_f1", "risk"]}
    (executed / "reports" / "metrics" / "readiness.json").write_text(json.dumps(record))
    html.write()
    said = "&lt;toy&gt;: no-go because of macro f1, risk"
    assert said in index.read_text(encoding="utf-8")


def test_stale_pages_vanish(executed: Path):
    html.write()
    (executed / "reports" / "html" / "old.html").write_text("")
    html.write()
    assert not (executed / "reports" / "html" / "old.html").exists()
