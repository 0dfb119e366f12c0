"""Reading everything back from a sink: what others changed there is found, and healed like any other difference."""

from __future__ import annotations

import json
from itertools import islice

from pipeline.activation.changes import Desired, change_between
from pipeline.activation.delivery import Delivery
from pipeline.activation.field_sql import json_object
from pipeline.activation.outbox import Outbox
from pipeline.activation.plan import add_to_delta
from pipeline.activation.sinks.sink import Customer, Sink
from pipeline.definitions.sinks import SinkDefinition

PAGE = 1000


def add_differences(outbox: Outbox, delivery: Delivery, sink: Sink) -> None:
    """Add to the delta who is not in the sink as it acknowledged, and who is on our lists there though nobody put them there."""
    if not sink.is_readable:
        return
    _add_changed(sink.definition, outbox, delivery)
    # From the start where reading breaks off: who is in the delta already is not added again.
    delivery.retry(lambda: _add_orphans(outbox, sink))


def _add_orphans(outbox: Outbox, sink: Sink) -> None:
    found = iter(sink.managed_customers())
    while page := list(islice(found, PAGE)):
        add_to_delta(outbox, (), page)


def _add_changed(definition: SinkDefinition, outbox: Outbox, delivery: Delivery) -> None:
    query = f"""
        SELECT s.customer_id, s.remote_id, s.lists, s.fields, {json_object(definition.contact_fields)} FROM sync_state AS s
        LEFT JOIN crm_contacts AS c USING (customer_id)
        WHERE s.is_active AND s.customer_id > $after AND s.customer_id NOT IN (SELECT customer_id FROM delta WHERE operation <> 'change')
        ORDER BY s.customer_id LIMIT $page
    """  # noqa: S608 - declared names
    after = ""
    while rows := outbox.rows(query, {"after": after, "page": PAGE}):
        remotes = delivery.resolve([Customer(customer, remote_id, json.loads(contacts)) for customer, remote_id, _, _, contacts in rows])
        found = []
        for customer, _, lists, fields, _ in rows:
            remote = remotes.get(customer)
            change = change_between(Desired(customer, frozenset(json.loads(lists)), json.loads(fields)), remote, version=0)
            if change is None or not change.is_empty:
                found.append(customer)
        add_to_delta(outbox, found, ())
        after = rows[-1][0]
