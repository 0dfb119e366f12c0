"""Shopify, Customers, Export: `customers_export.csv`, one row per customer.

By Shopify's help, "Customer CSV file" (help.shopify.com/en/manual/customers/import-export-customers). Older exports call the columns of the
address `City` and `Country`, newer ones `Default Address City`; ids begin with an apostrophe that keeps spreadsheets from rounding them.
"""

from __future__ import annotations

from pipeline.onboarding.attributes import AttributeColumn, place_columns
from pipeline.onboarding.layouts.layout import AttributeDraft, Layout, TablePart, TableReading
from pipeline.onboarding.layouts.people import people_part

NAME = "shopify_customers"
_PLACES = {
    "city": ("Default Address City", "City"),
    "region": ("Default Address Province Code", "Province Code", "Province"),
    "country": ("Default Address Country Code", "Country Code", "Country"),
}


def read(reading: TableReading) -> TablePart:
    """Return what a Shopify customers export gives a company."""
    reading.assume("A customer is an e-mail address, whatever its case; without one, a phone number.")
    phone = reading.text("Phone", "Default Address Phone")
    customer = f"COALESCE(lower({reading.text('Email')}), {phone})"
    attributes = place_columns(reading, _PLACES, "`{column}` of the customer.")
    if reading.has_values("Tags"):
        attributes.append(AttributeColumn(AttributeDraft("tags", "behavioural", "Tags of the customer.", "list"), reading.text("Tags")))
    return people_part(reading, customer=customer, attributes=attributes, consent=consent(reading), rank=1)


def consent(reading: TableReading) -> str:
    """Return the SQL of whether somebody agreed to e-mails; empty where nothing says so."""
    column = next((name for name in ("Accepts Email Marketing", "Accepts Marketing") if reading.has_values(name)), "")
    return f"lower({reading.text(column)}) IN ('yes', 'true')" if column else ""


LAYOUT = Layout(
    NAME,
    "Shopify customers export",
    "customers",
    ("First Name", "Last Name", "Email", "Accepts Email Marketing|Accepts Marketing", "Total Spent|Total Orders|Tax Exempt"),
    read,
    key=("Email",),
    has_amounts=False,
)
