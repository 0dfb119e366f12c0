"""Which column of a table of orders says what: by names and values, by arithmetic that every row proves, else asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.onboarding.customer_columns import customer_columns, order_number
from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.layouts.order_amount_level import is_amount_of_order
from pipeline.onboarding.layouts.order_amounts import take_amount
from pipeline.onboarding.layouts.order_columns import AS_YOU_SAID, NONE, OrderColumns, named_column, take_answer
from pipeline.onboarding.roles import ColumnRole, Role, column_roles

_ORDER = (
    Role.EMAIL, Role.DATE, Role.TIME, Role.ORDER_ID, Role.QUANTITY, Role.PRICE, Role.DISCOUNT, Role.REFUND, Role.AMOUNT, Role.CUSTOMER,
    Role.CURRENCY, Role.CHANNEL, Role.CATEGORY, Role.PRODUCT,
)  # fmt: skip


def order_columns(reading: TableReading) -> OrderColumns:
    """Return the column of each role; asks where two columns could both be the amount, or the date."""
    candidates = column_roles(reading.sample)
    columns = OrderColumns()
    for role in _ORDER:
        taken = set(columns.by_role.values())
        fitting = [each for each in candidates if each.role is role and each.column not in taken]
        given = reading.settings.get(f"{reading.table}.{role.value}")
        if given:
            if given != NONE:
                columns.take(role, named_column(reading, given, role.value), AS_YOU_SAID)
        elif role is Role.AMOUNT:
            take_amount(reading, columns, fitting)
        elif role is Role.CUSTOMER:
            _take_customer(reading, columns, candidates)
        elif role is Role.ORDER_ID and not fitting:
            _take_plain_number(reading, columns)
        elif role is Role.DATE:
            take_answer(reading, columns, role, [each for each in fitting if each.rank == fitting[0].rank], "says when it was sold")
        elif fitting:
            columns.take(role, fitting[0].column, fitting[0].reason)
    columns.is_amount_of_order = is_amount_of_order(reading, columns)
    return columns


def _take_customer(reading: TableReading, columns: OrderColumns, candidates: Iterable[ColumnRole]) -> None:
    taken = set(columns.by_role.values())
    free = [each for each in candidates if each.column not in taken]
    found = customer_columns(reading.sample, free, order=columns.get(Role.ORDER_ID))
    columns.name = found.name
    if found.number:
        columns.take(Role.CUSTOMER, found.number, found.reason)


def _take_plain_number(reading: TableReading, columns: OrderColumns) -> None:
    dates = [name for name in (columns.get(Role.DATE), columns.get(Role.TIME)) if name]
    if number := order_number(reading.sample, dates):
        columns.take(Role.ORDER_ID, number, "each of its values is of one day")
