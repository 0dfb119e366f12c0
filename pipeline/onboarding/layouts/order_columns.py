"""Which column of a table of orders says what: by names and values, by arithmetic that every row proves, else asked. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.errors import ConfigError
from pipeline.onboarding.customer_columns import CustomerColumns, customer_columns, order_number
from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import ColumnRole, Role, column_roles
from pipeline.spelling import did_you_mean

_ORDER = (
    Role.EMAIL, Role.DATE, Role.TIME, Role.QUANTITY, Role.PRICE, Role.DISCOUNT, Role.REFUND, Role.AMOUNT, Role.ORDER_ID, Role.CUSTOMER,
    Role.CURRENCY, Role.CHANNEL, Role.CATEGORY, Role.PRODUCT,
)  # fmt: skip
NONE = "none"
AS_YOU_SAID = "as you said"


@dataclass(slots=True)
class OrderColumns:
    """The column of each role, and why it was chosen; `name` is that of the buyers' names, which two people can share."""

    by_role: dict[Role, str] = field(default_factory=dict)
    reasons: dict[Role, str] = field(default_factory=dict)
    name: str = ""

    def take(self, role: Role, column: str, reason: str) -> None:
        """Let `column` have the role."""
        self.by_role[role], self.reasons[role] = column, reason

    def get(self, role: Role) -> str:
        """Return the column; empty where there is none."""
        return self.by_role.get(role, "")

    @property
    def buyer(self) -> CustomerColumns:
        """The columns that say who bought."""
        return CustomerColumns(self.get(Role.CUSTOMER), self.get(Role.EMAIL), self.name)


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
            _take_amount(reading, columns, fitting)
        elif role is Role.CUSTOMER:
            _take_customer(reading, columns, candidates)
        elif role is Role.ORDER_ID and not fitting:
            _take_plain_number(reading, columns)
        elif role is Role.DATE:
            _take_asked(reading, columns, role, [each for each in fitting if each.rank == fitting[0].rank], "says when it was sold")
        elif fitting:
            columns.take(role, fitting[0].column, fitting[0].reason)
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


def named_column(reading: TableReading, name: str, role: str) -> str:
    """Return how the table spells the column `name`, given for a role; raises ConfigError where it has none."""
    if spelled := reading.sample.spelling(name):
        return spelled
    what = f"{reading.table} has no column `{name}`{did_you_mean(name, reading.sample.column_names)}"
    todo = f"Its columns are: {', '.join(reading.sample.column_names)}. Or write {NONE}."
    raise ConfigError(what, where=f"--set {reading.table}.{role}=...", todo=todo)


def _take_asked(reading: TableReading, columns: OrderColumns, role: Role, fitting: list[ColumnRole], meaning: str) -> None:
    if not fitting:
        return
    chosen = fitting[0]
    if len(fitting) > 1:
        text = f"{reading.table}: which column {meaning}? {' and '.join(f'`{each.column}`' for each in fitting)} both could."
        given = reading.choose(f"{reading.table}.{role.value}", text, [Choice(each.column, each.reason) for each in fitting])
        chosen = next((each for each in fitting if each.column == given), chosen)
    columns.take(role, chosen.column, chosen.reason)


def _take_amount(reading: TableReading, columns: OrderColumns, fitting: list[ColumnRole]) -> None:
    price, quantity, discount = (columns.get(role) for role in (Role.PRICE, Role.QUANTITY, Role.DISCOUNT))
    fitting = _distinct(reading, fitting)
    if price and quantity:
        for each in fitting:
            if found := _product_reason(reading, each.column, price, quantity, discount):
                columns.take(Role.AMOUNT, each.column, found)
                return
    whole = [each for each in fitting if _is_of_whole_order(reading, each.column)]
    fitting = [each for each in fitting if each not in whole] if len(whole) < len(fitting) or price else fitting
    if not fitting and price:
        return  # quantity times price, or the price alone
    if price and quantity and fitting:
        fitting = [*fitting, ColumnRole(f"{quantity} x {price}", Role.AMOUNT, 2, "is worked out from both")]
    _take_asked(reading, columns, Role.AMOUNT, fitting, "says what was paid for the row")
    if columns.get(Role.AMOUNT) == f"{quantity} x {price}":
        del columns.by_role[Role.AMOUNT]


def _distinct(reading: TableReading, fitting: Iterable[ColumnRole]) -> list[ColumnRole]:
    """Return the candidates without those that say the same as one before them, row by row."""
    seen: dict[tuple[Decimal | None, ...], ColumnRole] = {}
    for each in fitting:
        style = reading.style(each.column)
        amounts = tuple(style.number(cell) if cell else None for (cell,) in reading.sample.records((each.column,)))
        seen.setdefault(amounts, each)
    return list(seen.values())


def _product_reason(reading: TableReading, amount: str, price: str, quantity: str, discount: str) -> str:
    """Return the reason to take `amount` where every row of it is quantity times price, perhaps less the discount; else an empty text."""
    names = [amount, price, quantity, *([discount] if discount else [])]
    styles = [reading.style(name) for name in names]
    rows = [
        [style.number(cell) if cell else Decimal() for style, cell in zip(styles, cells, strict=True)]
        for cells in reading.sample.records(names)
        if all(cells[:3])
    ]
    if not rows:
        return ""
    if discount and all(abs(row[1] * row[2] - abs(row[3]) - row[0]) < Decimal("0.01") for row in rows):
        return f"it is `{quantity}` times `{price}` less `{discount}` in every row"
    if all(abs(row[1] * row[2] - row[0]) < Decimal("0.01") for row in rows):
        return f"it is `{quantity}` times `{price}` in every row"
    return ""


def _is_of_whole_order(reading: TableReading, column: str) -> bool:
    """Return whether the column repeats one amount on all rows of each order, so that adding it up would count it several times."""
    order = next((each.column for each in column_roles(reading.sample) if each.role is Role.ORDER_ID), "")
    if not order:
        return False
    by_order: dict[str, list[str]] = defaultdict(list)
    for number, cell in reading.sample.records((order, column)):
        by_order[number].append(cell)
    several = [cells for cells in by_order.values() if len(cells) > 1]
    return len(several) > 1 and all(len(set(cells)) == 1 for cells in several)
