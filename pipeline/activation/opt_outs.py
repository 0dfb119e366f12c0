"""Who said no: in this sink, and in the company's other ones.

By default an opt-out made in any sink holds in all: whoever unsubscribed from the newsletter gets no marketing by way of the CRM. A
sink that says `opt_outs = "own"` goes by those made in itself alone. Who is merged into another takes the opt-out along.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa

from pipeline.activation.outbox import Outbox
from pipeline.activation.sinks import sink_class
from pipeline.activation.sinks.sink import Sink
from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import PipelineError, TransientError

log = logging.getLogger("pipeline.activation")
OPTED_OUT = "opted_out"
"""The table of everybody to whom nothing is sent, of which `wanted` leaves out all."""


def note_opt_outs(outbox: Outbox, customers: Collection[str] | None) -> None:
    """Remember who said no in the sink itself; None where it has no such thing."""
    if customers is None:
        return
    with outbox.transaction(), _new_opt_outs(outbox, customers):
        outbox.connection.execute("DELETE FROM opt_outs WHERE customer_id NOT IN (SELECT customer_id FROM new_opt_outs)")
        outbox.connection.execute("INSERT INTO opt_outs SELECT customer_id FROM new_opt_outs ON CONFLICT DO NOTHING")


def read_opt_outs_elsewhere(
    outbox: Outbox, others: Collection[SinkDefinition], read: Callable[[SinkDefinition], Collection[str] | None], *, now: datetime
) -> None:
    """Remember who said no in the `others`; `read` asks one of them.

    One that is out of reach is gone by as it was read last. Raises TransientError where it never was: nobody knows whom to leave out.
    """
    others = [each for each in others if has_opt_outs(each)]
    names = [each.name for each in others]
    with outbox.transaction():
        for table in ("opt_outs_elsewhere", "opt_out_readings"):
            outbox.connection.execute(f"DELETE FROM {table} WHERE sink NOT IN (SELECT unnest($names::VARCHAR[]))", {"names": names})  # noqa: S608 - names of ours
    for each in others:
        try:
            found = read(each)
        except PipelineError as error:
            _go_by_last_reading(outbox, each, error)
        else:
            _note_reading(outbox, each, found or (), now)


def forget_opt_outs_elsewhere(outbox: Outbox) -> None:
    """Forget who said no in other sinks: this one goes by its own alone."""
    with outbox.transaction():
        outbox.connection.execute("DELETE FROM opt_outs_elsewhere")
        outbox.connection.execute("DELETE FROM opt_out_readings")


def gather_opted_out(outbox: Outbox) -> None:
    """Make the table `opted_out` of everybody who said no anywhere that counts, and of those whom they were merged into."""
    outbox.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {OPTED_OUT} AS
        WITH said AS (SELECT customer_id FROM opt_outs UNION SELECT customer_id FROM opt_outs_elsewhere)
        SELECT customer_id FROM said
        UNION SELECT v.survivor_id FROM said JOIN survivors AS v USING (customer_id)
    """)  # noqa: S608 - a name of ours


def has_opt_outs(definition: SinkDefinition) -> bool:
    """Return whether people can opt out in sinks of the kind."""
    return sink_class(definition).opted_out is not Sink.opted_out


def _note_reading(outbox: Outbox, other: SinkDefinition, customers: Collection[str], now: datetime) -> None:
    note = {"sink": other.name, "system": other.system_digest}
    with outbox.transaction(), _new_opt_outs(outbox, customers):
        outbox.connection.execute("DELETE FROM opt_outs_elsewhere WHERE sink = $sink", {"sink": other.name})
        outbox.connection.execute("DELETE FROM opt_out_readings WHERE sink = $sink", {"sink": other.name})
        outbox.connection.execute("INSERT INTO opt_outs_elsewhere SELECT customer_id, $sink FROM new_opt_outs", {"sink": other.name})
        outbox.connection.execute("INSERT INTO opt_out_readings VALUES ($sink, $system, $now)", note | {"now": now.replace(tzinfo=None)})


def _go_by_last_reading(outbox: Outbox, other: SinkDefinition, error: PipelineError) -> None:
    query = "SELECT read_at FROM opt_out_readings WHERE sink = $sink AND system = $system"
    read = outbox.rows(query, {"sink": other.name, "system": other.system_digest})
    if not read:
        raise TransientError(
            f"who opted out in {other.name} cannot be read, and never was: {error.what}",
            where=error.where or other.where,
            todo=f'{error.todo} Or write `opt_outs = "own"` where opt-outs made elsewhere need not count.'.strip(),
        ) from None
    log.warning("who opted out in %s cannot be read (%s): as on %s", other.name, error.what, f"{read[0][0]:%Y-%m-%d %H:%M} UTC")


@contextmanager
def _new_opt_outs(outbox: Outbox, customers: Collection[str]) -> Iterator[None]:
    """Give the customers as the table `new_opt_outs` for the time of the block."""
    outbox.connection.register("new_opt_outs", pa.table({"customer_id": pa.array(sorted(customers), pa.string())}))
    try:
        yield
    finally:
        outbox.connection.unregister("new_opt_outs")
