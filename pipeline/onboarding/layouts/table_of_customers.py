"""A table of customers that is no known export: one row per person or firm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.onboarding.attributes import attribute_columns
from pipeline.onboarding.column_names import answers, is_customer_since, is_of_life, is_plain_id, is_total
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading
from pipeline.onboarding.layouts.people import people_part
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import ColumnRole, Role, column_roles, plain_name
from pipeline.onboarding.table_sample import TableSample

NAME = "table_of_customers"


def read(reading: TableReading) -> TablePart:
    """Return what a table of customers gives a company."""
    roles = column_roles(reading.sample)
    email, customer = email_column(roles), customer_column(reading.sample, roles)
    sql, used = _customer(reading, email, customer)
    since = [each.column for each in roles if each.role is Role.DATE and is_customer_since(plain_name(each.column))]
    consent = next((each.column for each in roles if each.role is Role.CONSENT), "")
    if since:
        reading.assume(f"{reading.table}: `{since[0]}` is when you first knew the customer.")
    attributes = attribute_columns(reading, {*used, *since, consent}, are_words_taken=True)
    if attributes:
        reading.assume(f"{reading.table}: attributes are {', '.join(each.draft.name for each in attributes)}; other columns are not read.")
    yes = ", ".join(f"'{word}'" for word in answers("yes"))
    labels = sorted(value for name in used if name for value in reading.column(name).counts if is_total(value))
    if labels:
        reading.assume(f"{reading.table}: rows of sums are left out.")
    listed = ", ".join("'" + label.lower().replace("'", "''") + "'" for label in labels)
    return people_part(
        reading,
        condition=f"lower({sql}) NOT IN ({listed})" if labels else "",
        customer=sql,
        attributes=attributes,
        created=reading.moment(since[0]) if since else "",
        consent=f"lower({reading.text(consent)}) IN ({yes})" if consent else "",
    )


def is_list_of_people(sample: TableSample, roles: Sequence[ColumnRole]) -> bool:
    """Return whether each row is somebody of their own, whose only dates are of their life or of their first and last order."""
    ids = [name for name in (email_column(roles), customer_column(sample, roles)) if name]
    dates = [plain_name(each.column) for each in roles if each.role is Role.DATE]
    is_sold = any(each.role is Role.ORDER_ID for each in roles)
    return not is_sold and any(sample.column(name).is_unique for name in ids) and all(map(is_of_life, dates))


def email_column(roles: Iterable[ColumnRole]) -> str:
    """Return the column of e-mail addresses; empty where there is none."""
    return next((each.column for each in roles if each.role is Role.EMAIL), "")


def customer_column(sample: TableSample, roles: Iterable[ColumnRole]) -> str:
    """Return the column that tells customers apart by an id or a name; empty where there is none."""
    named = [each.column for each in roles if each.role is Role.CUSTOMER]
    plain = [column.name for column in sample.columns() if is_plain_id(plain_name(column.name)) and column.counts]
    names = [column.name for column in sample.columns() if plain_name(column.name) == "name" and column.counts]
    return next(iter([*named[:1], *plain, *names]), "")


def _customer(reading: TableReading, email: str, customer: str) -> tuple[str, set[str]]:
    given = reading.settings.get(f"{reading.table}.customer")
    if column := reading.sample.spelling(given) if given else reading.linked_column:
        customer, email = ("", column) if column == email else (column, "")
    if email and (reading.identity == "email" or not customer):
        reading.assume("A customer is an e-mail address, whatever its case.")
        return f"lower({reading.text(email)})", {email, customer}
    if customer:
        reading.assume(f"{reading.table}: a customer is who has the same `{customer}`.")
        return reading.text(customer), {email, customer}
    choices = [Choice(name, "") for name in reading.sample.column_names]
    reading.choose(f"{reading.table}.customer", f"{reading.table}: which column tells customers apart?", choices)
    return "NULL", set()


def layout(roles: Iterable[ColumnRole], key: str) -> Layout:
    """Return the layout of a table of customers that has these columns."""
    dates = tuple(each.column for each in roles if each.role is Role.DATE)
    return Layout(
        NAME, "A table of customers", "customers", (), read, key=(key,) if key else (), moments=dates, has_amounts=False, is_known=False
    )
