"""Tables of the database target, and the statements that bring them to a night; both databases share them.

    customer_segments           what is so now: one row per customer and scheme
    customer_segment_history    what was so: half-open intervals of days, an open end while it still is
    segment_profiles            one row per day, scheme and segment
    publications                one row per day

Only what changes slowly is here: features count days, so nearly every row of them is new every night.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, LiteralString, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ConfigError
from pipeline.tables import CUSTOMER_SEGMENTS, DAY, SEGMENT_PROFILES, Column, Kind

BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class TargetTable:
    """One table of the database target."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]


@dataclass(frozen=True, slots=True)
class Night:
    """A publication folder to bring the target to; on the way back, later days are taken back first."""

    day: date
    publication_id: str
    folder: Path
    is_way_back: bool = False


class Session(Protocol):
    """One open transaction in a target; nothing is seen by others before it is committed."""

    types: Mapping[Kind, str]

    def columns(self) -> Mapping[str, Sequence[str]]:
        """Return the column names, in order, of every table that exists."""

    def execute(self, statement: str) -> None:
        """Run one statement that returns nothing."""

    def count(self, statement: str) -> int:
        """Return the number that `statement` selects."""

    def texts(self, statement: str) -> Iterator[str]:
        """Yield the values of the one text column that `statement` selects."""

    def load(self, table: TargetTable, batches: Iterable[pa.RecordBatch]) -> None:
        """Fill `table`, which exists and is private to this session; batches have its columns."""


CURRENT: Final = TargetTable(CUSTOMER_SEGMENTS.name, CUSTOMER_SEGMENTS.columns, CUSTOMER_SEGMENTS.key)
PROFILES: Final = TargetTable(SEGMENT_PROFILES.name, (DAY, *SEGMENT_PROFILES.columns), (DAY.name, *SEGMENT_PROFILES.key))
HISTORY: Final = TargetTable(
    "customer_segment_history",
    (
        *(column for column in CUSTOMER_SEGMENTS.columns if column.name != "evidence"),
        Column("valid_from", Kind.DATE, "First published day on which the customer was in the segment.", required=True),
        Column("valid_to", Kind.DATE, "First published day on which that was over; empty while it is so."),
    ),
    (*CUSTOMER_SEGMENTS.key, "valid_from"),
)
PUBLICATIONS: Final = TargetTable(
    "publications",
    (
        DAY,
        Column("publication_id", Kind.TEXT, "Id of the publication folder with the same rows.", required=True),
        Column("membership_count", Kind.INTEGER, "Rows of customer_segments on that day.", required=True),
        Column("profile_count", Kind.INTEGER, "Rows of segment_profiles on that day.", required=True),
    ),
    (DAY.name,),
)
TABLES: Final = (CURRENT, HISTORY, PROFILES, PUBLICATIONS)
STAGED_NIGHT: Final = TargetTable("night", PUBLICATIONS.columns, PUBLICATIONS.key)
STAGED_CURRENT: Final = TargetTable("staged_segments", CURRENT.columns, CURRENT.key)
STAGED_PROFILES: Final = TargetTable("staged_profiles", PROFILES.columns, PROFILES.key)

