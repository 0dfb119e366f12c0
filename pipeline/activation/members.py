"""All members of all lists, as a sink acknowledged them, for sinks that take whole lists."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pipeline.activation.outbox import Outbox
from pipeline.activation.sinks.sink import Member
from pipeline.definitions.sinks import SinkDefinition

BATCH = 10_000


def acknowledged_members(outbox: Outbox, definition: SinkDefinition) -> Iterator[Member]:
    """Yield the members of all lists, in the order of customers, with the contacts of today.

    Some thousand customers are read at a time, so that memory does not grow with their number.
    """
    contacts = definition.contact_fields
    columns = "".join(f", coalesce(c.{ours}, '')" for ours in contacts.values())
    query = f"""
        SELECT s.customer_id, s.lists, s.fields{columns} FROM sync_state AS s
        LEFT JOIN (SELECT * FROM crm_contacts WHERE customer_id > $after AND customer_id <= $last) AS c USING (customer_id)
        WHERE s.is_active AND s.customer_id > $after AND s.customer_id <= $last ORDER BY s.customer_id
    """  # noqa: S608 - declared names
    for part in outbox.customer_ranges("sync_state", BATCH):
        for customer, lists, fields, *values in outbox.rows(query, part):
            content = {**dict(zip(contacts, values, strict=True)), **json.loads(fields)}
            for name in json.loads(lists):
                yield Member(name, customer, content)
