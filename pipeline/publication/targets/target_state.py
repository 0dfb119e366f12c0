"""What a database target holds: the publication that it was brought to last, noted in it, and whether that is still so.

The note is written in the transaction that brings the rows. Where anything is in doubt, the whole publication is sent and compared with
what is there: after the first one, a rollback, a rerun of the same day or an erasure, where another version made a table, where customers
are spoken to in another way, and where somebody else wrote to a table since.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from pipeline.errors import DataError, TransientError
from pipeline.lake.tables import Column, Kind
from pipeline.publication.targets.differences import PublicationDifference
from pipeline.publication.targets.published_night import PublishedNight
from pipeline.publication.targets.sessions import TargetSession
from pipeline.publication.targets.tables import CURRENT, HISTORY, TargetTable

log = logging.getLogger("pipeline.publication")

FEWEST_ROWS: Final = 50_000
"""Below that many memberships all are sent: to compare would take longer."""
STATE: Final = TargetTable(
    "publication_state",
    (
        Column("publication_id", Kind.TEXT, "The publication whose rows the tables hold.", required=True),
        Column("settings_digest", Kind.TEXT, "What they follow from besides: how customers are spoken to.", required=True),
        Column("write_mark", Kind.TEXT, "What tells whether somebody else has written to the tables since.", required=True),
    ),
    ("publication_id",),
)
_NEWEST: Final = "SELECT publication_id FROM publications WHERE day = (SELECT max(day) FROM publications)"


@contextmanager
def difference_to_target(
    session: TargetSession, night: PublishedNight, found: Mapping[str, Sequence[str]]
) -> Iterator[PublicationDifference | None]:
    """Yield the rows by which the night differs from what the target holds; None where all of its rows have to be sent.

    `found` are the tables that the target had before.
    """
    folder = _folder_of_held(session, night, found)
    if folder is None:
        yield None
        return
    with night.engine() as engine:
        difference = None
        if engine is not None:
            try:
                difference = PublicationDifference(engine, night, folder)
            except (DataError, TransientError) as error:
                log.warning("the publication that the database target holds cannot be compared with: %s", error.what)
        if difference is not None and not _is_untouched(session, difference, found):
            log.warning("somebody else wrote to the database target since the last publication: all of its rows are compared")
            difference = None
        yield difference


def note_state(session: TargetSession, night: PublishedNight) -> None:
    """Note in the target that it holds the night, and nothing else."""
    session.execute(f"DELETE FROM {STATE.name}")  # noqa: S608 - a name that we declare
    row = {"publication_id": night.publication_id, "settings_digest": night.settings_digest, "write_mark": session.write_mark()}
    session.load(STATE, [pa.RecordBatch.from_pylist([row])])


def _folder_of_held(session: TargetSession, night: PublishedNight, found: Mapping[str, Sequence[str]]) -> Path | None:
    """Return the folder of the publication that the target holds; None where that is unknown, not kept, or not of an earlier day."""
    if STATE.name not in found or night.is_way_back:
        return None
    ids = list(session.texts(f"SELECT publication_id FROM {STATE.name}"))  # noqa: S608 - a name that we declare
    digests = list(session.texts(f"SELECT settings_digest FROM {STATE.name}"))  # noqa: S608
    # A rerun of a day first undoes what an earlier run of it kept of that day, which no difference tells.
    earlier = f"{_NEWEST} AND day < (SELECT day FROM night) AND membership_count >= {FEWEST_ROWS:d}"  # noqa: S608
    if ids != list(session.texts(earlier)) or digests != [night.settings_digest]:
        return None
    return night.folder_of(ids[0])


def _is_untouched(session: TargetSession, difference: PublicationDifference, found: Mapping[str, Sequence[str]]) -> bool:
    """Return whether the tables hold as many rows as they were given, and nobody else has written to them since."""
    [mark] = session.texts(f"SELECT write_mark FROM {STATE.name}")  # noqa: S608 - a name that we declare
    if CURRENT not in difference.tables:  # a publication that is being removed, or was by hand
        return False
    expected = {table: difference.count_before(table) for table in difference.tables}
    for table in (*expected, HISTORY):
        condition = "valid_to IS NULL" if table is HISTORY else "TRUE"
        # One row of the history is open for each membership.
        count = expected[CURRENT if table is HISTORY else table]
        if table.name not in found or session.untouched_count(table, condition, mark) != count:
            return False
    return True
