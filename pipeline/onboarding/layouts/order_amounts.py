"""Which columns say what was paid for the goods of a row: proved by arithmetic that holds in every row, else asked. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, combinations

from pipeline.onboarding.column_names import is_no_amount, is_plain_id
from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.layouts.order_columns import OrderColumns, take_asked
from pipeline.onboarding.number_styles import number_style
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import ColumnRole, Role, column_roles, plain_name, without_totals

_CENT = Decimal("0.01")
_FEWEST_ROWS = 3
_MOST_TERMS = 6
_PERCENT = re.compile(r"-?(\d+(?:[.,]\d+)?) ?%")
_OF_ONE = re.compile(r"\b(unit|each|per|einzel\w*|stuck\w*|unitaire|unitario|birim|list)\b")
_NO_TERMS = {Role.ORDER_ID, Role.CUSTOMER, Role.DATE, Role.TIME, Role.PRODUCT, Role.QUANTITY, Role.PRICE, Role.REFUND}


def take_amount(reading: TableReading, columns: OrderColumns, fitting: Sequence[ColumnRole]) -> None:
    """Let the column of `fitting` that says what was paid for the goods of a row have the role; asks where several could.

    Without one it is quantity times price, or the price alone.
    """
    price, quantity = columns.get(Role.PRICE), columns.get(Role.QUANTITY)
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
    take_asked(reading, columns, Role.AMOUNT, fitting, "says what was paid for the row")
    if columns.get(Role.AMOUNT) == product:
        del columns.by_role[Role.AMOUNT]


def _distinct(reading: TableReading, fitting: Iterable[ColumnRole]) -> list[ColumnRole]:
    """Return the candidates without those that say the same as one before them, row by row."""
    seen: dict[tuple[Decimal | None, ...], ColumnRole] = {}
    for each in fitting:
        style = reading.style(each.column)
        amounts = tuple(style.number(cell) if cell else None for (cell,) in reading.sample.records((each.column,)))
        seen.setdefault(amounts, each)
    return list(seen.values())


def is_of_whole_order(reading: TableReading, order: str, column: str) -> bool:
    """Return whether the column repeats one amount on all rows of each order, so that adding it up would count it several times."""
    if column in reading.of_orders:
        return True
    if not order or not column:
        return False
    by_order: dict[str, list[str]] = defaultdict(list)
    for number, cell in reading.sample.records((order, column)):
        by_order[number].append(cell)
    several = [cells for cells in by_order.values() if len(cells) > 1]
    return len(several) > 1 and all(len(set(cells)) == 1 for cells in several)


def _take_product(reading: TableReading, columns: OrderColumns, amount: str) -> bool:
    """Take `amount` where every row of it is quantity times price, perhaps less a discount, and return whether it is."""
    price, quantity = columns.get(Role.PRICE), columns.get(Role.QUANTITY)
    given = [place for place, cells in enumerate(reading.sample.records((amount, price, quantity))) if all(map(_has_digit, cells))]
    paid, prices, quantities = (_at(numbers_of(reading, name), given) for name in (amount, price, quantity))
    whole = [one * count for one, count in zip(prices, quantities, strict=True)]
    rest = [full - left for full, left in zip(whole, paid, strict=True)]
    words = f"it is `{quantity}` times `{price}`"
    if not given:
        return False
    if all(abs(each) < _CENT for each in rest):
        columns.take(Role.AMOUNT, amount, f"{words} in every row")
        columns.is_discount_taken_off = False
        return True
    for name in dict.fromkeys((columns.get(Role.DISCOUNT), *_terms(reading, columns))):
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
    others = _terms(reading, columns)
    added = [name for name in others if is_no_amount(plain_name(name))]
    goods = dict.fromkeys((*totals, *(name for name in others if name not in added)))
    taken = [name for name in goods if name not in totals]
    if discount := columns.get(Role.DISCOUNT):
        taken = [discount, *taken]
    numbers = {name: numbers_of(reading, name) for name in (*goods, *added, *taken)}
    if reading.sample.rows.num_rows < _FEWEST_ROWS:
        return False
    for total in totals:
        for good in goods:
            terms = [name for name in dict.fromkeys((*taken, *added)) if name not in {total, good} and any(numbers[name])][:_MOST_TERMS]
            for chosen in _subsets(terms) if good != total else ():
                rest = [
                    numbers[total][place]
                    - numbers[good][place]
                    - sum(numbers[name][place] if name in added else -abs(numbers[name][place]) for name in chosen)
                    for place in range(len(numbers[total]))
                ]
                if not any(rest):
                    return _take_goods(
                        columns, total, good, [name for name in chosen if name not in added], [*filter(added.__contains__, chosen)]
                    )
    return False


def _take_goods(columns: OrderColumns, total: str, good: str, taken: Sequence[str], added: Sequence[str]) -> bool:
    words = "".join(f" less `{name}`" for name in taken) + "".join(f" plus `{name}`" for name in added)
    if len(taken) > 1:
        return False
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


def is_order_discount_taken_off(reading: TableReading, columns: OrderColumns) -> bool | None:
    """Return whether lines are after the discount of their order: as totals of orders show, that are lines plus shipping and the like.

    None where no total shows it.
    """
    order, discount = columns.get(Role.ORDER_ID), columns.get(Role.DISCOUNT)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    firsts: dict[str, int] = {}
    for place, ((number,), amount) in enumerate(zip(reading.sample.records((order,)), _line_amounts(reading, columns), strict=True)):
        sums[number] += amount
        firsts.setdefault(number, place)
    whole = {name: numbers_of(reading, name) for name in _terms(reading, columns) if is_of_whole_order(reading, order, name)}
    added = [name for name in whole if is_no_amount(plain_name(name))][:_MOST_TERMS]
    taken = numbers_of(reading, discount)
    for total in (name for name in whole if name not in added and name != discount):
        for chosen in ((), *_subsets(added)):
            rest = {
                number: whole[total][place] - sums[number] - sum(whole[name][place] for name in chosen) for number, place in firsts.items()
            }
            if all(abs(each) < _CENT for each in rest.values()) and chosen:
                return True
            if all(abs(each + abs(taken[firsts[number]])) < _CENT for number, each in rest.items()):
                return False
    return None


def _line_amounts(reading: TableReading, columns: OrderColumns) -> list[Decimal]:
    amount, price, quantity = (columns.get(role) for role in (Role.AMOUNT, Role.PRICE, Role.QUANTITY))
    if amount or columns.is_price_of_row or not quantity:
        return numbers_of(reading, amount or price)
    return [one * count for one, count in zip(numbers_of(reading, price), numbers_of(reading, quantity), strict=True)]


def _terms(reading: TableReading, columns: OrderColumns) -> list[str]:
    """Return the columns of numbers that may be terms of a sum: no ids, quantities, unit prices or dates."""
    roles: dict[str, set[Role]] = defaultdict(set)
    for each in column_roles(reading.sample):
        roles[each.column].add(each.role)
    taken = {name for role, name in columns.by_role.items() if role in _NO_TERMS}
    return [
        column.name
        for column in reading.sample.columns()
        if column.name not in taken
        and number_style(without_totals(column.counts))
        and not (roles[column.name] & _NO_TERMS)
        and not is_plain_id(plain_name(column.name))
        and any(numbers_of(reading, column.name))
    ]


def _is_price_of_row(reading: TableReading, columns: OrderColumns) -> bool:
    """Return whether the price is that of all pieces of a row: as products show that are sold in several quantities, else asked."""
    price, quantity, product = (columns.get(role) for role in (Role.PRICE, Role.QUANTITY, Role.PRODUCT))
    product = product or next((each.column for each in column_roles(reading.sample) if each.role is Role.PRODUCT), "")
    prices, quantities = numbers_of(reading, price), numbers_of(reading, quantity)
    if _OF_ONE.search(plain_name(price)) or all(abs(each) <= 1 for each in quantities):
        return False
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


def numbers_of(reading: TableReading, name: str) -> list[Decimal]:
    """Return the number in each cell of a column; zero where it has none."""
    style = reading.style(name)
    return [style.number(cell) if _has_digit(cell) else Decimal() for (cell,) in reading.sample.records((name,))]


def _has_digit(cell: str) -> bool:
    return any(character.isdigit() for character in cell)


def _percent(cell: str) -> Decimal:
    found = _PERCENT.fullmatch(cell)
    return Decimal(found[1].replace(",", ".")) if found else Decimal()


def _at(numbers: Sequence[Decimal], places: Iterable[int]) -> list[Decimal]:
    return [numbers[place] for place in places]


def _are_equal(some: Sequence[Decimal], others: Sequence[Decimal]) -> bool:
    return all(abs(one - other) < _CENT for one, other in zip(some, others, strict=True))


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(names, size) for size in range(1, len(names) + 1))
