"""Tables of the CRM in the database target: the same columns as in the publication, and only rows that are new written.

    crm_profiles     one row per customer, tombstones among them
    crm_changes      what changed on the last 31 days, in order
    crm_audiences    hashed addresses; in PostgreSQL in a schema of its own, so that it can be granted apart
    crm_members      a view: who is on which list

Numbers of changes only grow, so what the target lacks is what lies beyond its last number. Whether that is all is counted afterwards:
a table that was lost, or that somebody changed by hand, is written anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake.tables import CRM_AUDIENCES, CRM_CHANGES, CRM_PROFILES
from pipeline.publication.crm.tombstones import ERASURE, REASONS
from pipeline.publication.targets.sessions import TargetSession, create_table, load_table
from pipeline.publication.targets.tables import TargetTable

PROFILES: Final = TargetTable(CRM_PROFILES.name, CRM_PROFILES.columns, CRM_PROFILES.key)
CHANGES: Final = TargetTable(CRM_CHANGES.name, CRM_CHANGES.columns, CRM_CHANGES.key)
HASHED_AUDIENCES: Final = TargetTable(CRM_AUDIENCES.name, CRM_AUDIENCES.columns, CRM_AUDIENCES.key)
CRM_TARGETS: Final = (PROFILES, CHANGES, HASHED_AUDIENCES)
_BATCH_ROWS: Final = 16_384  # a row of a profile has a kilobyte
MEMBERS_VIEW: Final = "crm_members"
# What stays of who was erased, for as long as readers need to learn of it.
TOMBSTONES: Final = {name: f"{reason} = '{ERASURE}'" for name, reason in REASONS.items()}
# Whom campaigns leave alone as `withheld_lists.sql` has it, asked of one customer at a time, as readers of a view do.
CREATE_MEMBERS: Final = """
    CREATE VIEW crm_members AS
    SELECT listed.customer_id, listed.list_kind, listed.list_name
    FROM (
        SELECT customer_id, 'audience' AS list_kind, audience AS list_name FROM audience_members
        UNION ALL
        SELECT customer_id, 'segment' AS list_kind, scheme || '.' || segment AS list_name FROM customer_segments
        UNION ALL
        SELECT customer_id, 'campaign' AS list_kind, 'campaign.' || campaign_id || '.' || arm AS list_name FROM campaign_arms
        WHERE NOT is_control AND NOT is_holdout
    ) AS listed
    JOIN crm_profiles AS profile ON profile.customer_id = listed.customer_id AND profile.is_member
    WHERE NOT EXISTS (
        SELECT 1 FROM campaign_arms AS held
        WHERE held.customer_id = listed.customer_id AND held.is_control AND (
            held.list_name = listed.list_name
            OR (held.is_holdout AND (
                listed.list_kind = 'audience' OR listed.list_name IN (SELECT list_name FROM campaign_arms WHERE list_name IS NOT NULL)
            ))
        )
    )
"""


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A table of the publication whose rows have numbers, and those of them that the target lacks."""

    table: TargetTable
    path: Path

    def rows(self, after: int = 0) -> Iterator[pa.RecordBatch]:
        """Yield rows with a number beyond `after`, and tombstones of who was erased in any case."""
        reason = REASONS[self.table.name]
        for batch in _batches(self.path, self.table):
            is_new = pc.greater(batch["change_seq"], after)
            is_tombstone = pc.fill_null(pc.equal(batch[reason], ERASURE), fill_value=False)
            yield batch.filter(pc.or_(is_new, is_tombstone)) if after else batch

    def is_whole(self, session: TargetSession) -> bool:
        """Whether the target holds as many rows with the same numbers."""
        numbers = pq.read_table(self.path, columns=["change_seq"])["change_seq"]
        held = (session.count(f"SELECT {figure} FROM {self.table.name}") for figure in ("count(*)", _SUM))  # noqa: S608 - names that we declare
        return tuple(held) == (len(numbers), pc.sum(numbers).as_py() or 0)


