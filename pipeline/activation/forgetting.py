"""Erasure in a sink, and in what is remembered of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from time import sleep

import pyarrow as pa

from pipeline.activation.delivery import Delivery
from pipeline.activation.outbox import OF_CUSTOMERS, Outbox, open_outbox, outbox_errors
from pipeline.activation.sinks import open_sink
from pipeline.activation.sinks.sink import Customer, Remote, Sink
from pipeline.definitions.sinks import SinkDefinition

log = logging.getLogger("pipeline.activation")
ATTEMPTS = 4


def remembered_customers(path: Path, *, memory_limit: str) -> Iterator[pa.Array]:
    """Yield the customers who are remembered of a sink, with repetitions."""
    with open_outbox(path, memory_limit=memory_limit) as outbox:
        for table in OF_CUSTOMERS:
            yield pa.array([customer for (customer,) in outbox.rows(f"SELECT customer_id FROM {table}")], pa.string())  # noqa: S608


def remembered_count(path: Path, ids: Iterable[str], *, memory_limit: str) -> int:
    """Return how many rows are remembered of these customers."""
    with open_outbox(path, memory_limit=memory_limit) as outbox:
        _name_erased(outbox, ids)
        return sum(outbox.count(f"SELECT count(*) FROM {table} SEMI JOIN erased USING (customer_id)") for table in OF_CUSTOMERS)  # noqa: S608


def erase_in_sink(  # noqa: PLR0913
    path: Path,
    ids: Iterable[str],
    definition: SinkDefinition,
    connections: Callable[[str], str],
    folder: Path,
    *,
    memory_limit: str,
    clock: Callable[[], datetime],
) -> None:
    """Have the sink forget these customers, whether or not a sync ever wrote them; raises what a sink raises."""
    wanted = list(ids)
    with closing(open_sink(definition, connections, folder, clock=clock)) as sink, open_outbox(path, memory_limit=memory_limit) as outbox:
        _name_erased(outbox, wanted)
        remotes = dict(
            outbox.rows("SELECT customer_id, coalesce(remote_id, customer_id) FROM sync_state SEMI JOIN erased USING (customer_id)")
        )
        if outbox.is_of_another_system(definition.system_digest):
            # A key of that system may be the key of somebody else in this one.
            remotes.clear()
            log.warning("%s was another system before: erase these customers there by hand", definition.name)
        delivery = Delivery(outbox, sink, sleep=sleep, clock=clock)
        asked = [Customer(customer, remotes.get(customer)) for customer in wanted]
        remotes |= {customer: remote.remote_id for customer, remote in _found_there(delivery, sink, asked).items()}
        if remotes:
            delivery.retry(lambda: sink.erase(remotes), attempts=ATTEMPTS)


def forget_customers(path: Path, ids: Iterable[str], *, memory_limit: str) -> None:
    """Remove what is remembered of these customers; the file is written anew, as DuckDB leaves what it deleted in free blocks."""
    new = path.with_name("new.duckdb")
    new.unlink(missing_ok=True)
    with open_outbox(path, memory_limit=memory_limit) as outbox:
        _name_erased(outbox, ids)
        with outbox.transaction():
            for table in OF_CUSTOMERS:
                outbox.connection.execute(f"DELETE FROM {table} WHERE customer_id IN (SELECT customer_id FROM erased)")  # noqa: S608
        outbox.connection.unregister("erased")
        name = outbox.rows("SELECT current_database()")[0][0]
        outbox.connection.execute(f"ATTACH '{str(new).replace(chr(39), chr(39) * 2)}' AS rewritten")
        outbox.connection.execute(f'COPY FROM DATABASE "{name}" TO rewritten')
        outbox.connection.execute("DETACH rewritten")
    with outbox_errors(path):
        new.replace(path)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


def _name_erased(outbox: Outbox, ids: Iterable[str]) -> None:
    outbox.connection.register("erased", pa.table({"customer_id": pa.array(sorted(ids), pa.string())}))


def _found_there(delivery: Delivery, sink: Sink, customers: list[Customer]) -> dict[str, Remote]:
    size = sink.batch_rows
    found: dict[str, Remote] = {}
    if sink.is_readable:
        for start in range(0, len(customers), size):
            found |= delivery.resolve(customers[start : start + size])
    return found
