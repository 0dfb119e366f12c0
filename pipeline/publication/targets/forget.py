"""What the database target still holds of some customers, and the statements that remove it; both databases share them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.publication.targets.crm import CRM_TARGETS, TOMBSTONES, merge_crm, publishes_crm
from pipeline.publication.targets.published_night import PublishedNight, load_night
from pipeline.publication.targets.sessions import TargetSession, load_table
from pipeline.publication.targets.tables import OPTIONAL, PUBLICATIONS, STAGED_NIGHT, TARGET_TABLES, TargetTable

CUSTOMER_ID: Final = "customer_id"
ERASED: Final = TargetTable("erased", tuple(column for column in CUSTOMER_SEGMENTS.columns if column.name == CUSTOMER_ID), (CUSTOMER_ID,))
# White space around an id makes nobody another person.
OF_ERASED: Final = "WHERE TRIM(customer_id, ' \t\n\v\f\r') IN (SELECT customer_id FROM erased)"
# A publication without them has another id.
RENAME_PUBLICATION: Final = """
    UPDATE publications SET publication_id = night.publication_id, membership_count = night.membership_count
    FROM night WHERE night.day = publications.day
"""


def stored_customer_ids(session: TargetSession) -> Iterator[str]:
    """Yield the ids of all customers in the target, with repetitions."""
    for name in _customer_tables(session):
        yield from session.texts(f"SELECT DISTINCT customer_id FROM {name}")  # noqa: S608 - a name that we declare


def count_customer_rows(session: TargetSession, ids: pa.Array) -> dict[str, int]:
    """Return the rows of the customers `ids`, by table; tables without any are left out."""
    _load_ids(session, ids)
    told = {name: f"AND ({condition}) IS NOT TRUE" for name, condition in TOMBSTONES.items()}
    counts = {
        name: session.count(f"SELECT count(*) FROM {name} {OF_ERASED} {told.get(name, '')}")  # noqa: S608 - a name that we declare
        for name in _customer_tables(session)
    }
    return {name: count for name, count in counts.items() if count}


def forget_customers(session: TargetSession, ids: pa.Array, nights: Sequence[PublishedNight]) -> None:
    """Remove the rows of the customers `ids`, and name the publications `nights`, of one day each, as they are named now.

    The last of them is live: from it come the tombstones by which readers of a CRM's tables learn who is gone.
    """
    _load_ids(session, ids)
    for name in _customer_tables(session):
        session.execute(f"DELETE FROM {name} {OF_ERASED}")  # noqa: S608 - a name that we declare
    if PUBLICATIONS.name in session.columns():
        for night in nights:
            load_night(session, night)
            session.execute(RENAME_PUBLICATION)
            session.execute(f"DROP TABLE {STAGED_NIGHT.name}")
    found = session.columns()
    if nights and publishes_crm(nights[-1].folder) and CRM_TARGETS[0].name in found:
        merge_crm(session, nights[-1].folder, found)


def _customer_tables(session: TargetSession) -> list[str]:
    found = session.columns()
    return [table.name for table in (*TARGET_TABLES, *OPTIONAL, *CRM_TARGETS) if table.name in found and CUSTOMER_ID in table.column_names]


def _load_ids(session: TargetSession, ids: pa.Array) -> None:
    load_table(session, ERASED, [pa.RecordBatch.from_arrays([ids], names=[CUSTOMER_ID])])
