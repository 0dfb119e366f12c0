"""Types of databases that give Arrow, as ours are: they have whole numbers as decimals, decimals of one scale, and nanoseconds."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import DataError
from pipeline.ingestion.sources import SourceQuery
from pipeline.lake.tables import MONEY_DECIMALS

_MOST_DIGITS = 38


def fitting_schema(schema: pa.Schema, zone: str) -> pa.Schema:
    """Return the columns with types that ours can hold; times without a zone are instants in `zone`, where one is declared."""
    return pa.schema([pa.field(field.name, _fitting_type(field.type, zone)) for field in schema])


def fitting_batch(batch: pa.RecordBatch, zone: str, query: SourceQuery) -> pa.RecordBatch:
    """Return the rows in the types of `fitting_schema`; raises DataError, about `query`, for a number that does not fit."""
    fitting = fitting_schema(batch.schema, zone)
    try:
        arrays = [_fitting_array(column, field.type, zone) for column, field in zip(batch.columns, fitting, strict=True)]
    except pa.ArrowInvalid:
        what = f"sources/{query.file.name} gives a number that is too large, or has more than {MONEY_DECIMALS} decimals"
        raise DataError(what, where=str(query.file), todo="Round it in the query, or cast it to a double.") from None
    return pa.RecordBatch.from_arrays(arrays, schema=fitting)


def _fitting_type(kind: pa.DataType, zone: str) -> pa.DataType:
    if pa.types.is_decimal(kind):
        return pa.int64() if kind.scale == 0 else pa.decimal128(_MOST_DIGITS, min(kind.scale, MONEY_DECIMALS))
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz or zone else None)
    return kind


def _fitting_array(values: pa.Array, kind: pa.DataType, zone: str) -> pa.Array:
    if values.type == kind:
        return values
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us", values.type.tz), safe=False)
        if kind.tz and not values.type.tz:
            values = pc.assume_timezone(values, zone, ambiguous="earliest", nonexistent="latest")
    return values.cast(kind)
