"""What the columns of a table mean, by their names, in several languages, and by their values; with the reason in words. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from pipeline.ingestion.sources.failed_casts import form_of
from pipeline.onboarding.column_names import is_later_date, is_no_amount, is_total, role_rank
from pipeline.onboarding.date_formats import date_format
from pipeline.onboarding.number_styles import is_number, number_style
from pipeline.onboarding.table_sample import ColumnSample, TableSample

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MOST_DISTINCT = 5_000
_MOST_STATUSES = 20


class Role(Enum):
    """What a column says; the value is the name of its setting."""

    ORDER_ID = "order_id"
    EMAIL = "email"
    CUSTOMER = "customer"
    DATE = "date"
    TIME = "time"
    AMOUNT = "amount"
    PRICE = "price"
    QUANTITY = "quantity"
    DISCOUNT = "discount"
    REFUND = "refund"
    CATEGORY = "category"
    PRODUCT = "product"
    CHANNEL = "channel"
    CURRENCY = "currency"
    STATUS = "status"


AMOUNTS = frozenset({Role.AMOUNT, Role.PRICE})
"""Roles of columns that say what something cost."""


@dataclass(frozen=True, slots=True)
class ColumnRole:
    """A column, what it may mean, how sure its name makes that (0 is surest), and the reason in words."""

    column: str
    role: Role
    rank: int
    reason: str


def column_roles(sample: TableSample) -> list[ColumnRole]:
    """Return what each column may mean, those whose name says so first; a column whose values contradict its name is none."""
    found = []
    for column in sample.columns():
        plain = plain_name(column.name)
        for role in Role:
            rank = role_rank(role.value, plain)
            if rank is not None and (reason := _VALUE_CHECKS[role](column)) and not (role is Role.AMOUNT and is_no_amount(plain)):
                found.append(ColumnRole(column.name, role, rank, f"by its name, and {reason}"))
        if _is_email(column) and not any(each.column == column.name and each.role is Role.EMAIL for each in found):
            found.append(ColumnRole(column.name, Role.EMAIL, 3, "its values are e-mail addresses"))
    if not any(each.role is Role.DATE for each in found):
        found += [ColumnRole(each.name, Role.DATE, 4, "its values are dates") for each in sample.columns() if _is_clear_date(each)]
    if any(each.role is Role.DATE and not is_later_date(plain_name(each.column)) for each in found):
        found = [each for each in found if each.role is not Role.DATE or not is_later_date(plain_name(each.column))]
    return sorted(found, key=lambda each: each.rank)


def contradictions(sample: TableSample) -> list[tuple[Role, str]]:
    """Return, in words, which columns are dates or amounts by their names, and what of their values is none; by forms, never values."""
    found = []
    for column in sample.columns():
        plain = plain_name(column.name)
        for role in (Role.DATE, Role.AMOUNT, Role.PRICE):
            if role_rank(role.value, plain) is None or not column.counts or _VALUE_CHECKS[role](column):
                continue
            values = without_totals(column.counts)
            odd = [value for value in values if not (date_format([value]) if role is Role.DATE else is_number(value))]
            what = "dates" if role is Role.DATE else "numbers"
            if odd:
                rows = sum(column.counts[value] for value in odd)
                found.append((role, f"`{column.name}` has {rows:,} cells that are no {what}, such as one of the form `{form_of(odd[0])}`"))
            else:
                found.append((role, f"`{column.name}` has {what} that are written in several ways"))
            break
    return found


def plain_name(name: str) -> str:
    """Return the name of a column as words are compared: small letters without accents, single spaces, no marks."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    decomposed = unicodedata.normalize("NFKD", spaced.casefold().replace("\u00df", "ss").replace("\u0131", "i"))
    letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return re.sub(r"[^\w#%]+|_+", " ", letters).strip()


def without_totals(values: Iterable[str]) -> list[str]:
    """Return the values that are no label of a row of sums."""
    return [value for value in values if not is_total(value)]


def _few(column: ColumnSample) -> list[str]:
    return without_totals(column.values[:_MOST_DISTINCT])


def _date_reason(column: ColumnSample) -> str:
    return "its values are dates" if date_format(without_totals(column.counts)) else ""


def _number_reason(column: ColumnSample) -> str:
    return "its values are numbers" if number_style(_few(column)) else ""


def _email_reason(column: ColumnSample) -> str:
    return "its values are e-mail addresses" if _is_email(column) else ""


def _is_email(column: ColumnSample) -> bool:
    values = _few(column)
    return bool(values) and all(_EMAIL.fullmatch(value) for value in values[:200])


def _is_clear_date(column: ColumnSample) -> bool:
    found = date_format(without_totals(column.counts))
    return found is not None and not found.is_serial and not all(re.fullmatch(r"\d{8}", value) for value in column.values[:5])


def _text_reason(column: ColumnSample) -> str:
    return "it has values" if column.counts else ""


def _label_reason(column: ColumnSample) -> str:
    values = _few(column)
    return "its values are words" if values and not all(is_number(value) for value in values) else ""


def _status_reason(column: ColumnSample) -> str:
    return _label_reason(column) if len(column.counts) <= _MOST_STATUSES else ""


def _code_reason(column: ColumnSample) -> str:
    return "its values are codes" if column.counts and all(re.fullmatch(r"[A-Za-z]{3}", value) for value in column.counts) else ""


def _clock_reason(column: ColumnSample) -> str:
    clock = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?")
    return "its values are times of day" if column.counts and all(clock.fullmatch(value) for value in column.values[:500]) else ""


_VALUE_CHECKS: Mapping[Role, Callable[[ColumnSample], str]] = {
    Role.EMAIL: _email_reason,
    Role.ORDER_ID: _text_reason,
    Role.CUSTOMER: _text_reason,
    Role.DATE: _date_reason,
    Role.TIME: _clock_reason,
    Role.QUANTITY: _number_reason,
    Role.PRICE: _number_reason,
    Role.DISCOUNT: _number_reason,
    Role.REFUND: _number_reason,
    Role.AMOUNT: _number_reason,
    Role.CATEGORY: _label_reason,
    Role.PRODUCT: _text_reason,
    Role.CHANNEL: _label_reason,
    Role.CURRENCY: _code_reason,
    Role.STATUS: _status_reason,
}
