"""Records of fields as a JSON schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import reduce
from typing import Any

from pipeline.definitions.field_records import FieldRecord, FieldRecords, TableKeys

ENTRY = "[]"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"  # what checks TOML against a schema hands a date over as text
_TYPES: Mapping[type, str] = {str: "string", int: "integer", bool: "boolean"}

Path = tuple[str, ...]


def object_schema(records: Sequence[FieldRecords]) -> dict[str, Any]:
    """Return the schema of the files that were read, as far as all of them agree on what is required."""
    return _table_schema((), _merged_records(records))


def _merged_records(records: Sequence[FieldRecords]) -> dict[Path, FieldRecord]:
    """Return the records of several files: a field is required where every file whose table around it was read requires it."""
    merged: dict[Path, FieldRecord] = {}
    tables = [{path[:-1] for path in each.fields} for each in records]
    for path in sorted({path for each in records for path in each.fields}):
        found = [each.fields.get(path) for each, read in zip(records, tables, strict=True) if path[:-1] in read]
        known = [record for record in found if record is not None]
        whole = reduce(FieldRecord.merged_with, known)
        is_required = len(known) == len(found) and all(record.is_required and not record.may_lack for record in known)
        merged[path] = replace(whole, is_required=is_required)
    return merged


def _children(path: Path, records: Mapping[Path, FieldRecord]) -> dict[str, Path]:
    return {other[len(path)]: other[: len(path) + 1] for other in records if len(other) > len(path) and other[: len(path)] == path}


def _table_schema(path: Path, records: Mapping[Path, FieldRecord]) -> dict[str, Any]:
    children = _children(path, records)
    required = [name for name, child in children.items() if child in records and records[child].is_required]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _field_schema(child, records) for name, child in children.items()},
        "additionalProperties": False,
    }
    return {**schema, "required": required} if required else schema


def _named_table_schema(path: Path, records: Mapping[Path, FieldRecord]) -> dict[str, Any]:
    """Return the schema of a table whose keys are names: what is known of any of them holds for all."""
    children = [_field_schema(child, records) for child in _children(path, records).values()]
    return {"type": "object", "additionalProperties": children[0] if children else True}


def _list_schema(path: Path, records: Mapping[Path, FieldRecord]) -> dict[str, Any]:
    children = list(_children(path, records).values())
    if not children:
        return {"type": "array"}
    entry = _table_schema(children[0], records)
    # A list whose entries are told by name may hold the names alone.
    return {"type": "array", "items": entry if children[0][-1] == ENTRY else {"anyOf": [{"type": "string"}, entry]}}


def _field_schema(path: Path, records: Mapping[Path, FieldRecord]) -> dict[str, Any]:
    record = records.get(path, FieldRecord())
    ways = [_scalar_schema(kind, record) for kind in _scalars(record)]
    if list in record.kinds or any(name == ENTRY for name in _children(path, records)):
        ways = [_list_schema(path, records)]
    elif dict in record.kinds or record.holds or _children(path, records):
        is_fixed = record.holds is TableKeys.FIXED
        ways.append(_table_schema(path, records) if is_fixed else _named_table_schema(path, records))
    return ways[0] if len(ways) == 1 else {"anyOf": ways} if ways else {}


def _scalars(record: FieldRecord) -> list[type]:
    kinds = [kind for kind in (str, int, float, bool, date) if kind in record.kinds]
    return [kind for kind in kinds if kind is not int or float not in kinds]


def _scalar_schema(kind: type, record: FieldRecord) -> dict[str, Any]:
    if kind is date:
        return {"type": "string", "pattern": _DATE}
    schema: dict[str, Any] = {"type": "number" if kind is float else _TYPES[kind]}
    if kind is str and record.choices:
        schema["enum"] = list(record.choices)
    if kind is str and record.pattern:
        schema["pattern"] = f"^(?:{record.pattern})$"
    if kind in (int, float):
        schema |= {name: value for name, value in (("minimum", record.low), ("maximum", record.high)) if value is not None}
    return schema
