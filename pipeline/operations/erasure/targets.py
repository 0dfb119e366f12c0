"""The database targets as stores of customer data: SQLite in the lake, and PostgreSQL elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from functools import partial
from itertools import islice

import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.operations.erasure.rows import CustomerIds
from pipeline.publication.current import (
    Publication,
    current_publication,
    publication_from_manifest,
    publication_ids,
    read_published_manifest,
)
from pipeline.publication.targets.forget import count_customer_rows, forget_customers, stored_customer_ids
from pipeline.publication.targets.published_night import PublishedNight
from pipeline.publication.targets.sessions import TargetSession
from pipeline.publication.targets.sqlite import compact_sqlite, sqlite_session

BATCH_IDS = 65_536  # in memory at a time


class DatabaseTarget:
    """The tables that we publish to in one database."""

    def __init__(self, name: str, lake: Lake, open_session: Callable[[], AbstractContextManager[TargetSession]]) -> None:
        self._name, self._lake, self._open_session = name, lake, open_session

    def customer_ids(self) -> Iterator[pa.Array]:
        """Yield the ids that the tables hold, with repetitions."""
        with self._open_session() as session:
            ids = stored_customer_ids(session)
            while some := list(islice(ids, BATCH_IDS)):
                yield pa.array(some, pa.string())

    def count(self, ids: CustomerIds) -> dict[str, dict[str, int]]:
        """Count rows to remove, by table."""
        with self._open_session() as session:
            return {f"{self._name}/{name}": {"rows": count} for name, count in count_customer_rows(session, ids.values).items()}

    def remove(self, ids: CustomerIds) -> None:
        """Delete the rows of `ids`, in one transaction."""
        with self._open_session() as session:
            forget_customers(session, ids.values, _published_nights(self._lake))


class SQLiteTarget(DatabaseTarget):
    """The one file in the lake."""

    def __init__(self, lake: Lake) -> None:
        super().__init__(addresses.SQLITE, lake, partial(_sqlite_session, lake))

    def remove(self, ids: CustomerIds) -> None:
        """Delete the rows of `ids`, and compact the file: SQLite leaves what it deleted in free pages."""
        super().remove(ids)
        with self._lake.store.edit(addresses.SQLITE) as file:
            compact_sqlite(file)


@contextmanager
def _sqlite_session(lake: Lake) -> Iterator[TargetSession]:
    with lake.store.edit(addresses.SQLITE) as file, sqlite_session(file) as session:
        yield session


def sqlite_targets(lake: Lake) -> list[DatabaseTarget]:
    """Return the lake's own file, where there is one, even if the company publishes elsewhere now."""
    return [SQLiteTarget(lake)] if lake.exists(addresses.SQLITE) else []


def postgresql_targets(company: Company, lake: Lake, connections: Callable[[str], str]) -> list[DatabaseTarget]:
    """Return the schema that the company publishes to, if any."""
    target = company.target
    if target.kind != "postgresql":
        return []
    # Loads the driver, which a company that publishes elsewhere may not have installed.
    from pipeline.publication.targets.postgresql import postgresql_session

    return [DatabaseTarget("postgresql", lake, lambda: postgresql_session(connections(target.connection), target))]


def _published_nights(lake: Lake) -> list[PublishedNight]:
    """Return the stored publications, one per day: the current one where a day has two; it comes last."""
    manifests = [read_published_manifest(lake, name) for name in publication_ids(lake)]
    current = current_publication(lake)
    stored: list[Publication] = [publication_from_manifest(manifest) for manifest in manifests] + ([current] if current else [])
    # The current one comes last, so it is the one that stays.
    by_day: dict[date, Publication] = {}
    for each in stored:
        by_day.pop(each.day, None)
        by_day[each.day] = each
    return [PublishedNight(each.day, each.publication_id, lake.local(each.prefix)) for each in by_day.values()]
