"""What `[source]` of company.toml declares of tables, compared with the tables that the source has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

from pipeline.definitions.company_sections import Source
from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import ConfigError
from pipeline.ingestion.sources.cell_types import cell_type
from pipeline.ingestion.sources.table_files import FileKind, SourceTable
from pipeline.spelling import did_you_mean

_NUMBERS = ("decimal", "thousands")
_KEYS: Mapping[FileKind, tuple[str, ...]] = {
    "Parquet": ("key",),
    "workbook": ("sheet", "header_row", "fill_merged", *_NUMBERS, "key"),
    "JSON lines": ("encoding", *_NUMBERS, "key"),
    "JSON": ("encoding", *_NUMBERS, "key"),
    "SQLite": _NUMBERS,
    "CSV": ("encoding", "separator", "quote", *_NUMBERS, "header_row", "key"),
}


def require_known_tables(source: Source, tables: Mapping[str, SourceTable]) -> None:
    """Raise ConfigError where types or a format are declared for a table that does not have them, or types that are none."""
    texts = [name for name, files in tables.items() if files.kind != "Parquet"]
    for name, types in (source.column_types or {}).items():
        if name not in texts:
            raise _unknown_table(f"source.column_types.{name}", "a table that the source does not have as text", texts)
        for kind in types.values():
            cell_type(name, kind, TableFormat())
    for name, declared in source.formats.items():
        if name not in tables:
            raise _unknown_table(f"source.formats.{name}", "a table that the source does not have", tables)
        _require_fitting_keys(tables[name], declared)


def _unknown_table(section: str, what: str, known: Iterable[str]) -> ConfigError:
    name = section.rpartition(".")[2]
    todo = f"Name one of these, or remove the section: {', '.join(sorted(known))}."
    return ConfigError(f"[{section}] names {what}{did_you_mean(name, known)}", where="company.toml", todo=todo)


def _require_fitting_keys(files: SourceTable, declared: TableFormat) -> None:
    for key in fields(TableFormat):
        if key.name not in _KEYS[files.kind] and getattr(declared, key.name) != key.default:
            what = f"source.formats.{files.name}.{key.name} says nothing of {files.kind} files, which the table has"
            raise ConfigError(
                what, where="company.toml", todo=f"Delete the key; for these files there are: {', '.join(_KEYS[files.kind])}."
            )
