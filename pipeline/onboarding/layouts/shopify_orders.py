"""Shopify, Orders, Export: `orders_export.csv`, one row per line of an order.

By Shopify's help, "Exporting orders to a CSV file" (help.shopify.com/en/manual/fulfillment/managing-orders/exporting-orders): cells of the
order stand on its first row alone; `Subtotal` is after discounts and before shipping and taxes; `Created at` has the offset of the shop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from pipeline.onboarding.layouts.layout import AttributeDraft, Layout, TablePart, TableReading
from pipeline.onboarding.layouts.trial_orders import is_trial

NAME = "shopify_orders"
UNPAID = ("pending", "authorized")
CALLED_OFF = ("voided", "expired")
# The gateway for tests is called Bogus; who tries out another one tags the order.
TRIALS = {"Payment Method": "bogus", "Tags": r"(^|,)\s*test( order)?\s*(,|$)"}
PLACE = (
    AttributeDraft("city", "geographic", "City that the newest order went to."),
    AttributeDraft("region", "geographic", "Province or state that the newest order went to."),
    AttributeDraft("country", "geographic", "Country that the newest order went to."),
)
TIPS = ("tip", "tips", "gratuity", "trinkgeld", "pourboire", "propina", "mancia", "fooi", "gorjeta")
_MOST_CATEGORIES = 100


def read(reading: TableReading) -> TablePart:
    """Return what a Shopify orders export gives a company."""
    unpaid = reading.option(f"{reading.table}.unpaid", "left-out", ["counted"])
    statuses = CALLED_OFF if unpaid == "counted" else (*UNPAID, *CALLED_OFF)
    if unpaid == "left-out" and any(status.lower() in UNPAID for status in reading.column("Financial Status").counts):
        reading.assume(f"Orders pending or authorized are not paid and do not count; --set {reading.table}.unpaid=counted counts them.")
    reading.assume("An order counts from `Created at` on. Cancelled, voided and expired orders are kept, but count nowhere.")
    paid = "`Subtotal`" if reading.has("Subtotal") else "prices times quantities, as the export has no `Subtotal`"
    reading.assume(
        f"net_amount is what was paid for the goods: {paid}, after all discounts, without shipping; discounts of an order are shared "
        "out over its lines to the cent."
    )
    orders = _order_amounts(reading)
    if _has_tax_within(orders):
        reading.assume("Your prices include tax, so net_amount does.")
    if reading.has_values("Refunded Amount"):
        reading.assume(
            "The export does not date refunds: they count for the day of their order. `Refunded Amount` gives goods back first; what "
            "exceeds them is shipping or tax and left out."
        )
    has_phone = reading.has("Phone")
    known = "; without one, a phone number. Orders with neither" if has_phone else ". Orders without one"
    reading.assume(f"A customer is an e-mail address, whatever its case{known} belong to nobody and are left out.")
    if count := sum(number for name, number in reading.column("Lineitem name").counts.items() if "gift card" in name.lower()):
        lines = "1 line is a gift card, which counts" if count == 1 else f"{count:,} lines are gift cards, which count"
        reading.assume(f"{lines} as a sale; the net sales of Shopify's own reports leave gift cards out.")
    has_consents = reading.has_values("Accepts Marketing")
    email = f"lower(max({reading.text('Email')}))"
    customer = f"COALESCE({email}, max({reading.text('Phone')}))" if has_phone else email
    return TablePart(
        reading.table,
        lines=reading.render(
            NAME,
            "lines",
            customer=customer,
            line_order=_line_order(reading),
            category=_category(reading),
            is_before_discount=_is_subtotal_before_discount(reading, orders),
            tips=", ".join(f"'{name}'" for name in TIPS) if _are_tips_apart(reading, orders) else "",
            trial=is_trial(reading, TRIALS, "order"),
            uncounted=", ".join(f"'{status}'" for status in statuses),
        ),
        line_columns=("discount_amount", "product_id", "category", "channel", "is_cancelled", "refunded_order_day", "currency"),
        people=reading.render(NAME, "people", customer=customer),
        rank=5,
        attributes=PLACE,
        consents=reading.render(NAME, "consents", customer=customer) if has_consents else "",
    )


def _line_order(reading: TableReading) -> str:
    columns = ("Lineitem name", "Lineitem sku", "Lineitem price", "Lineitem quantity", "Lineitem discount", "Vendor")
    return ", ".join(reading.quoted(name) for name in columns if reading.has(name))


def _category(reading: TableReading) -> str:
    vendors = reading.column("Vendor").counts
    if len(vendors) > 1:
        reading.assume("The category of a line is its `Vendor`, as the export has no better one.")
        return reading.text("Vendor")
    names = {name.partition(" - ")[0] for name in reading.column("Lineitem name").counts}
    if len(names) <= _MOST_CATEGORIES:
        reading.assume("The category of a line is the name of its product without the variant, as the export has no better one.")
        return f"trim(split_part({reading.quoted('Lineitem name')}, ' - ', 1))"
    reading.assume("Categories are unknown: the export has none, and too many products to take their names.")
    return "NULL"


def _order_amounts(reading: TableReading) -> list[dict[str, Decimal]]:
    """Return the amounts of each order that has a subtotal: its own, and what its lines, and its `tips`, cost before its own discount."""
    names = ("Subtotal", "Discount Amount", "Shipping", "Taxes", "Total", "Lineitem quantity", "Lineitem price", "Lineitem discount")
    styles = {name: reading.style(name) for name in names if reading.has(name)}
    orders: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for order, item, *cells in reading.sample.records(("Name", "Lineitem name", *names)):
        given = {name: styles[name].number(cell) for name, cell in zip(names, cells, strict=True) if cell and name in styles}
        amounts = orders[order]
        amounts["tips" if item.lower() in TIPS else "lines"] += given.get("Lineitem quantity", Decimal()) * given.get(
            "Lineitem price", Decimal()
        ) - given.get("Lineitem discount", Decimal())
        for name in names[:5]:
            if name in given:
                amounts[name] = given[name]
    return [amounts for amounts in orders.values() if "Subtotal" in amounts]


def _are_tips_apart(reading: TableReading, orders: Sequence[Mapping[str, Decimal]]) -> bool:
    """Return whether tips are lines that `Subtotal` does not have: some totals add up only with them on top, and none without."""
    tipped = [each for each in orders if each["tips"] > 0 and "Total" in each]

    def is_sum(each: Mapping[str, Decimal], more: Decimal) -> bool:
        rest = each["Total"] - each["Shipping"] - more
        goods = (each["Subtotal"], each["Subtotal"] - each["Discount Amount"])
        return any(rest in (amount, amount + each["Taxes"]) for amount in goods)

    is_so = any(is_sum(each, each["tips"]) for each in tipped) and not any(is_sum(each, Decimal()) for each in tipped)
    if is_so:
        names = reading.column("Lineitem name").counts
        count = sum(number for name, number in names.items() if name.lower() in TIPS)
        said = "1 line is a tip" if count == 1 else f"{count:,} lines are tips"
        reading.assume(f"{said}, which `Subtotal` does not have, as `Total` shows: no goods, so left out.")
    return is_so


def _is_subtotal_before_discount(reading: TableReading, orders: Sequence[Mapping[str, Decimal]]) -> bool:
    """Return whether the orders with a discount add up only if `Subtotal` is taken as before it, against what is documented."""
    discounted = [each for each in orders if each["Discount Amount"] > 0 and "Total" in each]
    sums = [(each["Subtotal"] - each["Discount Amount"] + each["Shipping"], each) for each in discounted]
    is_so = bool(sums) and all(
        (each["Subtotal"] == each["lines"] and each["Total"] - each["tips"] in (rest, rest + each["Taxes"]))
        or (each["Subtotal"] == each["lines"] + each["tips"] and each["Total"] in (rest, rest + each["Taxes"]))
        for rest, each in sums
    )
    if is_so:
        reading.assume("In this export `Subtotal` is before the discount of the order, as `Total` shows: the discount is taken off.")
    return is_so


def _has_tax_within(orders: Sequence[Mapping[str, Decimal]]) -> bool:
    taxed = [each for each in orders if each["Taxes"] > 0 and "Total" in each]
    return bool(taxed) and all(each["Total"] - each["Subtotal"] - each["Shipping"] in (0, each["tips"]) for each in taxed)


LAYOUT = Layout(
    NAME,
    "Shopify orders export",
    "orders",
    ("Name", "Created at", "Financial Status", "Lineitem quantity", "Lineitem name", "Lineitem price"),
    read,
    key=("Name",),
    moments=("Created at",),
    currencies=("Currency",),
)
