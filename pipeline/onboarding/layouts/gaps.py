"""Empty cells of a table of orders: what stands on the first line of an order alone, and rows of sums. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.onboarding.column_names import is_total
from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.layouts.order_totals import cells_by_order, has_digit


@dataclass(frozen=True, slots=True)
class Gaps:
    """What empty cells mean: `filled` are columns that stand on one line of an order alone.

    Of rows without a date, `left_out` are sums or notes, `undated` are neither, and have this `amount`. Of the `sold` rows, `nobodys`
    have no customer.
    """

    filled: tuple[str, ...] = ()
    left_out: int = 0
    undated: int = 0
    amount: Decimal = Decimal()
    sold: int = 0
    nobodys: int = 0


def find_gaps(  # noqa: PLR0913
    reading: TableReading, *, order: str, date: str, amount: str, customers: Sequence[str], of_order: Sequence[str]
) -> Gaps:
    """Return what the empty cells of a table mean.

    `order`, `date` and `amount` name its columns, `of_order` those that say something of an order as a whole; empty where there is none.
    """
    filled = tuple(name for name in of_order if name and order and _stands_on_one_line(reading, order, name))
    by_order = _first_values(reading, order, date) if date in filled else {}
    left_out, undated, total, sold, nobodys = 0, 0, Decimal(), 0, 0
    style = reading.style(amount) if amount else None
    whole = reading.sample.column_names
    named = reading.sample.records((date, order, amount))
    buyers = reading.sample.records(customers or [""])
    is_filled = any(name in filled for name in customers)
    for (day, number, paid), buyer, cells in zip(named, buyers, reading.sample.records(whole), strict=True):
        if (day and not is_total(day)) or (not day and number in by_order):
            sold += 1
            nobodys += not any(buyer) and not is_filled
            continue
        if style is None or not has_digit(paid) or any(map(is_total, cells)):
            left_out += 1
        else:
            undated += 1
            total += style.number(paid)
    return Gaps(filled, left_out, undated, total, sold, nobodys)


def _stands_on_one_line(reading: TableReading, order: str, name: str) -> bool:
    """Return whether some lines of orders lack the cell that another line of theirs has, and no order has two different ones."""
    orders = [set(cells) for cells in cells_by_order(reading, order, name).values()]
    return any("" in cells and len(cells) > 1 for cells in orders) and all(len(cells - {""}) <= 1 for cells in orders)


def _first_values(reading: TableReading, order: str, name: str) -> Mapping[str, str]:
    return {number: cell for number, cell in reading.sample.records((order, name)) if number and cell}
