"""Rows about some customers in Parquet files of any table, found by the names and the form of their columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

CUSTOMER = "customer_id"
WHITE_SPACE = " \t\n\v\f\r"  # what is around an id in any place; a no-break space belongs to the id
BATCH_ROWS = 131_072


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of customers, white space around them apart."""

    values: pa.Array

    @classmethod
    def of(cls, ids: Iterable[str]) -> Ids:
        """Return these ids, once each."""
        return cls(pa.array(sorted({each.strip(WHITE_SPACE) for each in ids} - {""}), pa.string()))

    @property
    def texts(self) -> list[str]:
        """The ids as they are."""
        return [str(each) for each in self.values.to_pylist()]

    def marks(self, rows: pa.RecordBatch) -> pa.Array:
        """Return per row whether it is about one of these customers: no row is where no column tells."""
        marks = pa.repeat(pa.scalar(value=False), rows.num_rows)
        for name in telling_columns(rows.schema):
            marks = pc.or_(marks, pc.is_in(pc.ascii_trim_whitespace(_told_ids(rows, name)), value_set=self.values))
        return marks


def telling_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that tell whose rows they are: ids of customers or, where there are none, text that may hold source rows."""
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    return [name for name in texts if name.endswith(CUSTOMER)] or texts


def customer_ids(file: pq.ParquetFile) -> Iterator[pa.Array]:
    """Yield, batch by batch, the ids of the customers whose rows a file holds; with repetitions and nulls."""
    columns = telling_columns(file.schema_arrow)
    for rows in batches(file, columns) if columns else ():
        yield from (_told_ids(rows, name) for name in columns)


def row_count(file: pq.ParquetFile, ids: Ids) -> int:
    """Return how many rows of a file are about these customers."""
    columns = telling_columns(file.schema_arrow)
    return sum(ids.marks(rows).true_count for rows in batches(file, columns)) if columns else 0


def rows_of_others(file: pq.ParquetFile, ids: Ids) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file that are about nobody of these customers, in their order."""
    for rows in batches(file):
        yield rows.filter(pc.invert(ids.marks(rows)))


def batches(file: pq.ParquetFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in batches of bounded size."""
    yield from file.iter_batches(BATCH_ROWS, columns=columns, use_threads=columns is None)


def opened(path: Path) -> pq.ParquetFile:
    """Return the file at `path`, to be read with its page checksums verified."""
    return pq.ParquetFile(path, page_checksum_verification=True)


def _told_ids(rows: pa.RecordBatch, name: str) -> pa.Array:
    texts = rows.column(name)
    return texts if name.endswith(CUSTOMER) else pa.array(map(_id_in_row, texts.to_pylist()), pa.string())


def _id_in_row(text: str | None) -> str | None:
    """Return the id in a source row that is kept as JSON."""
    if not text or not text.startswith("{"):
        return None
    try:
        row: Any = json.loads(text)
    except ValueError:
        return None
    found = row.get(CUSTOMER)
    return found if isinstance(found, str) else None
