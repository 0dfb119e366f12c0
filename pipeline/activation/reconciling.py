"""Reading everything back from a sink: what others changed there is found, and healed like any other difference."""

from __future__ import annotations

import json

from pipeline.activation.changes import Desired, change_between
from pipeline.activation.delivery import Delivery
from pipeline.activation.outbox import Outbox
from pipeline.activation.plan import add_to_delta
from pipeline.activation.sinks.sink import Sink

PAGE = 1000


def add_differences(outbox: Outbox, delivery: Delivery, sink: Sink) -> None:
    """Add to the delta who is not in the sink as it acknowledged, and who is on our lists there though nobody put them there."""
    if not sink.is_readable:
        return
    add_to_delta(outbox, _changed_there(outbox, delivery), ())
    known = {customer for (customer,) in outbox.rows("SELECT customer_id FROM wanted")}
    # Page by page inside the sink: only those who do not belong there are kept.
    orphans = {customer for customer in delivery.retry(lambda: list(sink.managed_customers())) if customer not in known}
    add_to_delta(outbox, (), orphans)


def _changed_there(outbox: Outbox, delivery: Delivery) -> set[str]:
    query = """
        SELECT customer_id, lists, fields FROM sync_state
        WHERE is_active AND customer_id > $after AND customer_id NOT IN (SELECT customer_id FROM delta) ORDER BY customer_id LIMIT $page
    """
    found: set[str] = set()
    after = ""
    while rows := outbox.rows(query, {"after": after, "page": PAGE}):
        remotes = delivery.resolve([customer for customer, _, _ in rows])
        for customer, lists, fields in rows:
            remote = remotes.get(customer)
            change = change_between(Desired(customer, frozenset(json.loads(lists)), json.loads(fields)), remote, version=0)
            if change is None or not change.is_empty:
                found.add(customer)
        after = rows[-1][0]
    return found
