"""The columns of a table of orders by what they say, named by a person or asked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.errors import ConfigError
from pipeline.onboarding.customer_columns import CustomerColumns
from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import ColumnRole, Role
from pipeline.spelling import did_you_mean, word_list

NONE = "none"
AS_YOU_SAID = "as you said"


@dataclass(slots=True)
class OrderColumns:
    """The column of each role, and why it was chosen; `name` is that of the buyers' names, which two people can share.

    `is_discount_taken_off` says whether the amount is what was left after the discount, None where nothing shows it. `percentage` is a
    column of discounts in percent that the amount is left after, `is_price_of_row` says whether the price is of all pieces of a row, and
    `is_amount_of_order` whether the amount is of a whole order, on each of its rows.
    """

    by_role: dict[Role, str] = field(default_factory=dict)
    reasons: dict[Role, str] = field(default_factory=dict)
    name: str = ""
    percentage: str = ""
    is_discount_taken_off: bool | None = None
    is_price_of_row: bool = False
    is_amount_of_order: bool = False

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


def named_column(reading: TableReading, name: str, role: str) -> str:
    """Return how the table spells the column `name`, given for a role; raises ConfigError where it has none."""
    if spelled := reading.sample.spelling(name):
        return spelled
    what = f"{reading.table} has no column `{name}`{did_you_mean(name, reading.sample.column_names)}"
    todo = f"Its columns are: {', '.join(reading.sample.column_names)}. Or write {NONE}."
    raise ConfigError(what, where=f"--set {reading.table}.{role}=...", todo=todo)


def take_answer(reading: TableReading, columns: OrderColumns, role: Role, fitting: Sequence[ColumnRole], meaning: str) -> None:
    """Let the one column of `fitting` have the role; asks which one where there are several."""
    if not fitting:
        return
    chosen = fitting[0]
    if len(fitting) > 1:
        named = word_list(f"`{each.column}`" for each in fitting)
        text = f"{reading.table}: which column {meaning}? {named} {'all' if fitting[2:] else 'both'} could."
        given = reading.choose(f"{reading.table}.{role.value}", text, [Choice(each.column, each.reason) for each in fitting])
        chosen = next((each for each in fitting if each.column == given), chosen)
    columns.take(role, chosen.column, chosen.reason)
