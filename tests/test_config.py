"""conf/ composes and validates for every option; what is wrong is named, with its key and value."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from roadworthy import config
from roadworthy.config import (
    compose,
    conf,
    differences,
    flat,
    parse,
    refresh,
    table,
    typed,
    validate,
)
from roadworthy.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
DEFAULTS = yaml.safe_load((ROOT / "conf" / "config.yaml").read_text())["defaults"]
USED = {
    f"{group}={name}" for entry in DEFAULTS if entry != "_self_" for group, name in entry.items()
}
FOUND = {f"{path.parent.name}={path.stem}" for path in (ROOT / "conf").glob("*/*.yaml")}
OTHERS = sorted(FOUND - USED)
PINNED = {"name": "x", "files": [{"path": "datasets/x.csv", "sha256": "0" * 64}]}


@pytest.fixture
def copy(project: Path) -> Path:
    """A project with its own copy of conf/."""
    shutil.copytree(ROOT / "conf", project / "conf")
    return project


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    """conf/ as it is by default; composed once, as Hydra takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return compose()


def changed(base: dict[str, Any], value: str) -> dict[str, Any]:
    """The default tree with one value set, as ``-S`` would set it."""
    return OmegaConf.to_container(OmegaConf.merge(base, OmegaConf.from_dotlist([value])))  # type: ignore[return-value]


def test_every_group_has_its_default(base: dict[str, Any]):
    assert USED <= FOUND
    groups = {group.name for group in (ROOT / "conf").iterdir() if group.is_dir()}
    assert set(validate(base)) == groups - {"profile"} | {"seed"}


@pytest.mark.parametrize("option", OTHERS)
def test_every_other_option_composes_and_validates(option: str, base: dict[str, Any]):
    assert set(validate(compose([option]))) == set(base)


def test_validate_is_idempotent_and_fills_in_defaults(base: dict[str, Any]):
    tree = validate(base)
    assert validate(tree) == tree
    assert tree["audit"]["jaccard"] == 0.8


def test_numbers_are_normalised(base: dict[str, Any]):
    whole, point = (changed(base, f"finetune.lora.alpha={text}") for text in ("9", "9.0"))
    assert validate(whole) == validate(point)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("clean.foldz=3", ["foldz"]),
        ("clean.folds=many", ["clean.folds", "many"]),
        ("clean.folds=2.5", ["clean.folds", "2.5"]),
        ("clean.folds=1", ["clean.folds", "= 1", "from 2 to 20"]),
        ("finetune.precision=fp8", ["finetune.precision", "fp8", "bf16-mixed"]),
        (
            "data.files=[{path: ../secret.csv}]",
            ["data.files[0].path", "../secret.csv", "leaves the project"],
        ),
        ("data.files=[{path: /etc/passwd}]", ["/etc/passwd", "leaves the project"]),
        ("data.files=data/x.csv", ["data.files: needs a list"]),
        ("data.files=[x.csv]", ["data.files[0]: needs a mapping: {path:"]),
        ("data.slices=[[channel]]", ["data.slices", "a list of plain values"]),
        ("clean.tuned.folds=1", ["clean.tuned.folds = 1"]),
        ("data.files=[{path: data/../../x.csv}]", ["leaves the project"]),
        ("data.files=[{path: datasets/x.csv}]", ["data.files[0].sha256", "SHA-256"]),
        ("data.files=[{path: datasets/x.csv, sha256: abc}]", ["data.files[0].sha256", "'abc'"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(
    value: str, words: list[str], base: dict[str, Any]
):
    with pytest.raises(UserError) as caught:
        parse(changed(base, value))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data=nowhere", ["nowhere", "helpdesk"]),
        ("seed=[1,2", ["conf/ cannot be composed"]),
        ("cost=3", ["conf/ cannot be composed"]),
        ("clean.foldz=3", ["clean.foldz"]),
    ],
)
def test_what_hydra_refuses_is_one_line(override: str, words: list[str]):
    with pytest.raises(UserError) as caught:
        compose([override])
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("key", ["finetune", "clean.tuned.recipe"])
def test_half_precision_on_a_processor_is_refused(key: str, base: dict[str, Any]):
    """Lightning takes bf16 instead, without a word in the record."""
    half = changed(base, f"{key}.precision=16-mixed")
    with pytest.raises(UserError, match=rf"config: {key}\.precision = '16-mixed' needs a GPU"):
        parse(changed(half, "encoder.accelerator=cpu"))
    assert parse(changed(half, "encoder.accelerator=gpu"))
    assert parse(half)  # auto: only the machine that trains knows


def test_a_pinned_file_outside_data_is_accepted(base: dict[str, Any]):
    assert parse(base | {"data": PINNED}).data.files[0].path == "datasets/x.csv"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_threshold_must_be_a_finite_number(value: str, base: dict[str, Any]):
    criteria = [dict(one) for one in base["readiness"]["criteria"]]
    criteria[1]["threshold"] = float(value)
    said = rf"criteria\[1\]\.threshold = {value} of criterion '{criteria[1]['name']}'"
    with pytest.raises(UserError, match=said):
        parse(base | {"readiness": base["readiness"] | {"criteria": criteria}})


def test_a_misspelt_key_gets_a_suggestion(base: dict[str, Any]):
    with pytest.raises(UserError, match=re.escape("did you mean 'clean.folds'?")):
        parse(changed(base, "clean.fold=3"))


