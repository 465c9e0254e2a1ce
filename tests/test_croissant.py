"""The Croissant file: rendered from the contract, true to the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from roadworthy import admission, croissant
from roadworthy.config import parse
from roadworthy.data import sha256
from roadworthy.errors import UserError
from roadworthy.settings import Data, File

ROOT = Path(__file__).resolve().parents[1]
HELPDESK = parse(yaml.safe_load((ROOT / "params.yaml").read_text())).data


def test_the_committed_file_is_what_the_contract_and_the_files_say():
    path, content = croissant.text(HELPDESK)
    assert path.read_text(encoding="utf-8") == content, "run `python -m roadworthy croissant`"


def test_every_table_has_its_file_its_columns_and_the_files_hash():
    path, content = croissant.text(HELPDESK)
    described = json.loads(content)
    agreement = admission.of(HELPDESK)
    assert agreement is not None
    tables = {table.physicalName: table for table in agreement.schema_ or []}
    assert {file["@id"] for file in described["distribution"]} == set(tables)
    for file in described["distribution"]:
        assert file["sha256"] == sha256(path.parent / file["contentUrl"])
    for records in described["recordSet"]:
        (table,) = [table for table in tables.values() if table.name == records["name"]]
        names = [field["source"]["extract"]["column"] for field in records["field"]]
        assert names == [column.name for column in table.properties or []]


def test_a_data_set_without_contract_or_file_is_told_so(project: Path):
    data = Data(name="x", files=[File(path="data/x/m.csv")])
    with pytest.raises(UserError, match="has no contract"):
        croissant.text(data)
    folder = project / "data" / "helpdesk"
    folder.mkdir(parents=True)
    source = ROOT / "data" / "helpdesk" / "contract.odcs.yaml"
    (folder / source.name).write_bytes(source.read_bytes())
    with pytest.raises(UserError, match=r"messages\.csv, which is missing"):
        croissant.text(HELPDESK)
