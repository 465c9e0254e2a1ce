"""The rules of the house, held by the code's own syntax: one way, one word, small, safe."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "roadworthy"
TREES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts): ast.parse(
        path.read_text(encoding="utf-8")
    )
    for path in sorted(SOURCE.rglob("*.py"))
}
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = {
    name: stage
    for name, stage in PIPELINE.items()
    if stage["cmd"].startswith("python -m roadworthy run ")
}

# Imports go down only: a module may import its own number or a lower one. What is not named here
# computes (MECHANISM).
MECHANISM, STAGE, EDGE = 5, 6, 7
LAYERS = {
    "__init__": 0,
    "errors": 0,
    "settings": 1,
    "rules": 1,
    "config": 2,
    "formats": 3,
    "data": 3,
    "checklist": 3,
    "companions": 3,
    "drafts": 3,
    "manifest": 4,
    "store": 4,
}
LAYERS |= dict.fromkeys(STAGES, STAGE)
EDGES = {
    "__main__",
    "ablation",
    "benchmark",
    "benchmark_cells",
    "benchmark_record",
    "benchmark_table",
    "code",
    "demo",
    "explain",
    "export",
    "html",
    "noise_benchmark",
    "noise_cell",
    "noise_table",
    "notebooks",
    "parity",
    "predict",
    "readme",
    "review_page",
    "rival_engines",
    "rival_models",
    "rivals",
    "rivals_table",
    "scaling",
    "service",
    "timings",
    "tracking",
    "watch",
}
# Settings are one long table of typed fields; splitting it would hide what it is.
LONG = {"settings"}


def layer(module: str) -> int:
    first = module.split(".")[0]
    return EDGE if first in EDGES or first == "plots" else LAYERS.get(first, MECHANISM)


def all_imports(tree: ast.AST) -> set[str]:
    """Dotted names of everything imported, nested or not; ``from a import b`` gives a.b as well."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(module: str) -> set[str]:
    """The project's modules that a module imports."""
    found = {
        name.removeprefix("roadworthy.")
        for name in all_imports(TREES[module])
        if name.startswith("roadworthy.")
    }
    packages = {name.removesuffix(".__init__") for name in TREES if name.endswith(".__init__")}
    return {
        name if name in TREES else f"{name}.__init__"
        for name in found
        if name in TREES or name in packages
    }


def reached(module: str) -> set[str]:
    """What a module imports of the project, directly or not, but for what ``store`` brings."""
    seen, todo = {"store"}, [module]
    while todo:
        for name in own_imports(todo.pop()) - seen:
            seen.add(name)
            todo.append(name)
    return seen - {"store"}


@pytest.mark.parametrize("module", TREES)
def test_imports_go_one_way(module: str):
    for name in own_imports(module) - {module}:
        assert layer(name) <= layer(module), f"{module} imports {name}"
        assert not (layer(module) == layer(name) == STAGE), f"stage {module} imports stage {name}"
        if module.startswith("models."):
            assert layer(name) < MECHANISM or name.startswith("models."), f"{module} imports {name}"


@pytest.mark.parametrize(
    ("library", "owner"),
    [("wandb", "tracking"), ("papermill", "notebooks"), ("openai", "models.client")],
)
def test_one_module_owns_a_library(library: str, owner: str):
    users = {
        name
        for name, tree in TREES.items()
        if any(re.match(rf"{library}\b", word) for word in all_imports(tree))
    }
    assert users == {owner}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_word_has_all_its_rooms(stage: str):
    text = yaml.safe_dump(STAGES[stage])
    (notebook,) = (ROOT / "notebooks").glob(f"[0-9][0-9]_{stage}.ipynb")
    assert STAGES[stage]["cmd"] == f"python -m roadworthy run {stage}"
    assert (SOURCE / f"{stage}.py").is_file()
    assert list((ROOT / "conf" / stage).glob("*.yaml"))
    assert (ROOT / "tests" / f"test_{stage}.py").is_file()
    for path in (f"artifacts/code/{notebook.stem}.json", f"src/roadworthy/{stage}.py"):
        assert path in STAGES[stage]["deps"], path
    for path in (f"reports/metrics/{stage}.json", f"reports/notebooks/{notebook.name}"):
        assert path in text, path


def test_notebooks_are_numbered_in_the_pipelines_order():
    names = [f"{number:02d}_{stage}.ipynb" for number, stage in enumerate(STAGES, start=1)]
    assert sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")) == names
    frozen = [Path(path).name for path in PIPELINE["code"]["outs"]]
    assert frozen == [name.replace(".ipynb", ".json") for name in names]


