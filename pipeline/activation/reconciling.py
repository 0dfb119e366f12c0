"""Reading everything back from a sink: what others changed there is found, and healed like any other difference."""

from __future__ import annotations

import json

from pipeline.activation.changes import Desired, change_between
from pipeline.activation.delivery import Delivery
from pipeline.activation.outbox import Outbox
from pipeline.activation.plan import add_to_delta, json_object
from pipeline.activation.sinks.sink import Customer, Sink
from pipeline.definitions.sinks import SinkDefinition

PAGE = 1000


def add_differences(outbox: Outbox, delivery: Delivery, sink: Sink) -> None:
    """Add to the delta who is not in the sink as it acknowledged, and who is on our lists there though nobody put them there."""
    if not sink.is_readable:
        return
    add_to_delta(outbox, _changed_there(sink.definition, outbox, delivery), ())
    known = {customer for (customer,) in outbox.rows("SELECT customer_id FROM wanted")}
    # Page by page inside the sink: only those who do not belong there are kept.
    orphans = {customer for customer in delivery.retry(lambda: list(sink.managed_customers())) if customer not in known}
    add_to_delta(outbox, (), orphans)


def _changed_there(definition: SinkDefinition, outbox: Outbox, delivery: Delivery) -> set[str]:
    query = f"""
        SELECT s.customer_id, s.remote_id, s.lists, s.fields, {json_object(definition.contact_fields)} FROM sync_state AS s
        LEFT JOIN raw_customer_contacts AS c USING (customer_id)
        WHERE s.is_active AND s.customer_id > $after AND s.customer_id NOT IN (SELECT customer_id FROM delta)
        ORDER BY s.customer_id LIMIT $page
    """  # noqa: S608 - declared names
    found: set[str] = set()
    after = ""
    while rows := outbox.rows(query, {"after": after, "page": PAGE}):
        remotes = delivery.resolve([Customer(customer, remote_id, json.loads(contacts)) for customer, remote_id, _, _, contacts in rows])
        for customer, _, lists, fields, _ in rows:
            remote = remotes.get(customer)
            change = change_between(Desired(customer, frozenset(json.loads(lists)), json.loads(fields)), remote, version=0)
            if change is None or not change.is_empty:
                found.add(customer)
        after = rows[-1][0]
    return found
