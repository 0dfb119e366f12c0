"""Columns of numbers of a table of orders, the sums of each order's rows, and what totals of orders show. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain, combinations

from pipeline.onboarding.column_names import is_no_amount, is_plain_id, is_subtotal_name, is_total
from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.layouts.order_columns import OrderColumns
from pipeline.onboarding.number_styles import number_style
from pipeline.onboarding.roles import Role, column_roles, plain_name, without_totals

CENT = Decimal("0.01")
MOST_TERMS = 6
_NO_TERMS = {Role.ORDER_ID, Role.CUSTOMER, Role.DATE, Role.TIME, Role.PRODUCT, Role.QUANTITY, Role.PRICE, Role.REFUND}


def is_of_whole_order(reading: TableReading, order: str, column: str) -> bool:
    """Return whether the column repeats one amount on all rows of each order, so that adding it up would count it several times."""
    if column in reading.of_orders:
        return True
    if not order or not column:
        return False
    several = [cells for cells in cells_by_order(reading, order, column).values() if len(cells) > 1]
    return len(several) > 1 and all(len(set(cells)) == 1 for cells in several)


def cells_by_order(reading: TableReading, order: str, column: str) -> dict[str, list[str]]:
    """Return the cells of a column on the rows of each order; rows of no order, such as sums below the others, have none."""
    found: dict[str, list[str]] = defaultdict(list)
    for number, (cell,) in zip(orders_of_rows(reading, order), reading.sample.records((column,)), strict=True):
        if number:
            found[number].append(cell)
    return found


def orders_of_rows(reading: TableReading, order: str) -> list[str]:
    """Return which order each row is of by the column `order`; empty for rows of none, such as sums below the others."""
    return ["" if is_total(number) else number for (number,) in reading.sample.records((order,))]


def is_order_discount_taken_off(reading: TableReading, columns: OrderColumns) -> bool | None:
    """Return whether lines are after the discount of their order: as totals of orders show, that are lines plus shipping and the like.

    None where no total shows it.
    """
    order, discount = columns.get(Role.ORDER_ID), columns.get(Role.DISCOUNT)
    sums, firsts = order_sums(reading, order, _line_amounts(reading, columns))
    if not firsts:
        return None
    whole = {name: numbers_of(reading, name) for name in terms_of(reading, columns) if is_of_whole_order(reading, order, name)}
    added = [name for name in whole if is_no_amount(plain_name(name))][:MOST_TERMS]
    taken = numbers_of(reading, discount)
    for total in (name for name in whole if name not in added and name != discount):
        for chosen in ((), *subsets_of(added)):
            rest = {
                number: whole[total][place] - sums[number] - sum(whole[name][place] for name in chosen) for number, place in firsts.items()
            }
            if all(abs(each) < CENT for each in rest.values()) and chosen:
                return True
            if all(abs(each + abs(taken[firsts[number]])) < CENT for number, each in rest.items()):
                return False
    return None


def implied_discount(reading: TableReading, columns: OrderColumns) -> tuple[str, tuple[str, ...]]:
    """Return the column of orders' totals, and of shipping and the like in them, below which some orders are and none is above.

    What such an order lacks was taken off it, as by a coupon of which no column says the amount. Empty where no total fits most orders.
    """
    order, amount = columns.get(Role.ORDER_ID), columns.get(Role.AMOUNT)
    sums, firsts = order_sums(reading, order, _line_amounts(reading, columns))
    if not firsts:
        return "", ()
    # Where each row is an order of its own, its subtotal stands for its lines.
    is_subtotal = len(firsts) == sum(map(bool, orders_of_rows(reading, order))) and is_subtotal_name(plain_name(amount))
    terms = [name for name in terms_of(reading, columns) if name != amount]
    whole = {name: numbers_of(reading, name) for name in terms if is_subtotal or is_of_whole_order(reading, order, name)}
    added = [name for name in whole if is_no_amount(plain_name(name))][:MOST_TERMS]
    found: list[tuple[int, int, str, tuple[str, ...]]] = []
    for total in (name for name in whole if name not in added and not is_subtotal_name(plain_name(name))):
        for chosen in ((), *subsets_of(added)):
            rest = [sums[number] + sum(whole[name][place] for name in chosen) - whole[total][place] for number, place in firsts.items()]
            fitting = sum(abs(each) < CENT for each in rest)
            if min(rest) > -CENT and len(rest) > fitting > len(rest) / 2:
                found.append((fitting, -len(chosen), total, chosen))
    return max(found)[2:] if found else ("", ())


def order_sums(reading: TableReading, order: str, amounts: Sequence[Decimal]) -> tuple[dict[str, Decimal], dict[str, int]]:
    """Return the sum of the rows of each order, and the place of its first row; rows of no order are left out."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    firsts: dict[str, int] = {}
    for place, (number, amount) in enumerate(zip(orders_of_rows(reading, order), amounts, strict=True)):
        if number:
            sums[number] += amount
            firsts.setdefault(number, place)
    return sums, firsts