INDEXES: Final[tuple[LiteralString, ...]] = (
    "CREATE UNIQUE INDEX customer_segment_history_open ON customer_segment_history (customer_id, scheme) WHERE valid_to IS NULL",
    "CREATE INDEX customer_segment_history_from ON customer_segment_history (valid_from)",
    "CREATE INDEX customer_segment_history_to ON customer_segment_history (valid_to)",
)
LATER_PUBLICATIONS: Final = "SELECT count(*) FROM publications WHERE day > (SELECT day FROM night)"
TAKE_BACK: Final[tuple[LiteralString, ...]] = (
    "DELETE FROM customer_segment_history WHERE valid_from > (SELECT day FROM night)",
    "UPDATE customer_segment_history SET valid_to = NULL WHERE valid_to > (SELECT day FROM night)",
    "DELETE FROM segment_profiles WHERE day > (SELECT day FROM night)",
    "DELETE FROM publications WHERE day > (SELECT day FROM night)",
)
MERGE: Final[tuple[LiteralString, ...]] = (
    # A rerun first takes back what an earlier run of the same day opened and closed.
    "DELETE FROM customer_segment_history WHERE valid_from = (SELECT day FROM night)",
    "UPDATE customer_segment_history SET valid_to = NULL WHERE valid_to = (SELECT day FROM night)",
    """
    UPDATE customer_segment_history SET valid_to = (SELECT day FROM night)
    WHERE valid_to IS NULL AND NOT EXISTS (
        SELECT 1 FROM staged_segments AS staged
        WHERE staged.customer_id = customer_segment_history.customer_id
          AND staged.scheme = customer_segment_history.scheme
          AND staged.segment = customer_segment_history.segment)
    """,
    """
    INSERT INTO customer_segment_history (customer_id, scheme, segment, valid_from)
    SELECT staged.customer_id, staged.scheme, staged.segment, night.day
    FROM staged_segments AS staged CROSS JOIN night
    WHERE NOT EXISTS (
        SELECT 1 FROM customer_segment_history AS held
        WHERE held.valid_to IS NULL AND held.customer_id = staged.customer_id AND held.scheme = staged.scheme)
    """,
    """
    UPDATE customer_segments SET segment = staged.segment, evidence = staged.evidence
    FROM staged_segments AS staged
    WHERE staged.customer_id = customer_segments.customer_id
      AND staged.scheme = customer_segments.scheme
      AND (staged.segment <> customer_segments.segment OR staged.evidence IS DISTINCT FROM customer_segments.evidence)
    """,
    """
    DELETE FROM customer_segments WHERE NOT EXISTS (
        SELECT 1 FROM staged_segments AS staged
        WHERE staged.customer_id = customer_segments.customer_id AND staged.scheme = customer_segments.scheme)
    """,
    """
    INSERT INTO customer_segments (customer_id, scheme, segment, evidence)
    SELECT staged.customer_id, staged.scheme, staged.segment, staged.evidence
    FROM staged_segments AS staged
    WHERE NOT EXISTS (
        SELECT 1 FROM customer_segments AS held
        WHERE held.customer_id = staged.customer_id AND held.scheme = staged.scheme)
    """,
    "DELETE FROM segment_profiles WHERE day = (SELECT day FROM night)",
    "INSERT INTO segment_profiles SELECT * FROM staged_profiles",
    "DELETE FROM publications WHERE day = (SELECT day FROM night)",
    "INSERT INTO publications SELECT * FROM night",
    "DROP TABLE staged_segments",
    "DROP TABLE staged_profiles",
    "DROP TABLE night",
)


def merge_night(session: Session, night: Night) -> bool:
    """Bring the target to `night` within the session's transaction; return False where it holds a later day.

    Raises ConfigError where a table of the target has other columns than declared.
    """
    _create_missing(session)
    load_night(session, night)
    for statement in TAKE_BACK if night.is_way_back else ():
        session.execute(statement)
    if session.count(LATER_PUBLICATIONS):
        return False
    load_table(session, STAGED_CURRENT, _rows(night, CURRENT))
    load_table(session, STAGED_PROFILES, _rows(night, PROFILES))
    for statement in MERGE:
        session.execute(statement)
    return True


def _create_missing(session: Session) -> None:
    found = session.columns()
    for table in TABLES:
        if table.name not in found:
            session.execute(f"CREATE TABLE {_definition(table, session.types)}")
        elif list(found[table.name]) != table.column_names:
            raise ConfigError(
                f"the table {table.name} of the database target has other columns than declared",
                where=table.name,
                todo="Alter or drop it, then publish again.",
            )
    if HISTORY.name not in found:
        for statement in INDEXES:
            session.execute(statement)


def load_night(session: Session, night: Night) -> None:
    """Describe `night` in a temporary table of one row."""
    load_table(session, STAGED_NIGHT, [_night_row(night)])


def load_table(session: Session, table: TargetTable, batches: Iterable[pa.RecordBatch]) -> None:
    """Fill a new temporary table with `batches`, which have its columns."""
    session.execute(f"CREATE TEMPORARY TABLE {_definition(table, session.types)}")
    session.load(table, batches)


def _definition(table: TargetTable, types: Mapping[Kind, str]) -> str:
    columns = [
        f"{quoted(column.name)} {types[column.kind]}{' NOT NULL' if column.required or column.name in table.key else ''}"
        for column in table.columns
    ]
    key = ", ".join(quoted(name) for name in table.key)
    return f"{quoted(table.name)} ({', '.join(columns)}, PRIMARY KEY ({key}))"


def quoted(name: str) -> str:
    """Return `name` as a quoted identifier of standard SQL."""
    return '"' + name.replace('"', '""') + '"'


def _night_row(night: Night) -> pa.RecordBatch:
    counts = [pq.read_metadata(_file(night, table)).num_rows for table in (CURRENT, PROFILES)]
    values = (night.day, night.publication_id, *counts)
    return pa.RecordBatch.from_pylist([dict(zip(PUBLICATIONS.column_names, values, strict=True))])


def _rows(night: Night, table: TargetTable) -> Iterator[pa.RecordBatch]:
    file = pq.ParquetFile(_file(night, table), page_checksum_verification=True)
    for batch in file.iter_batches(BATCH_ROWS, columns=table.column_names):
        yield batch.select(table.column_names)


def _file(night: Night, table: TargetTable) -> Path:
    return night.folder / f"{table.name}.parquet"
