"""The statements that bring the tables of the database target to a night; both databases share them.

A publication is staged in temporary tables, then merged: of large tables the rows by which it differs from what the target holds, or all
of them where that is in doubt; large tables without a row are filled at once. Of the tables that say what is so now, only rows that differ
are written: a CRM that follows changes sees no others. What is kept by day (history, profiles, publications) is taken back for the
night's day first, so that a night published twice leaves what it leaves once.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from datetime import date
from itertools import chain
from typing import Final, LiteralString

import pyarrow as pa

from pipeline.publication.targets.crm import merge_crm, publishes_crm
from pipeline.publication.targets.differences import LARGE_TABLES, PublicationDifference
from pipeline.publication.targets.kept_moves import keep_moves_statements
from pipeline.publication.targets.published_night import PublishedNight, load_night, published_rows, table_file
from pipeline.publication.targets.sessions import TargetSession, create_table, load_table
from pipeline.publication.targets.tables import (
    ARMS,
    CHANGED,
    CREATE_VIEWS,
    CURRENT,
    GONE,
    HISTORY,
    INDEXES,
    MEMBERS,
    OPTIONAL,
    PROFILES,
    STAGED,
    STAGED_NIGHT,
    TABLES_OF_MOVES,
    TARGET_TABLES,
    TargetTable,
)
from pipeline.publication.targets.target_state import STATE, difference_to_target, note_state

LATER_PUBLICATIONS: Final = "SELECT count(*) FROM publications WHERE day > (SELECT day FROM night)"
LAST_PUBLICATION: Final = """
    SELECT CAST(max(day) AS VARCHAR(10)) FROM publications WHERE day < (SELECT day FROM night) HAVING max(day) IS NOT NULL
"""
TAKE_BACK: Final[tuple[LiteralString, ...]] = (
    "DELETE FROM customer_segment_history WHERE valid_from > (SELECT day FROM night)",
    "UPDATE customer_segment_history SET valid_to = NULL WHERE valid_to > (SELECT day FROM night)",
    "DELETE FROM segment_profiles WHERE day > (SELECT day FROM night)",
    "DELETE FROM publications WHERE day > (SELECT day FROM night)",
)
KEEP_HISTORY: Final[tuple[LiteralString, ...]] = (
    # A rerun first takes back what an earlier run of the same day opened and closed.
    "DELETE FROM customer_segment_history WHERE valid_from = (SELECT day FROM night)",
    "UPDATE customer_segment_history SET valid_to = NULL WHERE valid_to = (SELECT day FROM night)",
    """
    INSERT INTO changed_memberships SELECT staged.customer_id, staged.scheme, staged.segment FROM staged_customer_segments AS staged
    WHERE NOT EXISTS (
        SELECT 1 FROM customer_segment_history AS held
        WHERE held.valid_to IS NULL AND held.customer_id = staged.customer_id AND held.scheme = staged.scheme
          AND held.segment = staged.segment)
    """,
    """
    UPDATE customer_segment_history SET valid_to = (SELECT day FROM night)
    WHERE valid_to IS NULL AND (customer_id, scheme) IN (SELECT customer_id, scheme FROM changed_memberships)
    """,
    """
    INSERT INTO customer_segment_history (customer_id, scheme, segment, valid_from)
    SELECT changed.customer_id, changed.scheme, changed.segment, night.day FROM changed_memberships AS changed CROSS JOIN night
    """,
)
BEGIN_HISTORY: Final = """
    INSERT INTO customer_segment_history (customer_id, scheme, segment, valid_from)
    SELECT staged.customer_id, staged.scheme, staged.segment, night.day FROM staged_customer_segments AS staged CROSS JOIN night
"""
OPEN_MEMBERSHIPS: Final = "SELECT count(*) FROM customer_segment_history WHERE valid_to IS NULL"
CLOSE_OF_GONE: Final = """
    UPDATE customer_segment_history SET valid_to = (SELECT day FROM night)
    WHERE valid_to IS NULL AND (customer_id, scheme) IN (SELECT customer_id, scheme FROM gone_customer_segments)
