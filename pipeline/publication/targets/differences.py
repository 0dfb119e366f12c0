"""The rows by which one publication differs from another: a database target gets these, and not the whole night.

The engine compares, which reads both publications where they lie; only what differs goes over the wire. That is right only where the
target holds exactly the other publication, which `target_state` finds out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp, parse_one

from pipeline.lake.engines import Engine
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS, Column, Kind, Partition, Table
from pipeline.publication.targets.customer_profiles import card_languages, spoken_languages
from pipeline.publication.targets.published_night import PublishedNight, table_file
from pipeline.publication.targets.tables import (
    ARMS,
    CURRENT,
    CUSTOMERS,
    LANGUAGE,
    MEMBERS,
    NEXT_ACTION_COLUMNS,
    NEXT_ACTIONS,
    PREDICTIONS,
    TargetTable,
)

# Those with a row per customer, or several; of all others the whole is small.
LARGE_TABLES: Final = (CURRENT, CUSTOMERS, NEXT_ACTIONS, PREDICTIONS, MEMBERS, ARMS)
_IS_GONE: Final = "is_gone_row"
_SAID: Final = "stated_language"  # as the customer's attribute has it; the language follows from it


class PublicationDifference:
    """The rows of a night that differ from those of the publication in the folder `before`, worked out once, in `engine`.

    Raises DataError where a file of one of the two cannot be read. Of tables that only one of them has, it tells nothing.
    """

    def __init__(self, engine: Engine, night: PublishedNight, before: Path) -> None:
        self._engine, self._night, self._before = engine, night, before
        self.tables = [table for table in LARGE_TABLES if self._is_in_both(table)]
        for table in self.tables:
            self._compare(table)

    def count_before(self, table: TargetTable) -> int:
        """Return how many rows of `table` the publication before has."""
        counted = parse_one(f"SELECT COUNT(*) AS row_count FROM before_rows_of_{table.name}", dialect="duckdb")  # noqa: S608 - our own names
        return int(self._engine.run(_query(counted), {}).read_all()["row_count"][0].as_py())

    def changed(self, table: TargetTable) -> Iterator[pa.RecordBatch]:
        """Yield the rows that are new, or not what they were, in the order of the key."""
        for batch in self._engine.run(self._select(table, "*", is_gone=False), {}):
            yield self._with_languages(batch) if table is CUSTOMERS else batch.select(table.column_names)

    def gone(self, table: TargetTable) -> Iterator[pa.RecordBatch]:
        """Yield the keys of rows that are no more, in order."""
        yield from self._engine.run(self._select(table, *table.key, is_gone=True), {})

    def _is_in_both(self, table: TargetTable) -> bool:
        if table is CUSTOMERS:
            files = [folder / f"{each.name}.parquet" for folder in self._folders for each in (CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS)]
            return all(file.exists() for file in files) and len({self._attribute_of(folder) for folder in self._folders}) == 1
        return all(table_file(folder, table).exists() for folder in self._folders)

    @property
    def _folders(self) -> tuple[Path, Path]:
        return self._night.folder, self._before

    def _attribute_of(self, folder: Path) -> str:
        """Return the attribute that says how customers are spoken to, empty where the publication has none."""
        name = self._night.language_attribute
        return name if name and name in pq.read_schema(folder / f"{CUSTOMER_FEATURES.name}.parquet").names else ""

    def _compare(self, table: TargetTable) -> None:
        columns = (*_plain_columns(table), Column(_SAID, Kind.TEXT, "")) if table is CUSTOMERS else table.columns
        for side, folder in zip(("now", "before"), self._folders, strict=True):
            rows = self._customer_rows(side, folder) if table is CUSTOMERS else self._file_rows(side, folder, table)
            self._engine.define(_relation(f"{side}_rows_of_{table.name}", columns, table.key), rows)
        others = [column.name for column in columns if column.name not in table.key]
        joined = " AND ".join(f"one.{name} = other.{name}" for name in table.key)
        first = table.key[0]
        differs = " OR ".join(
            [f"one.{first} IS NULL", f"other.{first} IS NULL", *(f"one.{name} IS DISTINCT FROM other.{name}" for name in others)]
        )
        keys = ", ".join(f"COALESCE(one.{name}, other.{name}) AS {name}" for name in table.key)
        # Names that we declare. Both sides are read once.
        query = f"""
            SELECT {", ".join([keys, *(f"one.{name}" for name in others)])}, one.{first} IS NULL AS {_IS_GONE}
            FROM now_rows_of_{table.name} AS one FULL JOIN before_rows_of_{table.name} AS other ON {joined} WHERE {differs}
        """  # noqa: S608
        # Worked out before anything is sent: what cannot be read is found while all can be sent instead.
        differing = _relation(f"differing_{table.name}", (*columns, Column(_IS_GONE, Kind.FLAG, "")), table.key)
        self._engine.materialize(differing, _query(parse_one(query, dialect="duckdb")))

    def _select(self, table: TargetTable, *names: str, is_gone: bool) -> exp.Query:
        rows = exp.select(*names).from_(f"differing_{table.name}").where(_IS_GONE if is_gone else f"NOT {_IS_GONE}")
        return rows.order_by(*table.key)

    def _file_rows(self, side: str, folder: Path, table: TargetTable) -> exp.Query:
        name = f"{side}_{table.name}"
        self._engine.register(_relation(name, table.columns, table.key), [table_file(folder, table)])
        rows = exp.select(*table.column_names).from_(name)
        return rows.where("expected_spend_amount IS NOT NULL") if table is PREDICTIONS else rows

    def _customer_rows(self, side: str, folder: Path) -> exp.Query:
        """Return a statement for what `customer_profiles` yields, with what a customer says in the place of the language."""
        attribute = self._attribute_of(folder)
        features = tuple(column for column in CUSTOMERS.columns if column.name in CUSTOMER_FEATURES.column_names)
        said = (Column(attribute, Kind.TEXT, ""),) if attribute else ()
        actions = tuple(column for column in NEXT_ACTIONS.columns if column.name in {"customer_id", *NEXT_ACTION_COLUMNS})
        for each, columns in ((CUSTOMER_FEATURES, (*features, *said)), (CUSTOMER_NEXT_ACTIONS, actions)):
            name = f"{side}_profile_{each.name}"
            self._engine.register(_relation(name, columns, each.key), [folder / f"{each.name}.parquet"])
        selected: list[exp.Expr] = [exp.column(column.name, "known") for column in features]
        selected += [exp.column(name, "acted").as_(column.name) for name, column in NEXT_ACTION_COLUMNS.items()]
        selected.append((exp.column(attribute, "known") if attribute else exp.cast(exp.null(), "text")).as_(_SAID))
        known, acted = (exp.to_table(f"{side}_profile_{each.name}") for each in (CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS))
        return (
            exp.select(*selected)
            .from_(known.as_("known"))
            .join(acted.as_("acted"), on="acted.customer_id = known.customer_id", join_type="left")
        )

    def _with_languages(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        night = self._night
        languages = spoken_languages(batch[_SAID], card_languages(night.folder, night.language), night.language)
        columns = [languages if name == LANGUAGE.name else batch[name] for name in CUSTOMERS.column_names]
        return pa.RecordBatch.from_arrays(columns, names=CUSTOMERS.column_names)


def _plain_columns(table: TargetTable) -> tuple[Column, ...]:
    return tuple(column for column in table.columns if column is not LANGUAGE)


def _relation(name: str, columns: tuple[Column, ...], key: tuple[str, ...]) -> Table:
    return Table(name, "", columns, key, Partition.PUBLICATION)


def _query(tree: exp.Expr) -> exp.Query:
    if not isinstance(tree, exp.Query):
        raise TypeError("no query")
    return tree
