"""Which columns a query must give for a table, and their conversion to its types, which loses nothing and guesses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyarrow import types
from sqlglot import exp

from pipeline.errors import ConfigError, SchemaDrift
from pipeline.ingestion.infinite_amounts import amounts_of_texts
from pipeline.ingestion.sources import SourceQuery
from pipeline.ingestion.sources.query_columns import expression_text
from pipeline.lake.tables import CUSTOMER_ID, MONEY_DECIMALS, SOURCE_TABLES, Column, Kind, Table
from pipeline.spelling import did_you_mean


def check_columns(table: Table, found: pa.Schema, query: SourceQuery, zone: ZoneInfo) -> None:
    """Refuse a query that lacks a required column or gives a type that cannot be stored exactly.

    Raises SchemaDrift naming every such column, or ConfigError where two columns have one name.
    """
    # First of all: of two columns of one name none can be looked up.
    for name in found.names:
        if found.names.count(name) > 1:
            raise ConfigError(f"{query.name} has two columns named {name}", where=str(query.file), todo="Select it once.")
    if faults := column_faults(table, found, query, zone):
        raise _schema_drift(
            "\n".join(f"{fault.what}: {fault.remedy}" if fault.remedy else fault.what for fault in faults), table, found, query
        )


@dataclass(frozen=True, slots=True)
class ColumnFault:
    """What is wrong with columns of a query, and what to write instead; nothing where that depends on what is lacking."""

    column: str
    what: str
    remedy: str = ""


def column_faults(table: Table, found: pa.Schema, query: SourceQuery, zone: ZoneInfo) -> list[ColumnFault]:
    """Return what `check_columns` refuses of columns that have each a name of their own."""
    lacking = [column.name for column in table.columns if column.required and column.name not in found.names]
    spare = [name for name in found.names if name not in table.column_names]
    wrong = ", ".join(f"{name}{did_you_mean(name, spare)}" for name in lacking)
    given = (column for column in table.columns if column.name in found.names)
    faults = [_column_fault(table, column, found.field(column.name), query, zone) for column in given]
    return [*([ColumnFault("", f"{query.name} lacks {wrong}")] if lacking else []), *filter(None, faults)]


def ignored_columns(table: Table, found: pa.Schema) -> str:
    """Return the names of columns that `table` does not declare, comma separated."""
    return ",".join(sorted(set(found.names) - set(table.column_names)))


def conform_batch(batch: pa.RecordBatch, table: Table, query: SourceQuery) -> pa.RecordBatch:
    """Convert `batch` to the columns and types of `table`; a column that it lacks is all null.

    Raises SchemaDrift where a value does not fit; never rounds, wraps or clamps one.
    """
    arrays = [_converted_column(batch, column, query) for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def is_exact_number(kind: pa.DataType) -> bool:
    """Return whether the type is PostgreSQL's NUMERIC without a declared scale, which arrives as text."""
    return isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric"


def _fits_money(kind: pa.DataType) -> bool:
    return types.is_integer(kind) or is_exact_number(kind) or (types.is_decimal(kind) and kind.scale <= MONEY_DECIMALS)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


_ACCEPTED: dict[Kind, Callable[[pa.DataType], bool]] = {
    Kind.TEXT: _is_text,
    Kind.INTEGER: types.is_integer,
    Kind.NUMBER: lambda kind: types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or is_exact_number(kind),
    Kind.MONEY: _fits_money,
    Kind.DATE: types.is_date32,
    Kind.INSTANT: lambda kind: types.is_timestamp(kind) and kind.tz is not None,
    Kind.FLAG: types.is_boolean,
}


# Here a comparison gives 1 or 0.
_WITHOUT_FLAGS = ("mysql", "tsql")
# Types of times that know no zone; [source] says which one it is.
_LOCAL_TIMES = {"mysql": "DATETIME(6)", "tsql": "DATETIME2", "snowflake": "TIMESTAMP_NTZ", "bigquery": "DATETIME", "spark": "TIMESTAMP_NTZ"}
_MYSQL_TYPES = {Kind.TEXT: "CHAR", Kind.INTEGER: "SIGNED", Kind.NUMBER: "DOUBLE", Kind.FLAG: "SIGNED"}
# The narrowest first: whole numbers fit four of them.
_KINDS_TO_DECLARE = (Kind.FLAG, Kind.INTEGER, Kind.MONEY, Kind.NUMBER, Kind.DATE, Kind.INSTANT, Kind.TEXT)


