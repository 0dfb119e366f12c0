"""Erase customers from a lake and its database targets, whatever interrupts it.

A request is first written into the ledger, as keyed hashes, so that the ledger itself names nobody. Then one store after the other
is counted and cleared, and a receipt completes the request. Every part can be repeated: an erasure that was interrupted is taken
up again by the next night, or the next erasure, before anything else. As the ids themselves are stored nowhere, it finds them by
hashing what is still there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa

from pipeline.errors import ConfigError, TransientError
from pipeline.features import MergeHistory
from pipeline.ingestion.erased import ErasedIds, Ledger, Receipt
from pipeline.lake.lake import Lake
from pipeline.lake.workers import Workers
from pipeline.log_fields import Count
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.kept_versions import require_expiring_versions
from pipeline.operations.erasure.publications import Publications
from pipeline.operations.erasure.rows import CustomerIds
from pipeline.operations.erasure.stored_lists import StoredCustomerLists
from pipeline.operations.erasure.table_files import TableFiles
from pipeline.operations.erasure.targets import postgresql_targets, sqlite_targets

log = logging.getLogger("pipeline.operations.erasure")


class SinkNotErased(TransientError):
    """A sink could not be asked to forget customers: whatever else holds them is cleared, and the request stays open."""


class CustomerDataStore(Protocol):
    """A place that holds rows of customers: tables, publications, a database."""

    def customer_ids(self) -> Iterator[pa.Array]:
        """Yield the ids of the customers who have rows there, with repetitions and nulls."""

    def count(self, ids: CustomerIds) -> Mapping[str, Mapping[str, int]]:
        """Count the files and rows to remove, by the name of their table."""

    def remove(self, ids: CustomerIds) -> None:
        """Remove what was just counted; the same call completes an interrupted one."""


def erase_customers(deployment: Deployment, ids: Iterable[str], *, wait_seconds: float = 600) -> Receipt:
    """Remove every row about the customers `ids` from the lake and its database targets, for good, and return the receipt.

    The request is written down first, as keyed hashes: from then on no extraction brings them back, and `finish_erasures`
    completes what was interrupted. Whom the source merged with them is the same person, and is erased too, whichever id is given. White
    space around an id does not count. Raises ConfigError where no id is given, or the lake keeps old versions and nobody says when they go,
    LockTimeout where a step of a night goes on for longer than `wait_seconds`, DataError where a file cannot be read,
    TransientError where disk or database failed.
    """
    wanted = CustomerIds.of(ids)
    if not len(wanted.values):
        raise ConfigError("no customer is named", where="segments erase", todo="Give ids, or a file with one on each line.")
    lake = deployment.lake
    expiring = require_expiring_versions(lake, deployment.versions_expire_days)
    wanted = CustomerIds(MergeHistory(lake, deployment.company.zone).ids_of_same_people(wanted.values))
    ledger = Ledger(lake)
    # Before anything is waited for: from here on the request survives whatever happens to this process.
    number = ledger.record_request(wanted.texts)
    if expiring:
        ledger.note_removals(number, {}, versions_expire_days=expiring)
    with holding_off_nights(lake, wait_seconds=wait_seconds), deployment.workers() as workers:
        stores = _data_stores(deployment, workers)
        receipts = {each: _carry_out_request(ledger, each, stores, lake, wanted) for each in ledger.pending_requests()}
    return receipts.get(number) or ledger.read_receipt(number)


def finish_erasures(deployment: Deployment, *, wait_seconds: float = 600, are_sinks_required: bool = True) -> list[Receipt]:
    """Complete what an interrupted erasure left, and return the receipts; nothing where there is nothing to do.

    Unless sinks are required, one that cannot be reached leaves its request open, for the next time: all else is done by then.
    """
    lake = deployment.lake
    ledger = Ledger(lake)
    if not ledger.pending_requests():  # without a lock, for every night asks
        return []
    log.info("an erasure was interrupted and is finished first")
    with holding_off_nights(lake, wait_seconds=wait_seconds), deployment.workers() as workers:
        stores = _data_stores(deployment, workers)
        receipts = []
        for number in ledger.pending_requests():
            try:
                receipts.append(_carry_out_request(ledger, number, stores, lake, CustomerIds.of(())))
            except SinkNotErased as waiting:
                if are_sinks_required:
                    raise
                log.warning("erasure %s stays open: %s", number, waiting.what)
        return receipts


@contextmanager
def holding_off_erasures(lake: Lake) -> Iterator[None]:
    """Hold off erasures for the time of the block; one that already waits goes first."""
    # A shared lock alone would let nights follow each other for ever while an erasure waits: it holds the turn meanwhile.
    with lake.lock("erasure-turn", is_shared=True):
        pass
    with lake.lock("erasure", is_shared=True):
        yield


@contextmanager
def holding_off_nights(lake: Lake, *, wait_seconds: float) -> Iterator[None]:
    """Wait until no step of a night is under way, and hold off the next one for the time of the block."""
    with lake.lock("erasure-turn", timeout_seconds=wait_seconds), lake.lock("erasure", timeout_seconds=wait_seconds):
        yield


def _data_stores(deployment: Deployment, workers: Workers) -> Sequence[CustomerDataStore]:
    """Return all stores: first those that others read, last those that may fail, by a damaged file or a database out of reach."""
    # Every night asks for erasures; what speaks with sinks is loaded where there is one.
    from pipeline.operations.erasure.catalogue import catalogued_tables
    from pipeline.operations.erasure.sinks import synced_sinks

    lake = deployment.lake
    tables = TableFiles(lake, memory_limit=deployment.memory_limit, workers=workers)
    return [
        Publications(lake),
        *sqlite_targets(lake),
        StoredCustomerLists(lake),
        tables,
        *postgresql_targets(deployment.company, lake, deployment.connections),
        *synced_sinks(deployment),
        *catalogued_tables(deployment),
    ]


def _carry_out_request(ledger: Ledger, number: str, stores: Sequence[CustomerDataStore], lake: Lake, given: CustomerIds) -> Receipt:
    with lake.private_folder():
        pass  # making one clears what dead processes staged, which may hold customers too
    ids = _ids_of_request(ledger.ids_of_request(number), ledger.hashes_of_request(number), given, stores)
    ledger.note_removals(number, {})
    for store in stores:
        # Before the rows are gone: afterwards nobody could count them.
        ledger.note_removals(number, store.count(ids))
        store.remove(ids)
    receipt = ledger.complete_request(number)
    fields = {"erasure": number, "rows": Count(receipt.row_count), "customers": len(receipt.customers)}
    log.info("erasure %(erasure)s is complete: %(rows)s rows of %(customers)s customers", fields)
    return receipt


def _ids_of_request(erased: ErasedIds, hashes: Sequence[str], given: CustomerIds, stores: Sequence[CustomerDataStore]) -> CustomerIds:
    """Return the ids behind `hashes`: those `given` by the caller or, for an interrupted request, those still stored anywhere."""
    requested = erased.among(given.values).to_pylist()
    if len(requested) == len(hashes):
        return CustomerIds.of(requested)
    stored = (each for store in stores for ids in store.customer_ids() for each in erased.among(ids).to_pylist())
    return CustomerIds.of([*requested, *stored])
