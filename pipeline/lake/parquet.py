"""Rows to bytes: one Parquet file whose bytes depend on its rows alone, sealed by checksums that whoever reads it verifies first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.lake.checksums import MANIFEST_KEY, read_seal, seal_file
from pipeline.lake.row_group_writer import RowGroupWriter, open_row_group_writer
from pipeline.lake.tables import VERSION_COLUMNS

# As many as DuckDB returns at once: groups of another size are pieced together, which copies every value.
ROW_GROUP_ROWS = 122_880
# Tables of customers' days are read by ranges of ids. Smaller groups let a reader skip more of them, and ids that hardly repeat
# are larger in a dictionary than without one.
DAYS_OF_CUSTOMERS = ["customer_id", "order_day"]
DAYS_GROUP_ROWS = ROW_GROUP_ROWS // 4
SETTINGS = {
    "compression": "zstd",
    "compression_level": 1,
    # Amounts have 18 digits, which fit a 64-bit integer: less to write and to decode than the byte arrays that are the default.
    "store_decimal_as_integer": True,
    "version": "2.6",
    "data_page_version": "1.0",
    "write_page_checksum": True,
}
# Below, starting threads takes longer than decoding.
ROWS_WORTH_THREADS = 16_384


def write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path, manifest: Mapping[str, Any]) -> int:
    """Write `batches` as one Parquet file whose footer holds `manifest`; return its row count. Same rows, same bytes."""
    rows, group_rows = 0, rows_per_group(schema)
    with sealed_writer(path, schema, **writer_settings(schema)) as writer:
        for block in _full_row_groups(schema, batches, group_rows):
            writer.write(block)
            rows += block.num_rows
        facts = {**manifest, "row_count": rows}
        writer.add_metadata({MANIFEST_KEY: json.dumps(facts, sort_keys=True, default=str).encode()})
    return rows


@contextmanager
def sealed_writer(path: Path, schema: pa.Schema, **settings: object) -> Iterator[RowGroupWriter]:
    """Yield a writer of the Parquet file `path`, which is sealed at the end by checksums of all its bytes."""
    with open_row_group_writer(path, schema, **settings) as writer:
        yield writer
    seal_file(path)


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest in the footer of a file of ours; raises ValueError where the footer is damaged."""
    content: dict[str, Any] = json.loads(read_seal(path).manifest)
    return content


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of all bytes of a file, in hexadecimal: what manifests of publications say of their tables."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def content_digest(path: Path) -> str:
    """Return a digest of a file of ours from its footer and its seal, which has the checksum of every byte; raises ValueError as above."""
    return read_seal(path).digest


def rows_per_group(schema: pa.Schema) -> int:
    """Return how many rows a full row group of these columns has."""
    return DAYS_GROUP_ROWS if _has_days_of_customers(schema) else ROW_GROUP_ROWS


def writer_settings(schema: pa.Schema) -> dict[str, Any]:
    """Return the options of the Parquet writer for files of these columns."""
    in_dictionaries = [name for name in schema.names if name != "customer_id"] if _has_days_of_customers(schema) else True
    return {**SETTINGS, "use_dictionary": in_dictionaries}


def _has_days_of_customers(schema: pa.Schema) -> bool:
    versions = {column.name for column in VERSION_COLUMNS}
    return [name for name in schema.names if name not in versions][:2] == DAYS_OF_CUSTOMERS


def _full_row_groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch], group_rows: int) -> Iterator[pa.Table]:
    """Regroup batches into full row groups, so that bytes do not depend on how rows arrived."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(as_schema(batch, schema))
        count += batch.num_rows
        while count >= group_rows:
            merged = pa.concat_tables(waiting)
            yield merged.slice(0, group_rows).combine_chunks()
            waiting, count = [merged.slice(group_rows)], count - group_rows
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def as_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """Return the columns of `schema`, with its types."""
    # `pa.table(batch)` would import pandas, to see whether it was given a data frame.
    table = pa.Table.from_batches([batch.select(schema.names)])
    return table if table.schema == schema else table.cast(schema)


def sorted_by(table: pa.Table, columns: Iterable[str]) -> pa.Table:
    """Return the rows of `table` in ascending order of `columns`, nulls last."""
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in columns])
    # Files of ours are in order already, and checking that costs less than taking every row of forty columns.
    is_in_order = pc.all(pc.equal(order, pa.arange(0, table.num_rows).cast(order.type))).as_py()
    return table if is_in_order else table.take(order)