"""
CLOSE_OF_LEFT: Final = """
    UPDATE customer_segment_history SET valid_to = (SELECT day FROM night)
    WHERE valid_to IS NULL AND NOT EXISTS (
        SELECT 1 FROM staged_customer_segments AS staged
        WHERE staged.customer_id = customer_segment_history.customer_id AND staged.scheme = customer_segment_history.scheme)
"""
DELIST: Final = "DELETE FROM publications WHERE day = (SELECT day FROM night)"
KEEP_DAYS: Final[tuple[LiteralString, ...]] = (
    "DELETE FROM segment_profiles WHERE day = (SELECT day FROM night)",
    "INSERT INTO segment_profiles SELECT * FROM staged_segment_profiles",
    "DELETE FROM publications WHERE day = (SELECT day FROM night)",
    "INSERT INTO publications SELECT * FROM night",
)


def merge_night(session: TargetSession, night: PublishedNight) -> bool:
    """Bring the target to `night` within the session's transaction; return False where it holds a later day.

    Raises ConfigError where a table of the target has other columns than declared.
    """
    found = session.columns()
    # Where the night publishes audiences, or the target holds some of an earlier one: then their tables are emptied.
    optional = [table for table in OPTIONAL if table.name in found or table_file(night.folder, table).exists()]
    if publishes_crm(night.folder):
        optional += [table for table in (MEMBERS, ARMS) if table not in optional]  # its view of lists looks at them
    _create_missing_tables(session, optional)
    load_night(session, night)
    for statement in TAKE_BACK if night.is_way_back else ():
        session.execute(statement)
    if session.count(LATER_PUBLICATIONS):
        return False
    tables = [table for table in STAGED if table not in OPTIONAL or table in optional]
    with difference_to_target(session, night, found) as difference:
        empty = [] if difference else [table for table in LARGE_TABLES if table in tables and _is_empty(session, table)]
        _stage_tables(session, night, tables, empty, difference)
    differing = difference.tables if difference else []
    _keep_history(session, is_differing=bool(difference))
    for table in differing:
        _merge_difference(session, table)
    for table in (each for each in tables if each not in (*differing, *empty, PROFILES, *TABLES_OF_MOVES)):
        _merge_table(session, table)
    for statement in (*KEEP_DAYS, *chain.from_iterable(map(keep_moves_statements, TABLES_OF_MOVES.keys() & tables))):
        session.execute(statement)
    if night.is_empty:
        session.execute(DELIST)
    for table in empty:
        session.execute(f"DROP VIEW {STAGED[table].name}")
    for staged in (*(STAGED[table] for table in tables if table not in empty), *(GONE[table] for table in differing), STAGED_NIGHT):
        session.execute(f"DROP TABLE {staged.name}")
    merge_crm(session, night.folder, found)
    note_state(session, night)
    return True


def _keep_history(session: TargetSession, *, is_differing: bool) -> None:
    """End what is not so any more on the night's day, and begin what is so since."""
    if not is_differing and _is_empty(session, HISTORY):
        session.execute(BEGIN_HISTORY)
        return
    load_table(session, CHANGED, ())
    for statement in KEEP_HISTORY:
        session.execute(statement)
    session.execute(f"DROP TABLE {CHANGED.name}")
    if is_differing:
        session.execute(CLOSE_OF_GONE)
    # Of all that is staged one row each is open now. On most nights no other is, and looking up every row to find that out can be spared.
    elif session.count(OPEN_MEMBERSHIPS) > session.count(_rows_of(STAGED[CURRENT])):
        session.execute(CLOSE_OF_LEFT)