_SUM = "CAST(COALESCE(sum(change_seq), 0) AS BIGINT)"


def publishes_crm(folder: Path) -> bool:
    """Return whether the publication in `folder` has tables of the CRM."""
    return _file(folder, PROFILES).exists()


def merge_crm(session: TargetSession, folder: Path, found: Mapping[str, Sequence[str]]) -> None:
    """Bring the tables of the CRM to the publication in `folder`; `found` are the tables that the target has.

    Where the publication has none, those of an earlier one are emptied.
    """
    if not publishes_crm(folder):
        _empty(session, found)
        return
    for table in CRM_TARGETS:
        create_table(session, table, found)
    if MEMBERS_VIEW not in found:
        session.execute(CREATE_MEMBERS)
    for table in (PROFILES, CHANGES):
        _merge_numbered(session, _Numbered(table, _file(folder, table)))
    _replace(session, HASHED_AUDIENCES, _batches(_file(folder, HASHED_AUDIENCES), HASHED_AUDIENCES))


def _merge_numbered(session: TargetSession, numbered: _Numbered) -> None:
    name, staged = numbered.table.name, f"staged_{numbered.table.name}"
    last = session.count(f"SELECT COALESCE(max(change_seq), 0) FROM {name}")  # noqa: S608 - a name that we declare
    if last:
        load_table(session, TargetTable(staged, numbered.table.columns, numbered.table.key), numbered.rows(last))
        session.execute(f"DELETE FROM {name} WHERE {TOMBSTONES[name]}")  # noqa: S608
        [key] = numbered.table.key
        session.execute(f"DELETE FROM {name} WHERE {key} IN (SELECT {key} FROM {staged})")  # noqa: S608
        session.execute(f"INSERT INTO {name} SELECT * FROM {staged}")  # noqa: S608
        session.execute(f"DROP TABLE {staged}")
        if numbered.table is CHANGES:
            oldest = pc.min(pq.read_table(numbered.path, columns=["change_seq"])["change_seq"]).as_py() or 0
            session.execute(f"DELETE FROM {name} WHERE change_seq < {oldest:d}")  # noqa: S608
    if not numbered.is_whole(session):
        session.execute(f"DELETE FROM {name}")  # noqa: S608
        session.load(numbered.table, numbered.rows())


def _replace(session: TargetSession, table: TargetTable, batches: Iterator[pa.RecordBatch]) -> None:
    """Make `table` what `batches` hold, writing only rows that differ."""
    staged = TargetTable(f"staged_{table.name}", table.columns, table.key)
    load_table(session, staged, batches)
    columns = ", ".join(table.column_names)
    is_same = " AND ".join(f"one.{column} IS NOT DISTINCT FROM other.{column}" for column in table.column_names)
    lacking = "SELECT * FROM {} AS one WHERE NOT EXISTS (SELECT 1 FROM {} AS other WHERE {})"
    key = ", ".join(table.key)
    gone = lacking.format(table.name, staged.name, is_same).replace("*", key, 1)
    session.execute(f"DELETE FROM {table.name} WHERE ({key}) IN ({gone})")  # noqa: S608
    session.execute(f"INSERT INTO {table.name} ({columns}) {lacking.format(staged.name, table.name, is_same)}")
    session.execute(f"DROP TABLE {staged.name}")


def _empty(session: TargetSession, found: Mapping[str, Sequence[str]]) -> None:
    if MEMBERS_VIEW in found:
        session.execute(f"DROP VIEW {MEMBERS_VIEW}")
    for table in CRM_TARGETS:
        if table.name in found:
            session.execute(f"DELETE FROM {table.name}")  # noqa: S608 - a name that we declare


def _batches(path: Path, table: TargetTable) -> Iterator[pa.RecordBatch]:
    for batch in pq.ParquetFile(path, page_checksum_verification=True).iter_batches(_BATCH_ROWS, columns=table.column_names):
        yield batch.select(table.column_names)


def _file(folder: Path, table: TargetTable) -> Path:
    return folder / f"{table.name}.parquet"
