"""Rows to bytes: one Parquet file whose bytes depend on its rows alone, and runs of rows that share an event day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 131_072
MANIFEST_KEY = b"customer_segments.manifest"


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One stored version of an event day: what night `known` knew of `day`."""

    day: date
    known: date


def write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path, manifest: Mapping[str, Any]) -> int:
    """Write `batches` as one Parquet file whose footer holds `manifest`; return its row count. Same rows, same bytes."""
    rows = 0
    with pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=3, version="2.6", data_page_version="1.0", write_page_checksum=True
    ) as writer:
        for block in _blocks(schema, batches):
            writer.write_table(block, row_group_size=ROW_GROUP_ROWS)
            rows += block.num_rows
        facts = {**manifest, "row_count": rows}
        writer.add_key_value_metadata({MANIFEST_KEY: json.dumps(facts, sort_keys=True, default=str).encode()})
    return rows


def _blocks(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Regroup batches into full row groups, so that bytes do not depend on how rows arrived."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(pa.table(batch.select(schema.names)).cast(schema))
        count += batch.num_rows
        while count >= ROW_GROUP_ROWS:
            merged = pa.concat_tables(waiting)
            yield merged.slice(0, ROW_GROUP_ROWS).combine_chunks()
            waiting, count = [merged.slice(ROW_GROUP_ROWS)], count - ROW_GROUP_ROWS
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def cut_by_version(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Version, list[pa.RecordBatch]]]:
    """Yield each version with its rows, from batches sorted by `day` and `known`."""
    current: Version | None = None
    rows: list[pa.RecordBatch] = []
    for batch in batches:
        for version, piece in _runs(batch):
            if version != current and current is not None:
                yield current, rows
                rows = []
            current = version
            rows.append(piece)
    if current is not None:
        yield current, rows


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[Version, pa.RecordBatch]]:
    marks = pa.table(batch.select(["day", "known"])).append_column("at", pa.array(range(batch.num_rows), pa.int64()))
    starts = marks.group_by(["day", "known"], use_threads=False).aggregate([("at", "min"), ("at", "count")])
    for row in starts.sort_by("at_min").to_pylist():
        yield Version(row["day"], row["known"]), batch.slice(row["at_min"], row["at_count"])


def sorted_by(table: pa.Table, columns: Iterable[str]) -> pa.Table:
    """Return the rows of `table` in ascending order of `columns`, nulls last."""
    return table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in columns]))