def _stage_tables(
    session: TargetSession,
    night: PublishedNight,
    tables: Sequence[TargetTable],
    empty: Container[TargetTable],
    difference: PublicationDifference | None,
) -> None:
    """Stage `tables` of the night, of those that differ what is gone, too; fill those that are `empty`."""
    told = [date.fromisoformat(since) for since in session.texts(LAST_PUBLICATION)]
    for table in tables:
        if difference and table in difference.tables:
            load_table(session, STAGED[table], difference.changed(table))
            load_table(session, GONE[table], difference.gone(table))
            continue
        of_moves = [TABLES_OF_MOVES[table]] if table in TABLES_OF_MOVES else []
        held_back = [moves for each in of_moves for since in told for moves in night.moves_since(each, since)]
        rows = chain(held_back, published_rows(night, table))
        if table in empty:
            _fill_table(session, table, rows)
        else:
            load_table(session, STAGED[table], rows)


def _fill_table(session: TargetSession, table: TargetTable, rows: Iterable[pa.RecordBatch]) -> None:
    """Fill `table`, which has no row that could differ, and show its rows as those that were staged."""
    session.load(table, rows)
    session.gather_statistics(table)
    session.execute(f"CREATE TEMPORARY VIEW {STAGED[table].name} AS SELECT * FROM {table.name}")  # noqa: S608 - names that we declare


def _merge_difference(session: TargetSession, table: TargetTable) -> None:
    """Write the rows of `table` that differ, and remove those that are gone."""
    key = ", ".join(table.key)
    values = ", ".join(f"{column} = excluded.{column}" for column in table.column_names if column not in table.key)
    # Names that we declare. Without a condition SQLite would take the next word for that of a join.
    rows = f"SELECT * FROM {STAGED[table].name} WHERE TRUE"  # noqa: S608
    session.execute(f"INSERT INTO {table.name} {rows} ON CONFLICT ({key}) DO UPDATE SET {values}")
    session.execute(f"DELETE FROM {table.name} WHERE ({key}) IN (SELECT {key} FROM {GONE[table].name})")  # noqa: S608


def _merge_table(session: TargetSession, table: TargetTable) -> None:
    """Make `table` what is staged for it, writing only rows that differ."""
    name, staged, key = table.name, STAGED[table].name, ", ".join(table.key)
    others = [column for column in table.column_names if column not in table.key]
    is_same = " AND ".join(f"staged.{column} = held.{column}" for column in table.key)
    is_alike = " AND ".join(f"staged.{column} IS NOT DISTINCT FROM held.{column}" for column in others)
    values = ", ".join(f"{column} = excluded.{column}" for column in others)
    # Names that we declare.
    differing = f"SELECT * FROM {staged} AS staged WHERE NOT EXISTS (SELECT 1 FROM {name} AS held WHERE {is_same} AND {is_alike})"  # noqa: S608
    session.execute(f"INSERT INTO {name} {differing} ON CONFLICT ({key}) DO UPDATE SET {values}")
    # As with what is open in the history.
    if session.count(_rows_of(table)) > session.count(_rows_of(STAGED[table])):
        session.execute(f"DELETE FROM {name} AS held WHERE NOT EXISTS (SELECT 1 FROM {staged} AS staged WHERE {is_same})")  # noqa: S608


def _is_empty(session: TargetSession, table: TargetTable) -> bool:
    return session.count(f"SELECT count(*) FROM (SELECT 1 FROM {table.name} LIMIT 1) AS found") == 0  # noqa: S608 - a name that we declare


def _rows_of(table: TargetTable) -> str:
    return f"SELECT count(*) FROM {table.name}"  # noqa: S608 - a name that we declare


def _create_missing_tables(session: TargetSession, optional: Iterable[TargetTable]) -> None:
    found = session.columns()
    for table in (*TARGET_TABLES, STATE, *optional):
        create_table(session, table, found)
    if HISTORY.name not in found:
        for statement in INDEXES:
            session.execute(statement)
    for view, statement in CREATE_VIEWS.items():
        if view not in found:
            session.execute(statement)
