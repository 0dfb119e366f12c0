"""Stripe charges as its API and Sigma give them: amounts in the smallest unit of their currency, instants as seconds since 1970 or in UTC.

By Stripe's reference, "The Charge object" (docs.stripe.com/api/charges/object) and "Supported currencies" (docs.stripe.com/currencies), not
ISO 4217: to Stripe, ISK and UGX have cents and MGA has none.
"""

from __future__ import annotations

import re

from pipeline.onboarding.layouts.flat_orders import FlatOrders, order_part
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading, quoted_text
from pipeline.onboarding.layouts.stripe_payments import TRIALS, is_captured
from pipeline.onboarding.layouts.trial_orders import is_trial

NAME = "stripe_charges"
_NO_DIGITS = ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
_THREE_DIGITS = ("BHD", "JOD", "KWD", "OMR", "TND")


def read(reading: TableReading) -> TablePart:
    """Return what a table of Stripe charges gives a company."""
    reading.assume("A customer is the e-mail address of the receipt, whatever its case; without one, the customer id of Stripe.")
    reading.assume("Amounts are in the smallest unit of the currency, such as cents; refunds count for the day of their charge.")
    currency = f"upper({reading.text('currency')})"
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
        "net_amount": _in_units(reading, "amount", currency),
        "currency": currency,
        "refunded": f"COALESCE({_in_units(reading, 'amount_refunded', currency)}, 0)",
    }
    if trial := is_trial(reading, TRIALS, "charge"):
        rows["is_cancelled"] = trial
    return order_part(reading, FlatOrders(rows, good))


def _in_units(reading: TableReading, name: str, currency: str) -> str:
    """Return the SQL of an amount in units of the currency of its row."""
    none, three = (", ".join(map(quoted_text, codes)) for codes in (_NO_DIGITS, _THREE_DIGITS))
    factor = f"CASE WHEN {currency} IN ({none}) THEN 1 WHEN {currency} IN ({three}) THEN 0.001 ELSE 0.01 END"
    return f"CAST({reading.amount(name)} * {factor} AS DECIMAL(18, 4))"


def _created(reading: TableReading) -> str:
    if all(re.fullmatch(r"\d{9,10}", value) for value in reading.column("created").counts):
        return f"to_timestamp(CAST({reading.quoted('created')} AS BIGINT))"
    return reading.moment("created", "UTC")


LAYOUT = Layout(
    NAME,
    "Stripe charges",
    "charges",
    ("id", "amount", "amount_refunded", "currency", "created", "status|paid"),
    read,
    key=("id",),
    currencies=("currency",),
)
