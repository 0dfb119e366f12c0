"""Arrow rows as the pandas frames that expectations are checked on."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd


def pandas_frame(rows: pa.Table, columns: frozenset[str]) -> pd.DataFrame:
    """Return a pandas frame of the columns that rules read; values are equal in it if and only if they are equal in `rows`."""
    import pandas as pd

    names = [name for name in rows.column_names if name in columns] or rows.column_names[:1]
    # Whole numbers with nulls among them would become floats, which do not tell 2**53 from the next one.
    exact = {pa.int64(): pd.Int64Dtype()}
    compared = {name: _comparable_column(rows[name]) for name in names}
    return pd.DataFrame(
        {
            name: column.to_pandas(date_as_object=False, types_mapper=exact.get if column.null_count else None)
            for name, column in compared.items()
        }
    )


def _comparable_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values in a type that pandas compares a column at a time, where one holds them exactly; else the column itself."""
    with suppress(pa.ArrowInvalid):
        if pa.types.is_date(column.type):
            return column.cast(pa.timestamp("ns"))
        if pa.types.is_integer(column.type) and column.null_count:
            return column.cast(pa.float64())
    return column