def told(stage: str) -> set[str]:
    """What a stage's notebook imports of the project."""
    (path,) = (ROOT / "notebooks").glob(f"[0-9][0-9]_{stage}.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    words = {word.removeprefix("roadworthy.") for word in all_imports(ast.parse(code))}
    return {name for word in words for name in (word, f"{word}.__init__") if name in TREES}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_it_computes_with(stage: str):
    """Without these, a change of code would leave a stale result that calls itself current."""
    deps = [str(dep) for dep in STAGES[stage]["deps"]]
    shown = ("plots", "tracking", "store")  # what they do changes no number
    used = {stage} | {name for name in told(stage) if not name.startswith(shown)}
    used |= {name for module in used for name in reached(module)}
    needed = {name for name in used if MECHANISM <= layer(name) <= STAGE}
    needed = {name for name in needed if not name.startswith(shown)}
    # Raw data is read in the audit; other stages use data.py for its hashes at most.
    needed |= {"data", "formats"} if stage == "audit" else set()
    paths = {
        f"src/roadworthy/{name.replace('.', '/')}.py"
        for name in needed
        if not name.endswith("__init__")
    }
    assert (
        sorted(
            path
            for path in paths
            if not any(path == dep or path.startswith(f"{dep}/") for dep in deps)
        )
        == []
    )
    assert not [dep for dep in deps if re.search(r"/(plots|tracking|demo)\b", dep)]


@pytest.mark.parametrize("stage", STAGES)
def test_outputs_in_git_survive_a_failing_stage(stage: str):
    entries = STAGES[stage]["outs"] + STAGES[stage].get("metrics", [])
    tracked = {
        path: flags for entry in entries if isinstance(entry, dict) for path, flags in entry.items()
    }
    assert all(flags == {"cache": False, "persist": True} for flags in tracked.values())
    assert all(path.startswith("reports/") for path in tracked)
    assert all(entry.startswith("artifacts/") for entry in entries if isinstance(entry, str))


@pytest.mark.parametrize("module", TREES)
def test_modules_and_functions_are_small(module: str):
    tree = TREES[module]
    length = max(
        (node.end_lineno or 0 for node in tree.body if hasattr(node, "end_lineno")), default=0
    )
    assert length <= 250 or module in LONG, f"{length} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or 0) - node.lineno + 1
            assert size <= 60, f"{node.name}: {size} lines"


@pytest.mark.parametrize("module", TREES)
def test_every_module_says_what_it_is(module: str):
    assert ast.get_docstring(TREES[module])


def is_inert(node: ast.stmt) -> bool:
    """Whether a statement at module level only names things."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(isinstance(target, ast.Name | ast.Tuple) for target in targets)
    return isinstance(node, kinds) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


@pytest.mark.parametrize("module", TREES)
def test_importing_only_defines(module: str):
    assert [ast.unparse(node) for node in TREES[module].body if not is_inert(node)] == []


@pytest.mark.slow
def test_importing_touches_neither_disk_nor_network(tmp_path: Path):
    """Every module is imported under an audit hook, in an empty folder."""
    names = [f"roadworthy.{name}".removesuffix(".__init__") for name in TREES if name != "__main__"]
    script = f"""
import importlib, os, sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"import reached the network: {{args}}")
    written = event == "os.mkdir" or (event == "open" and set(str(args[1])) & set("wax+"))
    if written and str(args[0]).startswith(os.getcwd()):
        raise SystemExit(f"import touched the working folder: {{event}} {{args}}")
sys.addaudithook(watch)
for name in {names!r}:
    importlib.import_module(name)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(tmp_path.iterdir()) == []


def unsafe(tree: ast.AST) -> list[str]:
    """Ways to run code hidden in data: pickle and friends, eval and exec, unchecked loaders."""
    names = {name.split(".")[0] for name in all_imports(tree)} & {
        "pickle",
        "cloudpickle",
        "dill",
        "shelve",
        "marshal",
    }
    found = sorted(names)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, flags = (
            ast.unparse(node.func),
            {word.arg: ast.unparse(word.value) for word in node.keywords},
        )
        if called in ("eval", "exec", "yaml.load", "joblib.load") or called.endswith("read_pickle"):
            found.append(called)
        if called.endswith("torch.load") and flags.get("weights_only") != "True":
            found.append("torch.load without weights_only=True")
        if flags.get("allow_pickle") == "True" or flags.get("weights_only") == "False":
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("module", TREES)
def test_nothing_from_disk_is_executed(module: str):
    assert unsafe(TREES[module]) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "eval('1')",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)",
    ],
)
def test_the_search_for_unsafe_code_finds_it(line: str):
    assert unsafe(ast.parse(line))


def shared_files() -> list[Path]:
    """Files that are in git or would be added to it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_on_one_machine():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    # Spelt so that this file does not contain them.
    pattern = re.compile(
        "|".join(f"/{word}/" for word in ("work", "root", "home/[a-z]+", "Users", "opt"))
        + r"|\b[C-Z]:\\"
    )
    skipped = {ROOT / "data", ROOT / "LICENSE"}
    for path in shared_files():
        if path.suffix not in (".png", ".parquet") and not skipped & {path, *path.parents}:
            found = pattern.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(ROOT)} names {found and found[0]}"


def test_downloaded_data_stays_out_of_git():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    kept = {path.name for path in shared_files() if (ROOT / "datasets") in path.parents}
    assert all(name.endswith(".dvc") or name == ".gitignore" for name in kept)
    for pointer in (ROOT / "datasets").rglob("*.dvc"):
        content = yaml.safe_load(pointer.read_text())
        assert content["frozen"] is True
        assert len(content["outs"][0]["md5"]) == 32


def test_the_conda_environment_has_the_locks_pins():
    lock = [
        line
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line and line[0] != "#"
    ]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pinned,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pinned == lock
    assert all(re.match(r"[a-z0-9.-]+==[0-9][\w.]*( ; python_version .*)?$", line) for line in lock)


def test_the_lock_pins_every_direct_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = project["dependencies"] + project["optional-dependencies"]["dev"]
    pinned = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert {re.split("[<>=]", name)[0].lower() for name in direct} <= pinned
