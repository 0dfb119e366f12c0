"""Which columns of a table say who a customer is: a number, an e-mail address, a name alone. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pipeline.onboarding.column_names import is_name_of_people, is_nobody_name, is_plain_id
from pipeline.onboarding.date_formats import date_format
from pipeline.onboarding.number_styles import number_style
from pipeline.onboarding.roles import ColumnRole, Role, plain_name
from pipeline.onboarding.table_sample import ColumnSample, TableSample

_LOOKED_AT = 500
_MOSTLY = 0.6
_LIKELY = 1


@dataclass(frozen=True, slots=True)
class CustomerColumns:
    """The columns that tell customers apart, empty where there is none; `name` is of names, which two people can share."""

    number: str = ""
    email: str = ""
    name: str = ""
    reason: str = ""


def customer_columns(sample: TableSample, roles: Iterable[ColumnRole], *, of_people: bool = False, order: str = "") -> CustomerColumns:
    """Return what a table knows customers by; `of_people` where each row is a person, so that a plain `id` is the person's.

    In a table of orders a plain number is the customer's where each `order` has one, and each of its values one name.
    """
    ranked = [each for each in roles if each.role is Role.CUSTOMER and each.column != order]
    numbers = [each for each in ranked if each.rank <= _LIKELY or not _is_of_names(sample.column(each.column))]
    names = [each.column for each in ranked if each not in numbers]
    number, reason = (numbers[0].column, numbers[0].reason) if numbers else ("", "")
    plain = [each.name for each in sample.columns() if is_plain_id(plain_name(each.name)) and each.counts and each.name != order]
    if of_people and plain and (not numbers or numbers[0].rank > 0):
        number, reason = plain[0], "by its name, in a table of people"
    elif not number and order:
        number = next((name for name in plain if _numbers_people(sample, name, order)), "")
        reason = "each order has one, and each of its values one name"
    email = next((each.column for each in roles if each.role is Role.EMAIL), "")
    return CustomerColumns(number, email, names[0] if names else "", reason)


def is_nobody(value: str) -> bool:
    """Return whether a value of a column of customers stands for nobody in particular, such as `0`, `-` or `guest`."""
    return re.fullmatch(r"[-\u2013\u2014./?*\s]{1,3}", value) is not None or is_nobody_name(plain_name(value))


def _is_of_names(column: ColumnSample) -> bool:
    values = [value for value in column.values[:_LOOKED_AT] if not is_nobody(value)]
    without_digits = [value for value in values if not re.search(r"\d", value)]
    return len(without_digits) > _MOSTLY * len(values)


def _numbers_people(sample: TableSample, number: str, order: str) -> bool:
    beside = [each.name for each in sample.columns() if is_name_of_people(plain_name(each.name)) and each.counts]
    return any(_is_function(sample, number, name) for name in beside) and _is_function(sample, order, number)


def _is_function(sample: TableSample, key: str, value: str) -> bool:
    """Return whether rows with the same `key` have the same `value`, leading zeros aside, and some key has several rows."""
    found: dict[str, set[str]] = defaultdict(set)
    for one, other in sample.records((key, value)):
        if one and other:
            found[one.lstrip("0")].add(other.lstrip("0"))
    return bool(found) and all(len(values) == 1 for values in found.values())


def possible_customers(sample: TableSample, taken: Collection[str], order: str) -> list[str]:
    """Return the columns that may tell customers apart: each order has one value, and some value has several orders."""
    rows = sample.rows.num_rows
    found = []
    for column in sample.columns():
        values = list(column.counts)
        is_measure = number_style(values) is not None and any(re.search(r"[.,]", value) for value in values)
        if column.name in taken or not len(values) > 1 or is_measure or date_format(values):
            continue
        orders = len(sample.column(order).counts) if order else rows
        if len(values) < orders and (not order or _is_function(sample, order, column.name)):
            found.append(column.name)
    return found


def order_number(sample: TableSample, dates: Sequence[str]) -> str:
    """Return the plain number that tells orders apart where no name says so: each has one date, and none has more values; else empty."""
    plain = [each for each in sample.columns() if is_plain_id(plain_name(each.name)) and each.counts]
    fitting = [each for each in plain if dates and all(_is_function(sample, each.name, date) for date in dates)]
    return max(fitting, key=lambda each: len(each.counts)).name if fitting else ""


def padded_width(values: Iterable[str]) -> int | None:
    """Return how long ids of digits are where some lost their leading zeros; 0 where none did, None where that cannot be known."""
    digits = {value for value in values if re.fullmatch(r"\d+", value) and value.strip("0")}
    led = {value for value in digits if value.startswith("0")}
    plain, widths = digits - led, {len(value) for value in led}
    if len(widths) == 1:
        width = widths.pop()
        if all(len(value) <= width for value in plain):
            return width if any(len(value) < width for value in plain) else 0
    return None if len({value.lstrip("0") for value in digits}) < len(digits) else 0
