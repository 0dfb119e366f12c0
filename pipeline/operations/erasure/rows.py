"""Rows about some customers in Parquet files of any table, found by the names and the form of their columns.

No list of tables: a table that is added tomorrow is covered, as long as its columns are named like all others. A column
`customer_id` says whose row it is; where there is none, any column whose name ends like that does; else, as in rejected rows, a
text that holds a source row as JSON. Other columns of that kind only mention a customer (who referred them): the row stays and the
id in it is blanked.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.ingestion.erased import CUSTOMER_ID, holds_customer_ids, is_customer_id
from pipeline.ingestion.validation.raw_rows import source_row_text
from pipeline.lake.parquet import ROW_GROUP_ROWS

WHITE_SPACE = " \t\n\v\f\r"  # what is around an id in any place; a no-break space belongs to the id


@dataclass(frozen=True, slots=True)
class CustomerIds:
    """Distinct ids of customers, stripped of white space."""

    values: pa.Array

    @classmethod
    def of(cls, ids: Iterable[str]) -> CustomerIds:
        """Return these ids, once each."""
        return cls(pa.array(sorted({each.strip(WHITE_SPACE) for each in ids} - {""}), pa.string()))

    @property
    def texts(self) -> list[str]:
        """The ids as they are."""
        return [str(each) for each in self.values.to_pylist()]

    def owned_rows(self, rows: pa.RecordBatch) -> pa.Array:
        """Return a boolean per row: whether it is about one of these customers; False where no column says whose it is."""
        return self._any_listed(rows.num_rows, (_ids_of_rows(rows, name) for name in owner_columns(rows.schema)))

    def affected_rows(self, rows: pa.RecordBatch) -> pa.Array:
        """Return a boolean per row: whether it is about one of these customers, or mentions one in a row about somebody else."""
        mentioned = (ids for name in reference_columns(rows.schema) for ids in _ids_named_in_rows(rows, name))
        return pc.or_(self.owned_rows(rows), self._any_listed(rows.num_rows, mentioned))

    def remove_from(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows about others, in which none of these customers is mentioned any more."""
        others = rows.filter(pc.invert(self.owned_rows(rows)))
        for name in reference_columns(rows.schema):
            place = rows.schema.get_field_index(name)
            others = others.set_column(place, rows.schema.field(name), self._blank_references(others.column(name), name))
        return others

    def _blank_references(self, texts: pa.Array, name: str) -> pa.Array:
        if is_customer_id(name):
            return pc.if_else(pc.fill_null(self._is_listed(texts), fill_value=False), pa.scalar(None, pa.string()), texts)
        listed = set(self.texts)
        return pa.array((_row_naming_none_of(listed, text) for text in texts.to_pylist()), pa.string())

    def _any_listed(self, count: int, columns: Iterable[pa.Array]) -> pa.Array:
        found = pa.repeat(pa.scalar(value=False), count)
        for ids in columns:
            found = pc.or_(found, self._is_listed(ids))
        return found

    def _is_listed(self, ids: pa.Array) -> pa.Array:
        # Trimmed alike on both sides: sources pad ids, and an id that only looks different must not stay.
        return pc.is_in(pc.ascii_trim_whitespace(ids), value_set=self.values)


def owner_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that say whose rows they are: ids of customers or, where there are none, text that may hold source rows."""
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    return [name for name in texts if name == CUSTOMER_ID] or [name for name in texts if is_customer_id(name)] or texts


def reference_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that may name a customer in a row about somebody else, such as who referred them."""
    owners = owner_columns(schema)
    if owners == [CUSTOMER_ID]:
        return [field.name for field in schema if field.name != CUSTOMER_ID and holds_customer_ids(field)]
    return [name for name in owners if not is_customer_id(name)]


def customer_ids(file: pq.ParquetFile) -> Iterator[pa.Array]:
    """Yield, batch by batch, the ids of the customers whose rows a file holds, or whom they name; with repetitions and nulls."""
    owners, references = owner_columns(file.schema_arrow), reference_columns(file.schema_arrow)
    for rows in row_batches(file, sorted({*owners, *references})) if owners else ():
        yield from (_ids_of_rows(rows, name) for name in owners)
        yield from (ids for name in references for ids in _ids_named_in_rows(rows, name))


def row_count(file: pq.ParquetFile, ids: CustomerIds) -> int:
    """Return how many rows of a file are about these customers or name them."""
    columns = sorted({*owner_columns(file.schema_arrow), *reference_columns(file.schema_arrow)})
    return sum(ids.affected_rows(rows).true_count for rows in row_batches(file, columns)) if columns else 0


def rows_of_others(file: pq.ParquetFile, ids: CustomerIds) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file that are about nobody of these customers, in their order, and name none of them."""
    for rows in row_batches(file):
        yield ids.remove_from(rows)


def row_batches(file: pq.ParquetFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in batches of bounded size."""
    yield from file.iter_batches(ROW_GROUP_ROWS, columns=columns, use_threads=columns is None)


def open_checked(path: Path) -> pq.ParquetFile:
    """Open the file at `path`; its page checksums are verified as it is read."""
    # What a damaged page hides could be an erased customer.
    return pq.ParquetFile(path, page_checksum_verification=True)


def _ids_of_rows(rows: pa.RecordBatch, name: str) -> pa.Array:
    texts = rows.column(name)
    return texts if is_customer_id(name) else pa.array(map(_id_in_row, texts.to_pylist()), pa.string())


def _ids_named_in_rows(rows: pa.RecordBatch, name: str) -> Iterator[pa.Array]:
    """Yield what a column that names customers says of each row; a source row that is kept as JSON may name several."""
    texts = rows.column(name)
    if is_customer_id(name):
        yield texts
        return
    named = [_names_in_row(_source_row(text)) for text in texts.to_pylist()]
    for key in sorted({key for each in named for key in each}):
        yield pa.array((each.get(key) for each in named), pa.string())


def _id_in_row(text: str | None) -> str | None:
    """Return the id in a source row that is kept as JSON."""
    customer = _source_row(text).get(CUSTOMER_ID)
    return customer if isinstance(customer, str) else None


def _row_naming_none_of(ids: Container[str], text: str | None) -> str | None:
    """Return a source row that is kept as JSON with nothing in place of `ids`; any other text as it is."""
    row = _source_row(text)
    blanks = {key: None for key, value in _names_in_row(row).items() if value.strip(WHITE_SPACE) in ids}
    return source_row_text(row | blanks) if blanks else text


def _names_in_row(row: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in row.items() if key != CUSTOMER_ID and is_customer_id(key) and isinstance(value, str)}


def _source_row(text: str | None) -> dict[str, Any]:
    """Return a source row that is kept as JSON; an empty one where the text is not JSON."""
    # Most texts are no source rows: this spares trying to read each as JSON.
    if not text or not text.startswith("{"):
        return {}
    try:
        row: dict[str, Any] = json.loads(text)
    except ValueError:
        return {}
    return row
