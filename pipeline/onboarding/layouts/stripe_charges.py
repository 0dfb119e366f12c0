"""Stripe charges as its API and Sigma give them: amounts in the smallest unit of their currency, instants as seconds since 1970 or in UTC.

By Stripe's reference, "The Charge object" (docs.stripe.com/api/charges/object).
"""

from __future__ import annotations

import re

from pipeline.onboarding.layouts.flat_orders import FlatOrders, order_part
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading
from pipeline.onboarding.layouts.stripe_payments import TRIALS, is_captured
from pipeline.onboarding.layouts.trial_orders import is_trial

NAME = "stripe_charges"


def read(reading: TableReading) -> TablePart:
    """Return what a table of Stripe charges gives a company."""
    reading.assume("A customer is the e-mail address of the receipt, whatever its case; without one, the customer id of Stripe.")
    reading.assume("Amounts are in the smallest unit of the currency, such as cents; refunds count for the day of their charge.")
    units = reading.minor_units
    email = reading.text("receipt_email", "customer_email", "billing_details_email", "billing_details.email")
    good = f"{reading.text('status')} = 'succeeded'" if reading.has("status") else f"lower({reading.text('paid')}) IN ('true', 't', '1')"
    if reading.has_values("captured"):
        good += f" AND {is_captured(reading, 'captured')}"
    reading.assume("Charges that failed or were not captured are left out.")
    rows = {
        "order_id": reading.text("id"),
        "customer_id": f"COALESCE(lower({email}), {reading.text('customer', 'customer_id')})",
        "ordered_at": _created(reading),
        "quantity": "CAST(1 AS DECIMAL(18, 4))",
        "net_amount": _in_units(reading, "amount", units),
        "currency": f"upper({reading.text('currency')})",
        "refunded": f"COALESCE({_in_units(reading, 'amount_refunded', units)}, 0)",
    }
    if trial := is_trial(reading, TRIALS, "charge"):
        rows["is_cancelled"] = trial
    return order_part(reading, FlatOrders(rows, good))


def _in_units(reading: TableReading, name: str, units: int) -> str:
    factor = {1: "1", 100: "0.01", 1000: "0.001"}[units]
    return f"CAST({reading.amount(name)} * {factor} AS DECIMAL(18, 4))"


def _created(reading: TableReading) -> str:
    if all(re.fullmatch(r"\d{9,10}", value) for value in reading.column("created").counts):
        return f"to_timestamp(CAST({reading.quoted('created')} AS BIGINT))"
    return reading.format("created").sql(reading.quoted("created"), "UTC")


LAYOUT = Layout(
    NAME,
    "Stripe charges",
    "charges",
    ("id", "amount", "amount_refunded", "currency", "created", "status|paid"),
    read,
    key=("id",),
    currencies=("currency",),
)
