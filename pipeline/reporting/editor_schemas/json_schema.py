"""Records of fields as a JSON schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import reduce
from typing import Any

from pipeline.definitions.field_records import ANY_NAME, ENTRY, FieldRecord, FieldRecords, TableKeys
from pipeline.definitions.fields import IDENTIFIER

_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"  # what checks TOML against a schema hands a date over as text
_TYPES: Mapping[type, str] = {str: "string", int: "integer", bool: "boolean"}

Path = tuple[str, ...]


def object_schema(records: Sequence[FieldRecords]) -> dict[str, Any]:
    """Return the schema of the files that were read, as far as all of them agree on what is required."""
    return _table_schema((), _merged_records(_with_names_alike(records)))


def named_tables_schema(records: Sequence[FieldRecords]) -> dict[str, Any]:
    """Return the schema of files that are tables of one kind, under names that whoever writes them chooses."""
    top = FieldRecords({(): FieldRecord(holds=TableKeys.NAMED, pattern=IDENTIFIER), (ANY_NAME,): FieldRecord(holds=TableKeys.FIXED)})
    return _table_schema((), _merged_records(_with_names_alike([top, *records])))


def _with_names_alike(records: Sequence[FieldRecords]) -> list[FieldRecords]:
    """Return the records with all that is known of any name of a table as known of every name."""
    named = {path for each in records for path, record in each.fields.items() if record.holds is TableKeys.NAMED}
    found = [FieldRecords() for _ in records]
    for each, alike in zip(records, found, strict=True):
        for path, record in each.fields.items():
            alike.note(tuple(ANY_NAME if path[:place] in named else part for place, part in enumerate(path)), record)
    return found


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
    children, record = _children(path, records), records.get(path, FieldRecord())
    any_name = children.pop(ANY_NAME, None)
    schema: dict[str, Any] = {"type": "object"}
    if children:
        schema["properties"] = {name: _field_schema(child, records) for name, child in children.items()}
    schema["additionalProperties"] = _field_schema(any_name, records) if any_name else False
    if record.holds is TableKeys.NAMED and record.pattern:
        schema["propertyNames"] = {"pattern": f"^(?:{record.pattern})$"}
    if required := [name for name, child in children.items() if child in records and records[child].is_required]:
        schema["required"] = required
    return schema


def _list_schema(path: Path, records: Mapping[Path, FieldRecord]) -> dict[str, Any]:
    count = records.get(path, FieldRecord()).count
    length = {} if count is None else {"minItems": count, "maxItems": count}
    children = list(_children(path, records).values())
    if not children:
        return {"type": "array", **length}
    first = children[0]
    if first[-1] != ENTRY:  # a list whose entries are told by name may hold the names alone
        return {"type": "array", "items": {"anyOf": [{"type": "string"}, _table_schema(first, records)]}}
    is_scalar = bool(records.get(first, FieldRecord()).kinds)
    return {"type": "array", "items": _field_schema(first, records) if is_scalar else _table_schema(first, records), **length}


def _field_schema(path: Path, records: Mapping[Path, FieldRecord]) -> dict[str, Any]:
    record = records.get(path, FieldRecord())
    ways = [_scalar_schema(kind, record) for kind in _scalars(record)]
    if list in record.kinds or any(name == ENTRY for name in _children(path, records)):
        ways.append(_list_schema(path, records))
    elif dict in record.kinds or record.holds or _children(path, records):
        ways.append(_table_schema(path, records))
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
