"""What a table is: a name, typed columns with their meaning, a key, and a way of being cut into files."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Literal

import pyarrow as pa

from pipeline.errors import SchemaDrift

MONEY_DECIMALS = 4
FIRST_SCHEMA_VERSION = 1
_REMEDY = "Let the query give its columns as the page of tables declares them, then run again."
RAW_PREFIX = "raw_"  # how the name of a table begins that holds rows as the source gave them
Spelling = Literal["", "lower", "title", "upper"]


class Kind(Enum):
    """Type of a column: (Arrow type, DuckDB type, words for people)."""

    TEXT = (pa.string(), "VARCHAR", "text")
    INTEGER = (pa.int64(), "BIGINT", "whole number")
    NUMBER = (pa.float64(), "DOUBLE", "number")
    # 18 digits are the most that fit a 64-bit integer: with more, every sum would be computed and stored in 128 bits.
    MONEY = (pa.decimal128(18, MONEY_DECIMALS), f"DECIMAL(18,{MONEY_DECIMALS})", "exact decimal")
    DATE = (pa.date32(), "DATE", "date")
    # Microseconds, as Spark cannot read files with nanoseconds.
    INSTANT = (pa.timestamp("us", tz="UTC"), "TIMESTAMP WITH TIME ZONE", "instant (UTC)")
    FLAG = (pa.bool_(), "BOOLEAN", "true or false")
    INTEGERS = (pa.list_(pa.int64()), "BIGINT[]", "whole numbers")
    TEXTS = (pa.list_(pa.string()), "VARCHAR[]", "texts")

    @property
    def arrow(self) -> pa.DataType:
        return self.value[0]

    @property
    def sql(self) -> str:
        return self.value[1]

    @property
    def words(self) -> str:
        return self.value[2]

    @property
    def is_list(self) -> bool:
        """Whether a cell holds several values; only caches have such columns."""
        return self in (Kind.INTEGERS, Kind.TEXTS)


class Partition(Enum):
    """How a table is cut into files; the value is the pattern of folders below that of the table."""

    NIGHT = "day=<day>"
    EVENT_DAY = "month=<month of the event day>/known=<day>"
    SNAPSHOT = "known=<day>"
    CAMPAIGN = "campaign=<id>"
    PUBLICATION = "publications/<id>"  # in publications alone, as it follows from more than one night


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `required` means a source must supply it and no clean row may lack it.

    `needs` names the optional column of order lines, or the optional source, that a feature is made of: without it nobody has the
    feature. `spelling` is that into which the texts of a company's attribute are brought. A text with a `separator` holds a list: its
    values, each once and in order, with the separator between them. `is_declared`: a feature that the company's definitions make, and
    neither one of ours nor an attribute.
    """

    name: str
    kind: Kind
    description: str
    required: bool = False
    pii: bool = False
    needs: str = ""
    spelling: Spelling = ""
    separator: str = ""
    is_declared: bool = False


FEWEST_PUBLISHED = 10
"""Of fewer customers no figure is published: it might be one person's."""
EVENT_DAY = Column("event_day", Kind.DATE, "Local day on which the row happened.", required=True)
KNOWN_ON = Column("known_on", Kind.DATE, "Night that learned of the event day so.", required=True)
VERSION_COLUMNS = (EVENT_DAY, KNOWN_ON)


@dataclass(frozen=True)
class Table:
    """One table; files are sorted by `key`, which is unique within a partition.

    One that `is_optional` is written only by nights of which there is something to say.
    `published_columns` stand in publications alone, after the others: what follows from more than one night. `later_columns` may have
    been declared after files were written: these lack them, and their rows have no value there. `people_counts` name columns that count
    customers: a row where one of them is of fewer than FEWEST_PUBLISHED customers, but not of none, is left out of publications. Of each
    of `hidden_counts` the row stays, without the count and without the columns that follow, from which it could be worked out.
    `schema_version` is raised where a column goes, or means something else than in files that a release wrote; with it the format of lakes.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition: Partition
    is_published: bool = False
    is_optional: bool = False
    published_columns: tuple[Column, ...] = ()
    later_columns: tuple[str, ...] = ()
    people_counts: tuple[str, ...] = ()
    hidden_counts: tuple[tuple[str, ...], ...] = ()
    schema_version: int = FIRST_SCHEMA_VERSION

    @property
    def instant(self) -> str:
        """The name of the column that says when a row of an EVENT_DAY table happened."""
        return next(column.name for column in self.columns if column.kind is Kind.INSTANT)

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([(column.name, column.kind.arrow) for column in self.columns])

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns in its files, which statements see: those of event days also say which version a row belongs to."""
        return (*VERSION_COLUMNS, *self.columns) if self.partition is Partition.EVENT_DAY else self.columns

    @cached_property
    def stored_schema(self) -> pa.Schema:
        return pa.schema([(column.name, column.kind.arrow) for column in self.stored_columns])

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def kind_of(self, name: str) -> Kind | None:
        """Return the kind of the column `name`; None where there is none."""
        return next((column.kind for column in self.columns if column.name == name), None)

    def with_columns(self, extra: Iterable[Column]) -> Table:
        """Return this table with `extra` columns, such as a company's attributes, at its end."""
        return replace(self, columns=(*self.columns, *extra))

    def only(self, names: Container[str]) -> Table:
        """Return this table with the columns in `names` alone: of a Parquet file no others are read, nor need they be there."""
        return replace(self, columns=tuple(column for column in self.columns if column.name in names))

    def conform(self, data: pa.Table) -> pa.Table:
        """Return `data` with exactly the declared columns, in order.

        Raises SchemaDrift where a column is missing or cannot hold the declared type exactly.
        """
        missing = [name for name in self.column_names if name not in data.column_names]
        if missing:
            raise SchemaDrift(f"{self.name} lacks {', '.join(missing)}", where=self.name, todo=_REMEDY)
        try:
            return data.select(self.column_names).cast(self.schema, safe=True)
        except pa.ArrowInvalid:
            raise SchemaDrift(f"{self.name} does not fit its declared types", where=self.name, todo=_REMEDY) from None
