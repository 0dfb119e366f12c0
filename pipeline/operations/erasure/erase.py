"""Erase customers from a lake and its database targets, whatever interrupts it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.ingestion.erased.hashes import ErasedIds
from pipeline.ingestion.erased.ledger import Ledger, Receipt
from pipeline.lake.lake import Lake
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.publications import Publications
from pipeline.operations.erasure.rows import CustomerIds
from pipeline.operations.erasure.table_files import TableFiles
from pipeline.operations.erasure.targets import postgresql_targets, sqlite_targets

log = logging.getLogger("pipeline.operations.erasure")


class CustomerDataStore(Protocol):
    """Somewhere rows of customers are kept."""

    def customer_ids(self) -> Iterator[pa.Array]:
        """Yield the ids of the customers who have rows there, with repetitions and nulls."""

    def count(self, ids: CustomerIds) -> Mapping[str, Mapping[str, int]]:
        """Return what is to go, in files and rows, by the name of its table."""

    def remove(self, ids: CustomerIds) -> None:
        """Remove what was just counted; the same call mends an interrupted one."""


def erase_customers(deployment: Deployment, ids: Iterable[str], *, wait_seconds: float = 600) -> Receipt:
    """Remove every row about the customers `ids` from the lake and its database targets, for good, and return the receipt.

    The request is written down first, as keyed hashes: from then on no extraction brings them back, and `finish_erasures`
    completes what was interrupted. White space around an id does not count. Raises ConfigError where no id is given,
    LockTimeout where a step of a night goes on for longer than `wait_seconds`, DataError where a file cannot be read,
    TransientError where disk or database failed.
    """
    wanted = CustomerIds.of(ids)
    if not len(wanted.values):
        raise ConfigError("no customer is named", where="segments erase", todo="Give ids, or a file with one on each line.")
    lake = deployment.lake
    ledger = Ledger(lake)
    number = ledger.record(wanted.texts)
    with holding_off_nights(lake, wait_seconds=wait_seconds):
        receipts = {each: _carry_out_request(ledger, each, _data_stores(deployment), lake, wanted) for each in ledger.pending()}
    return receipts.get(number) or ledger.receipt(number)


def finish_erasures(deployment: Deployment, *, wait_seconds: float = 600) -> list[Receipt]:
    """Complete what an interrupted erasure left, and return the receipts; nothing where there is nothing to do."""
    lake = deployment.lake
    ledger = Ledger(lake)
    if not ledger.pending():
        return []
    log.info("an erasure was interrupted and is finished first")
    with holding_off_nights(lake, wait_seconds=wait_seconds):
        places = _data_stores(deployment)
        return [_carry_out_request(ledger, number, places, lake, CustomerIds.of(())) for number in ledger.pending()]


@contextmanager
def holding_off_erasures(lake: Lake) -> Iterator[None]:
    """Hold off erasures for the time of the block; one that already waits goes first."""
    with lake.lock("erasure-turn", is_shared=True):
        pass
    with lake.lock("erasure", is_shared=True):
        yield


@contextmanager
def holding_off_nights(lake: Lake, *, wait_seconds: float) -> Iterator[None]:
    """Wait until no step of a night is under way, and hold off the next one for the time of the block."""
    with lake.lock("erasure-turn", timeout_seconds=wait_seconds), lake.lock("erasure", timeout_seconds=wait_seconds):
        yield


def _data_stores(deployment: Deployment) -> Sequence[CustomerDataStore]:
    """Return all places: first those that others read, then those that may stop the rest, by a damaged file or out of reach."""
    lake = deployment.lake
    tables = TableFiles(lake, memory_limit=deployment.memory_limit)
    return [Publications(lake), *sqlite_targets(lake), tables, *postgresql_targets(deployment.company, lake, deployment.connections)]


def _carry_out_request(ledger: Ledger, number: str, places: Sequence[CustomerDataStore], lake: Lake, known: CustomerIds) -> Receipt:
    with lake.private_folder():
        pass  # what dead processes staged is gone by now
    ids = _ids_of_request(ledger.of_request(number), ledger.hashes(number), known, places)
    ledger.note(number, {})
    for place in places:
        ledger.note(number, place.count(ids))
        place.remove(ids)
    receipt = ledger.complete(number)
    log.info("erasure %s is complete: %s rows of %s customers", number, f"{receipt.row_count:,}", len(receipt.customers))
    return receipt


def _ids_of_request(erased: ErasedIds, hashes: Sequence[str], known: CustomerIds, places: Sequence[CustomerDataStore]) -> CustomerIds:
    """Return the ids behind `hashes`: those of the caller or, for what an interrupted call wanted, those still kept anywhere."""
    given = erased.among(known.values).to_pylist()
    if len(given) == len(hashes):
        return CustomerIds.of(given)
    found = (each for place in places for ids in place.customer_ids() for each in erased.among(ids).to_pylist())
    return CustomerIds.of([*given, *found])
