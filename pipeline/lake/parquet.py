"""Rows to bytes: one Parquet file whose bytes depend on its rows alone.

A file carries a checksum of all its bytes in its own footer, because engines verify no page checksums and nobody verifies
a footer. Whoever reads a file asks `is_whole` first.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from hashlib import file_digest, sha256
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake.file_stamps import FileStamp, file_stamp
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
MANIFEST_KEY = b"customer_segments.manifest"
CHECKSUM_KEY = b"customer_segments.checksum"
NO_CHECKSUM = b"00000000"
# What Thrift's compact protocol puts between a key and its value of eight bytes.
CHECKSUM_MARK = CHECKSUM_KEY + b"\x18\x08"
TAIL_BYTES = 8
BLOCK_BYTES = 1 << 18


def write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path, manifest: Mapping[str, Any]) -> int:
    """Write `batches` as one Parquet file whose footer holds `manifest`; return its row count. Same rows, same bytes."""
    rows, group_rows = 0, rows_per_group(schema)
    with sealed_writer(path, schema, **writer_settings(schema)) as writer:
        for block in _full_row_groups(schema, batches, group_rows):
            writer.write_table(block, row_group_size=group_rows)
            rows += block.num_rows
        facts = {**manifest, "row_count": rows}
        writer.add_key_value_metadata({MANIFEST_KEY: json.dumps(facts, sort_keys=True, default=str).encode()})
    return rows


@contextmanager
def sealed_writer(path: Path, schema: pa.Schema, **settings: object) -> Iterator[pq.ParquetWriter]:
    """Yield a writer of the Parquet file `path` that puts a checksum of the whole file into its footer at the end."""
    with pq.ParquetWriter(path, schema, **settings) as writer:
        yield writer
        writer.add_key_value_metadata({CHECKSUM_KEY: NO_CHECKSUM})
    # Written with zeros first, then patched: the checksum can only be known once every other byte is.
    with path.open("r+b") as file:
        place = _checksum_place(file)
        checksum = _file_checksum(file, place)
        file.seek(place)
        file.write(checksum)


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest in the footer of a file of ours."""
    content: dict[str, Any] = json.loads(_read_footer(path, file_stamp(path))[1][MANIFEST_KEY])
    return content


def stored_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns of a file."""
    return _read_footer(path, file_stamp(path))[0]


# A command asks for the same few footers several times, and that of everybody's features tells of a thousand pieces.
@lru_cache(maxsize=64)
def _read_footer(path: Path, stamp: FileStamp) -> tuple[tuple[str, ...], Mapping[bytes, bytes]]:  # noqa: ARG001 - tells files apart
    """Return the names of the columns of a file, and what its footer says under the keys of ours."""
    metadata = pq.read_metadata(path)
    return tuple(metadata.schema.to_arrow_schema().names), metadata.metadata or {}


def is_whole(path: Path) -> bool:
    """Return whether every byte of the file is as our writer left it; False also for files of other writers."""
    with path.open("rb") as file:
        place = _checksum_place(file)
        if place < 0:
            return False
        file.seek(place)
        return file.read(len(NO_CHECKSUM)) == _file_checksum(file, place)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of all bytes of a file, in hexadecimal: what manifests of publications say of their tables."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def content_digest(path: Path) -> str:
    """Return a digest of a file of ours from its footer alone, which has the checksum of every byte."""
    with path.open("rb") as file:
        end = max(file.seek(0, 2) - TAIL_BYTES, 0)
        file.seek(end)
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(end - length, 0))
        return sha256(file.read(length)).hexdigest()[:16]


def _checksum_place(file: BufferedIOBase) -> int:
    """Return where in the file its checksum is, or -1."""
    size = file.seek(0, 2)
    file.seek(max(size - TAIL_BYTES, 0))
    footer = TAIL_BYTES + int.from_bytes(file.read(4), "little")
    if footer > size:
        return -1
    file.seek(size - footer)
    # The last one: what a footer says of the values in its columns, which may be anything, comes before its keys.
    found = file.read(footer).rfind(CHECKSUM_MARK)
    return size - footer + found + len(CHECKSUM_MARK) if found >= 0 else -1


def _file_checksum(file: BufferedIOBase, place: int) -> bytes:
    """Return the CRC-32 of the file as 8 hexadecimal digits, computed with zeros in the place of the checksum itself."""
    file.seek(0)
    value = _crc_continued(file, 0, place)
    value = zlib.crc32(NO_CHECKSUM, value)
    file.seek(len(NO_CHECKSUM), 1)
    return b"%08x" % _crc_continued(file, value, None)


def _crc_continued(file: BufferedIOBase, value: int, count: int | None) -> int:
    """Return the CRC-32 `value` continued over the next `count` bytes, or over all that follow."""
    # Into one block that stays in the processor's cache, rather than into new memory each time.
    block = memoryview(bytearray(BLOCK_BYTES))
    while read := file.readinto(block if count is None else block[: min(BLOCK_BYTES, count)]):
        value = zlib.crc32(block[:read], value)
        count = None if count is None else count - read
    return value


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
