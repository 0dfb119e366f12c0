"""Stripe, Payments, Export: one row per payment, amounts in units of their currency, instants in UTC.

By Stripe's help, "Exporting payment reports" (support.stripe.com) and the columns that its dashboard offers: currencies are in small
letters; failed payments are in the export; `Amount Refunded` is what went back so far, newer exports have `Refunded date (UTC)`.
"""

from __future__ import annotations

import re

from pipeline.onboarding.attributes import place_columns
from pipeline.onboarding.layouts.flat_orders import FlatOrders, order_part
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading, quoted_text
from pipeline.onboarding.layouts.trial_orders import is_trial
from pipeline.onboarding.table_sample import TableSample

NAME = "stripe_payments"
CREATED = ("Created (UTC)", "Created date (UTC)", "Created")
_REFUNDED, _DISPUTE, _DISPUTED = "Refunded date (UTC)", "Disputed Amount", "Dispute Date (UTC)"
NO = ("false", "f", "0")
TRIALS = {"Mode": "^test", "livemode": f"^({'|'.join(NO)})$"}
# Whole words: `Incomplete` and `Unpaid` are neither, and `not paid` is none.
_PAID = re.compile(r"(?<!not[ _])(?<![a-z])(paid|succeed(ed)?|refund(ed)?|completed?)(?![a-z])")
_USUALLY_PAID = ("paid", "succeeded", "complete", "completed", "refunded", "partially refunded", "partial refund")


def read(reading: TableReading) -> TablePart:
    """Return what a Stripe payments export gives a company."""
    reading.assume("A customer is the e-mail address of the payment, whatever its case; without one, the customer id of Stripe.")
    reading.assume(
        "net_amount is the amount of the payment: tax and shipping are in it where you charged them; Stripe's fees are not taken off."
    )
    created = next(name for name in CREATED if reading.has(name))
    suffix = "Converted " if currency_columns(reading.sample) == ("Converted Currency",) else ""
    if suffix:
        reading.assume("Payments are in several currencies: their amounts are those that Stripe converted into yours.")
    rows = {
        "order_id": reading.text("id"),
        "customer_id": f"COALESCE(lower({reading.text('Customer Email', 'Email')}), {reading.text('Customer ID', 'Customer')})",
        "ordered_at": reading.moment(created, "UTC"),
        "quantity": "CAST(1 AS DECIMAL(18, 4))",
        "net_amount": reading.amount(f"{suffix}Amount"),
        "currency": f"upper({reading.text(f'{suffix}Currency')})",
        "refunded": f"COALESCE({reading.amount(f'{suffix}Amount Refunded')}, 0)",
    }
    if trial := is_trial(reading, TRIALS, "payment"):
        rows["is_cancelled"] = trial
    if reading.has_values(_REFUNDED):
        rows["refunded_at"] = reading.moment(_REFUNDED)
        reading.assume(f"A refund counts from the day on that `{_REFUNDED}` says.")
    else:
        reading.assume("The export does not date refunds: they count for the day of their payment.")
    _take_lost_disputes_off(reading, rows, suffix, created)
    if 1 < len(reading.column("Description").counts) <= _MOST_DESCRIPTIONS:
        rows["product_id"] = reading.text("Description")
    attributes = place_columns(reading, _PLACES, "`{column}` of the newest payment.")
    return order_part(reading, FlatOrders(rows, _condition(reading), attributes=attributes))


def _take_lost_disputes_off(reading: TableReading, rows: dict[str, str], suffix: str, created: str) -> None:
    """Let what a lost dispute took away be given back, on the day of the dispute; an open or won one takes nothing.

    A later export may have some though this one has none: then they are written as other amounts and times are, such as that of `created`.
    """
    is_disputed = any(re.search("[1-9]", value) for value in reading.column(_DISPUTE).counts)
    if not reading.has_values("Dispute Status") and is_disputed:
        reading.assume("Disputed payments count in full: the export does not say for good who kept the money.")
        return
    if not reading.has("Dispute Status") or not reading.has(_DISPUTE):
        return
    is_lost = f"lower({reading.text('Dispute Status')}) = 'lost'"
    lost = reading.style(_DISPUTE, "Amount").sql(reading.quoted(_DISPUTE))
    if suffix:
        # The disputed amount is in the currency of the payment.
        share = f"{lost} * {reading.amount(f'{suffix}Amount')} / NULLIF({reading.amount('Amount')}, 0)"
        lost = f"CAST(round({share}, {len(str(reading.minor_units)) - 1}) AS DECIMAL(18, 4))"
    rows["refunded"] = f"{rows['refunded']} + CASE WHEN {is_lost} THEN COALESCE({lost}, 0) ELSE 0 END"
    day = "the day of the payment, as the export does not say when"
    if reading.has(_DISPUTED):
        day = f"the day that `{_DISPUTED}` says"
        dated = reading.format(_DISPUTED if reading.has_values(_DISPUTED) else created).sql(reading.quoted(_DISPUTED), "UTC")
        rows["refunded_at"] = f"COALESCE({rows.get('refunded_at', 'NULL')}, CASE WHEN {is_lost} THEN {dated} END)"
    if is_disputed:
        count = sum(count for status, count in reading.column("Dispute Status").counts.items() if status.lower() == "lost")
        found = f"{count:,} {'is' if count == 1 else 'are'}" if count else "none is"
        reading.assume(f"Disputed payments count in full unless the dispute is lost ({found}): then `{_DISPUTE}` is given back, on {day}.")


_MOST_DESCRIPTIONS = 100
_PLACES = {"country": ("Card Address Country", "Card Issue Country"), "city": ("Card Address City",)}


def _condition(reading: TableReading) -> str:
    """Return the SQL condition for payments that went through."""
    statuses = reading.column("Status")
    good = [status for status in statuses.values if _PAID.search(status.lower())]
    rest = [status for status in statuses.values if status not in good]
    if rest:
        count = sum(statuses.counts[status] for status in rest)
        reading.assume(f"Payments that did not go through are left out: {count:,} with the status {', '.join(rest)}.")
    # A later export may have a status that this one has not, and payments that were not captured.
    listed = ", ".join(map(quoted_text, dict.fromkeys((*map(str.lower, good), *_USUALLY_PAID))))
    condition = f"lower({reading.text('Status')}) IN ({listed})"
    if any(value.lower() in NO for value in reading.column("Captured").counts):
        reading.assume("Payments that were authorized but not captured are left out.")
    return f"{condition} AND {is_captured(reading, 'Captured')}" if reading.has_values("Captured") else condition


def is_captured(reading: TableReading, column: str) -> str:
    """Return the SQL condition of payments whose money was taken: those of which the column does not say no."""
    return f"COALESCE(lower({reading.text(column)}) NOT IN ({', '.join(map(quoted_text, NO))}), TRUE)"


def currency_columns(sample: TableSample) -> tuple[str, ...]:
    """Return the column that names the currency of the amounts to take: the converted one where payments are in several."""
    is_converted = len(sample.column("Currency").counts) > 1 and len(sample.column("Converted Currency").counts) == 1
    return ("Converted Currency",) if is_converted else ("Currency",)


LAYOUT = Layout(
    NAME,
    "Stripe payments export",
    "payments",
    ("id", "|".join(CREATED), "Amount", "Amount Refunded", "Currency", "Status"),
    read,
    key=("id",),
    currencies_of=currency_columns,
    money=("Amount",),
)
