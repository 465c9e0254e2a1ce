"""A Croissant description of a data set, rendered from its contract.

Run as `python -m roadworthy croissant`. Croissant (MLCommons, version 1.0) is JSON-LD that data
catalogues and loaders read. Columns and their meaning come from the contract, hashes from the
files, so nothing is written twice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject

from roadworthy import admission, drafts
from roadworthy.config import conf, root, typed
from roadworthy.data import sha256
from roadworthy.errors import UserError
from roadworthy.settings import Data

NAME = "croissant.json"
VERSION = "http://mlcommons.org/croissant/1.0"
TYPES = {
    "string": "sc:Text",
    "integer": "sc:Integer",
    "number": "sc:Float",
    "boolean": "sc:Boolean",
    "date": "sc:Date",
    "timestamp": "sc:DateTime",
}
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def _file(table: SchemaObject, folder: Path) -> dict[str, Any]:
    name = str(table.physicalName)
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": table.description or name,
        "contentUrl": name,
        "encodingFormat": "text/csv",
        "sha256": sha256(folder / name),
    }


def _records(table: SchemaObject) -> dict[str, Any]:
    columns = table.properties or []
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{table.name}/{column.name}",
            "name": column.name,
            "description": column.description or column.name,
            "dataType": TYPES[column.logicalType or "string"],
            "source": {
                "fileObject": {"@id": table.physicalName},
                "extract": {"column": column.name},
            },
        }
        for column in columns
    ]
    key = [{"@id": f"{table.name}/{column.name}"} for column in columns if column.primaryKey]
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.description or table.name,
        **({"key": key[0]} if len(key) == 1 else {}),
        "field": fields,
    }


def describe(agreement: OpenDataContractStandard, folder: Path, data: Data) -> dict[str, Any]:
    """Give the Croissant description of the files that a contract names, all below ``folder``."""
    tables = agreement.schema_ or []
    links = {link.type: link.url for link in agreement.authoritativeDefinitions or []}
    about = agreement.description
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": data.name,
        "description": f"{data.title}. {(about.limitations or '') if about else ''}".strip(),
        "license": links.get("licence", data.licence),
        "creator": {"@type": "Organization", "name": data.owner},
        "datePublished": str(agreement.contractCreatedTs or "")[:10],
        "version": agreement.version,
        "distribution": [_file(table, folder) for table in tables],
        "recordSet": [_records(table) for table in tables],
    }


def text(data: Data) -> tuple[Path, str]:
    """Give the path and content of a data set's Croissant file, which lies beside its contract.

    Raises:
        UserError: the data set has no contract, or a file that it names is missing.
    """
    agreement = admission.of(data)
    if agreement is None or data.contract is None:
        raise UserError(f"data set '{data.name}' has no contract: name one in data.contract")
    folder = (root() / data.contract).parent
    try:
        content = describe(agreement, folder, data)
    except FileNotFoundError as error:
        raise UserError(f"the contract names {error.filename}, which is missing") from error
    return folder / NAME, json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def refresh() -> Path:
    """Write the Croissant file of the configured data set, by renaming."""
    path, content = text(typed(data=conf("data")).data)
    drafts.write_text(path, content)
    return path
