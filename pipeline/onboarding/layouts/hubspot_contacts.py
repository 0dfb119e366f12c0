"""HubSpot, Contacts, Export: one row per contact, with the properties that were chosen.

By HubSpot's knowledge base, "Export your records" and "HubSpot's default contact properties" (knowledge.hubspot.com). Times are those of
the account's time zone.
"""

from __future__ import annotations

from pipeline.onboarding.attributes import attribute_columns
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading
from pipeline.onboarding.layouts.people import people_part

NAME = "hubspot_contacts"
_UNSUBSCRIBED = "Unsubscribed from all email"
_OWN = (
    *("Record ID", "First Name", "Last Name", "Email", "Phone Number", "Contact owner", "Create Date", "Last Activity Date"),
    *("Associated Company IDs", _UNSUBSCRIBED, "Marketing contact status"),
)


def read(reading: TableReading) -> TablePart:
    """Return what an export of contacts gives a company."""
    reading.assume("A customer is an e-mail address, whatever its case; without one, the `Record ID` of HubSpot.")
    customer = f"COALESCE(lower({reading.text('Email')}), {reading.text('Record ID')})"
    created = reading.moment("Create Date") if reading.has_values("Create Date") else ""
    consent = ""
    if reading.has_values(_UNSUBSCRIBED):
        consent = f"lower({reading.text(_UNSUBSCRIBED)}) NOT IN ('true', 'yes')"
        column = reading.column(_UNSUBSCRIBED)
        blank = column.row_count - column.given_count
        silent = f", save those of whom `{_UNSUBSCRIBED}` says nothing ({blank:,}): nobody knows, and they are published" if blank else ""
        reading.assume(f"Who is unsubscribed from all e-mail did not agree to be written to; all other contacts did{silent}.")
    attributes = attribute_columns(reading, _OWN, are_words_taken=True)
    return people_part(reading, customer=customer, attributes=attributes, created=created, consent=consent, rank=2)


LAYOUT = Layout(
    NAME,
    "HubSpot contacts export",
    "contacts",
    ("Record ID", "First Name", "Last Name", "Email"),
    read,
    key=("Record ID",),
    moments=("Create Date",),
    has_amounts=False,
)
