"""Which columns say what was paid for the goods of a row: proved by arithmetic that holds in every row, else asked. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from pipeline.onboarding.column_names import is_no_amount, is_tax
from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.layouts.order_columns import OrderColumns, take_answer
from pipeline.onboarding.layouts.order_totals import (
    CENT,
    MOST_TERMS,
    has_digit,
    is_of_whole_order,
    is_sum_of_orders,
    numbers_of,
    subsets_of,
    terms_of,
)
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import ColumnRole, Role, column_roles, plain_name

_FEWEST_ROWS = 3
_PERCENT = re.compile(r"-?(\d+(?:[.,]\d+)?) ?%")
_OF_ONE = re.compile(r"\b(unit|each|per|einzel\w*|stuck\w*|unitaire|unitario|birim|list)\b")


def take_amount(reading: TableReading, columns: OrderColumns, fitting: Sequence[ColumnRole]) -> None:
    """Let the column of `fitting` that says what was paid for the goods of a row have the role; asks where several could.

    Without one it is quantity times price, or the price alone.
    """
    price, quantity = columns.get(Role.PRICE), columns.get(Role.QUANTITY)
    if not fitting and not price:
        unnamed = [name for name in terms_of(reading, columns) if not is_no_amount(plain_name(name)) and _has_fractions(reading, name)]
        fitting = [ColumnRole(name, Role.AMOUNT, 3, "its values are numbers") for name in unnamed]
    fitting = _distinct(reading, fitting)
    if price and quantity and any(_take_product(reading, columns, each.column) for each in fitting):
        return
    whole = [each for each in fitting if is_of_whole_order(reading, columns.get(Role.ORDER_ID), each.column)]
    fitting = [each for each in fitting if each not in whole] if len(whole) < len(fitting) or price else fitting
    if not fitting and price:
        columns.is_price_of_row = bool(quantity) and _is_price_of_row(reading, columns)
        return
    if _take_sum(reading, columns, [each.column for each in fitting]):
        return
    product = f"{quantity} x {price}"
    if price and quantity and fitting:
        fitting = [*fitting, ColumnRole(product, Role.AMOUNT, 2, "is worked out from both")]
    take_answer(reading, columns, Role.AMOUNT, fitting, "says what was paid for the row")
    if columns.get(Role.AMOUNT) == product:
        del columns.by_role[Role.AMOUNT]


def _has_fractions(reading: TableReading, name: str) -> bool:
    return any(number % 1 for number in numbers_of(reading, name))


def _distinct(reading: TableReading, fitting: Iterable[ColumnRole]) -> list[ColumnRole]:
    """Return the candidates without those that say the same as one before them, row by row."""
    seen: dict[tuple[Decimal | None, ...], ColumnRole] = {}
    for each in fitting:
        style = reading.style(each.column)
        amounts = tuple(style.number(cell) if cell else None for (cell,) in reading.sample.records((each.column,)))
        seen.setdefault(amounts, each)
    return list(seen.values())


def _take_product(reading: TableReading, columns: OrderColumns, amount: str) -> bool:
    """Take `amount` where every row of it is quantity times price, perhaps less a discount, and return whether it is."""
    price, quantity = columns.get(Role.PRICE), columns.get(Role.QUANTITY)
    given = [place for place, cells in enumerate(reading.sample.records((amount, price, quantity))) if all(map(has_digit, cells))]
    paid, prices, quantities = (_at(numbers_of(reading, name), given) for name in (amount, price, quantity))
    whole = [one * count for one, count in zip(prices, quantities, strict=True)]
    rest = [full - left for full, left in zip(whole, paid, strict=True)]
    words = f"it is `{quantity}` times `{price}`"
    if not given:
        return False
    if all(abs(each) < CENT for each in rest):
        columns.take(Role.AMOUNT, amount, f"{words} in every row")
        columns.is_discount_taken_off = False
        return True
    for name in dict.fromkeys((columns.get(Role.DISCOUNT), *terms_of(reading, columns))):
        if name and name != amount and _are_equal(rest, [abs(each) for each in _at(numbers_of(reading, name), given)]):
            columns.take(Role.AMOUNT, amount, f"{words} less `{name}` in every row")
            columns.take(Role.DISCOUNT, name, f"`{amount}` is less by it in every row")
            columns.is_discount_taken_off = True
            return True
    for column in reading.sample.columns():
        if column.counts and all(map(_PERCENT.fullmatch, column.counts)):
            shares = _at([_percent(cell) for (cell,) in reading.sample.records((column.name,))], given)
            if _are_equal(paid, [full * (100 - share) / 100 for full, share in zip(whole, shares, strict=True)]):
                columns.take(Role.AMOUNT, amount, f"{words} less `{column.name}` in every row")
                columns.percentage = column.name
                return True
    return False


def _take_sum(reading: TableReading, columns: OrderColumns, totals: Sequence[str]) -> bool:
    """Take the goods where in every row a total is goods less discounts plus shipping and the like, and return whether it is."""
    others = terms_of(reading, columns)
    added = [name for name in others if is_no_amount(plain_name(name))]
    goods = dict.fromkeys((*totals, *(name for name in others if name not in added)))
    # What else is taken off may be a tax as well as a discount: that is asked.
    taken = [discount] if (discount := columns.get(Role.DISCOUNT)) else []
    numbers = {name: numbers_of(reading, name) for name in (*goods, *added, *taken)}
    if reading.sample.rows.num_rows < _FEWEST_ROWS:
        return False
    for total in totals:
        for good in goods:
            terms = [name for name in dict.fromkeys((*taken, *added)) if name not in {total, good} and any(numbers[name])][:MOST_TERMS]
            for chosen in subsets_of(terms) if good != total else ():
                rest = [
                    numbers[total][place]
                    - numbers[good][place]
                    - sum(numbers[name][place] if name in added else -abs(numbers[name][place]) for name in chosen)
                    for place in range(len(numbers[total]))
                ]
                # With and without tax are two amounts that somebody may mean: that is asked.
                is_open = good in totals and all(is_tax(plain_name(name)) for name in chosen)
                if not is_open and not any(rest):
                    return _take_goods(
                        columns, total, good, [name for name in chosen if name not in added], [*filter(added.__contains__, chosen)]
                    )
    return False


def _take_goods(columns: OrderColumns, total: str, good: str, taken: Sequence[str], added: Sequence[str]) -> bool:
    words = "".join(f" less `{name}`" for name in taken) + "".join(f" plus `{name}`" for name in added)
    if taken and not added:
        columns.take(Role.AMOUNT, total, f"in every row it is `{good}`{words}")
        columns.take(Role.DISCOUNT, taken[0], f"`{total}` is less by it in every row")
        columns.is_discount_taken_off = True
        return True
    without = " and ".join(f"`{name}`" for name in added)
    columns.take(
        Role.AMOUNT, good, f"in every row `{total}` is `{good}`{words}; {without} {'is' if len(added) == 1 else 'are'} not counted"
    )
    if taken:
        columns.take(Role.DISCOUNT, taken[0], f"it is taken off `{good}`")
        columns.is_discount_taken_off = False
    return True


def _is_price_of_row(reading: TableReading, columns: OrderColumns) -> bool:
    """Return whether the price is that of all pieces of a row: as products show that are sold in several quantities, else asked."""
    price, quantity, product = (columns.get(role) for role in (Role.PRICE, Role.QUANTITY, Role.PRODUCT))
    product = product or next((each.column for each in column_roles(reading.sample) if each.role is Role.PRODUCT), "")
    prices, quantities = numbers_of(reading, price), numbers_of(reading, quantity)
    if _OF_ONE.search(plain_name(price)) or all(abs(each) <= 1 for each in quantities):
        return False
    if is_sum_of_orders(reading, columns, [one * count for one, count in zip(prices, quantities, strict=True)]):
        return False
    if is_sum_of_orders(reading, columns, prices):
        reading.assume(f"{reading.table}: `{price}` is of all pieces of a row, as these add up to the totals of orders.")
        return True
    by_product: dict[str, list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for (name,), one, count in zip(reading.sample.records((product,)), prices, quantities, strict=True):
        if name and one and count:
            by_product[name].append((one, count))
    several = [rows for rows in by_product.values() if len({count for _, count in rows}) > 1]
    if several and all(len({one for one, _ in rows}) == 1 for rows in several):
        return False
    if several and all(len({round(one / count, 4) for one, count in rows}) == 1 for rows in several):
        reading.assume(f"{reading.table}: `{price}` is of all pieces of a row, as it grows with `{quantity}`.")
        return True
    text = f"{reading.table}: is `{price}` the price of one piece, or of all pieces of the row?"
    given = reading.choose(
        f"{reading.table}.price_of", text, (Choice("piece", f"it is multiplied by `{quantity}`"), Choice("row", "it is not"))
    )
    return given == "row"


def _percent(cell: str) -> Decimal:
    found = _PERCENT.fullmatch(cell)
    return Decimal(found[1].replace(",", ".")) if found else Decimal()


def _at(numbers: Sequence[Decimal], places: Iterable[int]) -> list[Decimal]:
    return [numbers[place] for place in places]


def _are_equal(some: Sequence[Decimal], others: Sequence[Decimal]) -> bool:
    return all(abs(one - other) < CENT for one, other in zip(some, others, strict=True))
