"""The contract of what a CRM reads, from the declared tables, as the Open Data Contract Standard writes it.

A version is a promise: columns may be added to it, and none is removed, renamed or given another type. Who has to break that declares
the next version's tables beside the old ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.lake.tables import CRM_AUDIENCES, CRM_MEMBERS, CRM_TABLES, Column, Kind, Table

VERSION: Final = "1.0.0"
STANDARD: Final = "v3.1.0"
_LOGICAL: Final = {
    Kind.TEXT: "string",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "number",
    Kind.MONEY: "number",
    Kind.DATE: "date",
    Kind.INSTANT: "timestamp",
    Kind.FLAG: "boolean",
}


def crm_contract() -> dict[str, Any]:
    """Return the contract as a document of ODCS v3."""
    return {
        "apiVersion": STANDARD,
        "kind": "DataContract",
        "id": "customer-segments-crm",
        "name": "Customer segments for a CRM",
        "version": VERSION,
        "status": "active",
        "domain": "marketing",
        "description": {
            "purpose": "What a CRM, an ad platform or a tool that syncs them reads each morning.",
            "usage": "Load rows of crm_profiles and crm_changes whose change_seq is larger than the largest that you have. "
            "A row with is_member = false is a removal.",
            "limitations": "The rows of one publication appear together. Numbers of changes have gaps, and only grow.",
        },
        "servers": [
            {"server": "lake", "type": "local", "path": "lake/current/{model}.parquet", "format": "parquet"},
            {
                "server": "database",
                "type": "postgresql",
                "description": "What [publish] in company.toml names; crm_audiences is in a schema of its own.",
                "host": "localhost",
                "port": 5432,
                "database": "crm",
                "schema": "segments",
            },
        ],
        "schema": [_table(table) for table in CRM_TABLES],
    }


def broken_promises(promised: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what a contract promised and another of the same version does not keep: columns that are gone or of another type."""
    if promised["version"].partition(".")[0] != now["version"].partition(".")[0]:
        return []
    then, there = _types(promised), _types(now)
    return [f"{table}.{column}" for (table, column), kind in then.items() if there.get((table, column)) != kind]


def _types(contract: Mapping[str, Any]) -> dict[tuple[str, str], tuple[object, ...]]:
    return {
        (table["name"], column["name"]): (column["logicalType"], column["physicalType"], column.get("primaryKey", False))
        for table in contract["schema"]
        for column in table["properties"]
    }


def _table(table: Table) -> dict[str, Any]:
    described = {
        "name": table.name,
        "physicalName": table.name,
        "physicalType": "view" if table is CRM_MEMBERS else "table",
        "logicalType": "object",
        "description": table.description,
        "properties": [_column(column, table.key) for column in table.columns],
    }
    return {**described, "tags": ["granted apart"]} if table is CRM_AUDIENCES else described


def _column(column: Column, key: Sequence[str]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": column.name,
        "logicalType": _LOGICAL[column.kind],
        "physicalType": column.kind.sql.lower(),
        "description": column.description,
        "required": column.required or column.name in key,
    }
    if column.name in key:
        described |= {"primaryKey": True, "primaryKeyPosition": key.index(column.name) + 1}
    if column.pii:
        described["classification"] = "personal data"
    return described