def test_conf_gives_one_section_and_obeys_the_declared_ones(monkeypatch: pytest.MonkeyPatch):
    assert conf("seed", "seed=7") == 7
    monkeypatch.setenv("ROADWORTHY_OVERRIDES", "profile=smoke seed=3")
    assert (conf("seed"), conf("clean")["folds"]) == (3, 2)
    monkeypatch.setenv("ROADWORTHY_SECTIONS", "seed clean")
    with pytest.raises(UserError, match="'cost' is not among this stage's params"):
        conf("cost")


def test_an_unknown_section_is_refused():
    with pytest.raises(UserError, match="no section 'clena'"):
        conf("clena")


def test_typed_sections_come_back_as_dataclasses():
    settings = typed(clean=conf("clean") | {"folds": 4}, seed=5)
    assert (settings.clean.folds, settings.seed) == (4, 5)


def test_table_lists_every_value_that_is_set():
    assert table(clean={"folds": 4, "note": ""}, seed=5)["value"].to_dict() == {
        "clean.folds": "4",
        "seed": "5",
    }


def test_flat_and_differences_name_dotted_keys():
    assert dict(flat({"a": {"b": 1}, "c": [1]})) == {"a.b": 1, "c": [1]}
    assert differences({"a": {"b": 1}}, {"a": {"b": 2}, "c": 3}) == ["  a.b: 1 -> 2", "  c: - -> 3"]


def test_root_is_found_from_a_folder_below(project: Path, monkeypatch: pytest.MonkeyPatch):
    (project / "notebooks").mkdir()
    monkeypatch.chdir(project / "notebooks")
    monkeypatch.setenv("DVC_ROOT", "/somewhere/else")
    assert config.root() == project


def test_no_project_here_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no dvc\.yaml"):
        config.root()


def test_refresh_writes_and_check_compares(copy: Path):
    assert refresh([], check=True)[1] == 1
    assert refresh([], check=False)[1] == 0
    text = (copy / "params.yaml").read_text()
    assert yaml.safe_load(text) == validate(compose())
    assert refresh([], check=True) == ("config: params.yaml matches conf/", 0)
    refresh([], check=False)
    assert (copy / "params.yaml").read_text() == text
    (copy / "params.yaml").write_text(text.replace("\nseed: 0", "\nseed: 9"))
    message, code = refresh([], check=True)
    assert code == 1
    assert "seed: 9 -> 0" in message


def test_an_experiment_keeps_what_dvc_has_composed(copy: Path, monkeypatch: pytest.MonkeyPatch):
    refresh(["seed=9"], check=False)
    monkeypatch.setenv("DVC_EXP_NAME", "trial")
    message, code = refresh([], check=False)
    assert (code, yaml.safe_load((copy / "params.yaml").read_text())["seed"]) == (0, 9)
    assert "experiment trial" in message
    monkeypatch.delenv("DVC_EXP_NAME")
    assert "seed: 9 -> 0" in refresh([], check=False)[0]


def test_an_experiment_with_a_wrong_value_is_refused_and_changes_nothing(
    copy: Path, monkeypatch: pytest.MonkeyPatch
):
    refresh([], check=False)
    broken = (copy / "params.yaml").read_text().replace("folds: 5", "folds: 1")
    (copy / "params.yaml").write_text(broken)
    monkeypatch.setenv("DVC_EXP_NAME", "trial")
    with pytest.raises(UserError, match=re.escape("clean.folds = 1")):
        refresh([], check=False)
    assert (copy / "params.yaml").read_text() == broken


def test_own_data_needs_one_file_only(copy: Path):
    (copy / "conf" / "data" / "mine.yaml").write_text(
        "name: mine\nfiles:\n  - path: data/mine/mail.csv\nlabel: topic\n"
    )
    assert parse(compose(["data=mine"])).data.label == "topic"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("baseline.architectures=[]", r"baseline\.architectures is empty"),
        ("baseline.architectures=[probe,probe]", "names something twice"),
        ("baseline.architectures=[probe,prob]", "'prob' is unknown; there are majority, keyword"),
        ("+cost.factors=[0.5,0]", "each must be a number above 0"),
        ("audit.as_of=soon", r"audit\.as_of = 'soon' is not a date \(YYYY-MM-DD\)"),
        ("cost.prices_as_of=2026-13-01", r"cost\.prices_as_of = '2026-13-01' is not a date"),
        ("cost.apis.0.prices_as_of=May", r"cost\.apis\[0\]\.prices_as_of = 'May' is not a date"),
        ("+baseline.endpoint.key_variable=sk-abc", "never the key itself"),
        ("+baseline.endpoint.base_url=https://me:pw@host/v1", "without name, password or query"),
        ("+baseline.endpoint.base_url=host/v1", "must look like https://host/v1"),
        ("audit.jaccard=0.9", "also for a setting that conf/ leaves at its default"),
    ],
)
def test_lists_and_absent_keys(override: str, message: str):
    with pytest.raises(UserError, match=message):
        parse(compose([override]))


def test_recorded_reads_the_last_run_and_names_what_is_wrong(copy: Path):
    path = copy / "params.yaml"
    with pytest.raises(UserError, match="missing or empty"):
        config.recorded()
    path.write_text("a: [1\n<<<<<<< HEAD\n")
    with pytest.raises(UserError, match="not valid YAML"):
        config.recorded()
    path.write_text(yaml.safe_dump(validate(compose(["seed=7"]))))
    assert config.recorded().seed == 7
