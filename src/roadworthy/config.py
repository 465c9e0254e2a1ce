"""conf/ is the source of truth; params.yaml is its composed snapshot, the file that DVC watches.

``python -m roadworthy config [--check] [OVERRIDE ...]`` writes it (or, with ``--check``, compares).
``conf("audit")`` composes one section for a notebook that is run by hand.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from roadworthy.errors import UserError
from roadworthy.rules import check
from roadworthy.settings import Settings

HEADER = "# Generated from conf/ by `python -m roadworthy config`: edit conf/, not this file.\n"


def root() -> Path:
    """The project's root: the nearest folder above the working directory that holds dvc.yaml.

    Not DVC_ROOT: in ``dvc exp run --temp`` that variable names the parent repository.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").exists():
            return folder
    raise UserError(f"no dvc.yaml in {here} or above it: change into the project's folder")


def compose(overrides: Iterable[str] = ()) -> dict[str, Any]:
    """conf/ composed by Hydra, not yet validated."""
    folder = root() / "conf"
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            tree = OmegaConf.to_container(hydra_compose("config", overrides=list(overrides)))
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        message = " ".join(str(error).split()).partition(" Config search path")[0]
        if "append" in message:
            message += " (with the +, also for a setting that conf/ leaves at its default)"
        raise UserError(f"conf/ cannot be composed: {message}") from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _known_keys(schema: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401 - walks any dataclass
    for spec in fields(schema):
        yield prefix + spec.name
        value = getattr(schema, spec.name, None)
        if is_dataclass(value):
            yield from _known_keys(value, f"{prefix}{spec.name}.")


PLAIN = {
    "is not a ListConfig": "needs a list: [one, another]",
    "is not a subclass of File": "needs a mapping: {path: data/NAME/FILE.csv}",
    "has missing mandatory value": "is missing: the file in conf/ has to give it",
}
"""What OmegaConf says of its own classes, and what it means here."""


def _explain(error: OmegaConfBaseException) -> str:
    """One line from OmegaConf's exception: the full key, what is wrong, the closest known key."""
    key = error.full_key or str(error.key or "")
    message = (error.msg or str(error)).splitlines()[0]
    message = next((said for sign, said in PLAIN.items() if sign in message), message)
    near = difflib.get_close_matches(key, list(_known_keys(Settings())), n=1)
    hint = f"; did you mean '{near[0]}'?" if near and "not in" in message else ""
    return f"{key}: {message}{hint}"


def parse(tree: dict[str, Any]) -> Settings:
    """The typed settings of a composed tree.

    Raises:
        UserError: unknown key, missing or mistyped value, value out of range; names the key and the
            value.

    """
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Settings), tree)
        settings = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(f"config: {_explain(error)}") from error
    assert isinstance(settings, Settings)
    check(settings)
    return settings


def validate(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with every default filled in and every value normalised.

    Raises as ``parse`` does.
    """
    return asdict(parse(tree))


def conf(section: str, *overrides: str) -> Any:  # noqa: ANN401 - a section is a mapping or a number
    """One section of conf/ as it stands now, for a notebook that is run by hand.

    Under the runner only sections that dvc.yaml declares for the stage may be asked for: DVC would
    not notice any other change. ROADWORTHY_OVERRIDES (tests: ``profile=smoke``) applies to every
    call.
    """
    declared = os.environ.get("ROADWORTHY_SECTIONS")
    if declared is not None and section not in declared.split():
        raise UserError(
            f"section '{section}' is not among this stage's params in dvc.yaml: add it there"
        )
    tree = validate(compose([*os.environ.get("ROADWORTHY_OVERRIDES", "").split(), *overrides]))
    if section not in tree:
        raise UserError(f"there is no section '{section}' in conf/: choose from {', '.join(tree)}")
    return tree[section]


def typed(**sections: Any) -> SimpleNamespace:  # noqa: ANN401
    """Sections as a notebook holds them, plain mappings, as validated dataclasses by name."""
    settings = parse(compose() | sections)
    return SimpleNamespace(**{name: getattr(settings, name) for name in sections})


def flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """(dotted key, value) of every leaf; a list is a leaf."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from flat(value, f"{prefix}{key}.")
    else:
        yield prefix.rstrip("."), node


def table(**sections: Any) -> pd.DataFrame:  # noqa: ANN401
    """The given sections as a two-column table, for showing in a notebook."""
    rows = [(key, str(value)) for key, value in flat(sections) if value not in (None, "", [], {})]
    return pd.DataFrame(rows, columns=["setting", "value"]).set_index("setting")


def _read_params(path: Path) -> dict[str, Any]:
    """The tree in params.yaml; empty where there is none."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            f"params.yaml is not valid YAML ({' '.join(str(error).split())}): delete it"
        ) from error
    return tree if isinstance(tree, dict) else {}


def recorded_tree() -> dict[str, Any]:
    """What params.yaml holds: the settings of the last run, not validated anew.

    Raises:
        UserError: the file is missing, empty or no YAML.
    """
    tree = _read_params(root() / "params.yaml")
    if not tree:
        raise UserError("params.yaml is missing or empty: run `python -m roadworthy config` first")
    return tree


def recorded() -> Settings:
    """The typed settings of the last run; raises as ``recorded_tree`` and ``parse`` do."""
    return parse(recorded_tree())


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for each leaf that differs."""
    before, after = dict(flat(old)), dict(flat(new))
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return [f"  {key}: {before.get(key, '-')} -> {after.get(key, '-')}" for key in changed]


def refresh(overrides: list[str], check: bool) -> tuple[str, int]:
    """Write params.yaml (or only compare it); returns the message and the exit code.

    Inside ``dvc exp run`` DVC has just composed params.yaml with the experiment's -S options: then
    it is validated and normalised, not composed anew, or the options would be lost.
    """
    path = root() / "params.yaml"
    have = _read_params(path)
    experiment = os.environ.get("DVC_EXP_NAME")
    keep = bool(experiment and have and not overrides and not check)
    want = validate(have if keep else compose(overrides))
    changes = differences(have, want)
    if check:
        body = "differs from conf/:\n" + "\n".join(changes) if changes else "matches conf/"
        return f"config: params.yaml {body}", int(bool(changes))
    text = HEADER + yaml.safe_dump(want, sort_keys=False, allow_unicode=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        draft = path.with_name("params.yaml.draft")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    origin = f"experiment {experiment}" if keep else "conf/"
    listing = "\n" + "\n".join(changes) if have and changes and not keep else ""
    return f"config: params.yaml from {origin}" + (listing or " written"), 0