def is_sum_of_orders(reading: TableReading, columns: OrderColumns, amounts: Sequence[Decimal]) -> bool:
    """Return whether amounts of rows add up to a column that says something of whole orders, in each order."""
    order = columns.get(Role.ORDER_ID)
    sums, firsts = order_sums(reading, order, amounts)
    totals = [numbers_of(reading, name) for name in terms_of(reading, columns) if is_of_whole_order(reading, order, name)]
    return bool(firsts) and any(all(abs(total[place] - sums[number]) < CENT for number, place in firsts.items()) for total in totals)


def _line_amounts(reading: TableReading, columns: OrderColumns) -> list[Decimal]:
    amount, price, quantity = (columns.get(role) for role in (Role.AMOUNT, Role.PRICE, Role.QUANTITY))
    if columns.is_amount_of_order:
        # Once for each order.
        amounts, (_, firsts) = numbers_of(reading, amount), order_sums(reading, columns.get(Role.ORDER_ID), numbers_of(reading, amount))
        once = set(firsts.values())
        return [number if place in once else Decimal() for place, number in enumerate(amounts)]
    if amount or columns.is_price_of_row or not quantity:
        return numbers_of(reading, amount or price)
    return [one * count for one, count in zip(numbers_of(reading, price), numbers_of(reading, quantity), strict=True)]


def terms_of(reading: TableReading, columns: OrderColumns) -> list[str]:
    """Return the columns of numbers that may be terms of a sum: no ids, quantities, unit prices or dates."""
    roles: dict[str, set[Role]] = defaultdict(set)
    for each in column_roles(reading.sample):
        roles[each.column].add(each.role)
    taken = {name for role, name in columns.by_role.items() if role in _NO_TERMS}
    return [
        column.name
        for column in reading.sample.columns()
        if column.name not in taken
        and not (roles[column.name] & _NO_TERMS)
        and not is_plain_id(plain_name(column.name))
        and number_style(without_totals(column.counts))
        and any(map(reading.style(column.name).number, filter(has_digit, column.counts)))
    ]


def numbers_of(reading: TableReading, name: str) -> list[Decimal]:
    """Return the number in each cell of a column; zero where it has none."""
    style = reading.style(name)
    cells = [cell for (cell,) in reading.sample.records((name,))]
    # Many rows have the same amount: each is read once.
    numbers = {cell: style.number(cell) if has_digit(cell) else Decimal() for cell in set(cells)}
    return [numbers[cell] for cell in cells]


def has_digit(cell: str) -> bool:
    """Return whether a cell has anything that could be a number."""
    return any(character.isdigit() for character in cell)


def subsets_of(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every choice of at least one of the names, the smallest first."""
    return chain.from_iterable(combinations(names, size) for size in range(1, len(names) + 1))
