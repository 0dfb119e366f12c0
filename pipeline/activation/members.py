"""All members of all lists, as a sink acknowledged them, for sinks that take whole lists."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pipeline.activation.outbox import Outbox
from pipeline.activation.sinks.sink import Member
from pipeline.definitions.sinks import SinkDefinition

BATCH = 10_000


def acknowledged_members(outbox: Outbox, definition: SinkDefinition) -> Iterator[Member]:
    """Yield the members of all lists, in the order of lists and customers, with the contacts of today."""
    contacts = definition.contact_fields
    columns = "".join(f", coalesce(c.{ours}, '')" for ours in contacts.values())
    found = outbox.connection.execute(f"""
        SELECT l.list_name, s.customer_id, s.fields{columns} FROM sync_state AS s
        CROSS JOIN unnest(from_json(s.lists, '["VARCHAR"]')) AS l (list_name)
        LEFT JOIN crm_contacts AS c ON c.customer_id = s.customer_id
        WHERE s.is_active ORDER BY l.list_name, s.customer_id
    """)  # noqa: S608 - declared names
    while rows := found.fetchmany(BATCH):
        for name, customer, fields, *values in rows:
            yield Member(name, customer, {**dict(zip(contacts, values, strict=True)), **json.loads(fields)})