def _column_fault(table: Table, column: Column, found: pa.Field, query: SourceQuery, zone: ZoneInfo) -> ColumnFault | None:
    is_flag = column.kind is Kind.FLAG and query.dialect in _WITHOUT_FLAGS and types.is_integer(found.type)
    if types.is_null(found.type) or is_flag or _ACCEPTED[column.kind](found.type):
        return None
    name = f"{query.name}.{column.name}"
    words = f"{name} is {_type_words(found.type)}, declared {column.kind.words}"
    write = _remedy(column, found.type, query, zone)
    section = _declaring_section(table, column, query)
    if not section:
        return ColumnFault(column.name, words, write)
    fitting = next((kind for kind in _KINDS_TO_DECLARE if _ACCEPTED[kind](found.type)), None)
    declare = f'declare `kind = "{fitting.name.lower()}"` under [{section}] of company.toml' if fitting else ""
    remedies = [declare, write] if column.kind is Kind.TEXT else [write, declare]
    return ColumnFault(column.name, words, ", or ".join(filter(None, remedies)))


def _declaring_section(table: Table, column: Column, query: SourceQuery) -> str:
    """Return where `company.toml` declares the kind of the column: of an attribute, or of an event; empty for a column of ours."""
    if query.name in SOURCE_TABLES:
        return "" if column.name in SOURCE_TABLES[query.name].column_names else f"attributes.{column.name}"
    return "" if column.name in {CUSTOMER_ID.name, table.instant} else f"events.{query.name}.columns.{column.name}"


def _remedy(column: Column, found: pa.DataType, query: SourceQuery, zone: ZoneInfo) -> str:
    """Return what makes the column of its kind: what to write, or that times of this database have a zone."""
    if column.kind is Kind.INSTANT and query.dialect in _LOCAL_TIMES:
        declare = f'declare `time_zone = "{zone.key}"` under [source] of company.toml, if that is the zone of its times'
        written = _cast_of_dialect(column, _LOCAL_TIMES[query.dialect], query)
        return declare if types.is_timestamp(found) else f"write {written}, and {declare}"
    return f"write {_cast_to_write(column, found, query, zone)}"


def _cast_of_dialect(column: Column, sql: str, query: SourceQuery) -> str:
    return f"`CAST({expression_text(query.text, query.dialect, column.name)} AS {sql}) AS {column.name}`"


def _cast_to_write(column: Column, found: pa.DataType, query: SourceQuery, zone: ZoneInfo) -> str:
    """Return what to write in the place of the column in the query, in the words that stand there now."""
    given = expression_text(query.text, query.dialect, column.name)
    if column.kind is Kind.INSTANT:
        moment = given if types.is_timestamp(found) else f"CAST({given} AS TIMESTAMP)"
        return f"`{moment} AT TIME ZONE '{zone.key}' AS {column.name}`"
    sql = "DOUBLE PRECISION" if column.kind is Kind.NUMBER else column.kind.sql
    if query.dialect == "mysql":
        sql = _MYSQL_TYPES.get(column.kind, sql)
    elif query.dialect in _LOCAL_TIMES:
        sql = exp.DataType.build(column.kind.sql, dialect="duckdb").sql(query.dialect)
    return _cast_of_dialect(column, sql, query)


def _type_words(kind: pa.DataType) -> str:
    if types.is_timestamp(kind):
        return "TIMESTAMP without a time zone"
    if isinstance(kind, pa.OpaqueType):
        return str(kind.type_name)
    if types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if _is_text(kind):
        return "text"
    names = {pa.float64(): "DOUBLE", pa.float32(): "REAL", pa.date32(): "DATE", pa.bool_(): "BOOLEAN"}
    return names.get(kind, f"a whole number ({kind})" if types.is_integer(kind) else str(kind))


def _schema_drift(what: str, table: Table, found: pa.Schema, query: SourceQuery) -> SchemaDrift:
    has, declared = ", ".join(found.names), ", ".join(table.column_names)
    return SchemaDrift(what, where=str(query.file), todo=f"Edit the query. It gives: {has}. Declared are: {declared}.")


def _converted_column(batch: pa.RecordBatch, column: Column, query: SourceQuery) -> pa.Array:
    if column.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, column.kind.arrow)
    try:
        return _cast_exactly(batch.column(column.name), column.kind)
    except pa.ArrowInvalid:
        raise SchemaDrift(
            f"{query.name}.{column.name} holds a value that no {column.kind.words} can hold: too large, too precise, or no number",
            where=str(query.file),
            todo=f"Find it in the source, then round, correct or empty it in the query; stored as {column.kind.sql}.",
        ) from None


def _cast_exactly(values: pa.Array, kind: Kind) -> pa.Array:
    # Exact numbers without a scale come as text within an extension type, which Arrow does not cast.
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    # Arrow casts integers only to decimals wide enough for the largest of their type.
    if kind is Kind.MONEY and types.is_integer(values.type):
        values = values.cast(pa.decimal256(76, MONEY_DECIMALS))
    if kind is Kind.NUMBER and types.is_decimal(values.type):
        values = values.cast(pa.string())  # read back as the nearest double, whatever the scale
    try:
        return values.cast(kind.arrow)
    except pa.ArrowInvalid:
        if kind is Kind.MONEY and types.is_string(values.type):
            return amounts_of_texts(values)  # tried second: nearly all amounts are finite
        raise
