"""A table of customers that is no known export: one row per person or firm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.onboarding.attributes import attribute_columns
from pipeline.onboarding.column_names import is_customer_since, is_of_life, small_letters, sum_labels
from pipeline.onboarding.customer_columns import CustomerColumns, customer_columns
from pipeline.onboarding.layouts.customer_ids import PEOPLE, chosen_columns, customer_id
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading, quoted_text
from pipeline.onboarding.layouts.marketing_consent import find_consent
from pipeline.onboarding.layouts.order_columns import named_column
from pipeline.onboarding.layouts.people import people_part
from pipeline.onboarding.roles import ColumnRole, Role, column_roles, plain_name
from pipeline.onboarding.table_sample import TableSample

NAME = PEOPLE


def read(reading: TableReading) -> TablePart:
    """Return what a table of customers gives a company."""
    roles = column_roles(reading.sample)
    columns = _customer_columns(reading, roles)
    sql = customer_id(reading, columns, taken=set(), has_many_rows=False)
    used = {columns.number, columns.email, columns.name}
    since = [each.column for each in roles if each.role is Role.DATE and is_customer_since(plain_name(each.column))]
    consent = find_consent(reading, {*used, *since}, [name for name in (columns.number, columns.email, columns.name) if name])
    if since:
        reading.assume(f"{reading.table}: `{since[0]}` is when you first knew the customer.")
    attributes = attribute_columns(reading, {*used, *since, *consent.columns}, are_words_taken=True)
    if attributes:
        reading.assume(f"{reading.table}: attributes are {', '.join(each.draft.name for each in attributes)}; other columns are not read.")
    labels = sorted(label for name in used if name for label in sum_labels(reading.column(name).counts))
    if labels:
        reading.assume(f"{reading.table}: rows of sums ({len(labels)}) are left out.")
    listed = ", ".join(quoted_text(small_letters(label)) for label in labels)
    condition = f"lower({sql}) NOT IN ({listed})" if labels else ""
    somebody = f"{sql} IS NOT NULL{f' AND {condition}' if condition else ''}"
    return people_part(
        reading,
        condition=condition,
        customer=sql,
        attributes=attributes,
        created=reading.moment(since[0]) if since else "",
        consent=f"COALESCE({consent.sql}, CASE WHEN {somebody} THEN FALSE END)" if consent.is_silence_no else consent.sql,
    )


def is_list_of_people(sample: TableSample, roles: Sequence[ColumnRole]) -> bool:
    """Return whether each row is somebody of their own, whose only dates are of their life or of their first and last order."""
    known = customer_columns(sample, roles, of_people=True)
    ids = [name for name in (known.email, known.number or known.name) if name]
    dates = [plain_name(each.column) for each in roles if each.role is Role.DATE]
    is_sold = any(each.role is Role.ORDER_ID for each in roles)
    return not is_sold and any(sample.column(name).is_unique for name in ids) and all(map(is_of_life, dates))


def _customer_columns(reading: TableReading, roles: Iterable[ColumnRole]) -> CustomerColumns:
    known = customer_columns(reading.sample, roles, of_people=True)
    if given := reading.settings.get(f"{reading.table}.customer"):
        return chosen_columns(reading, CustomerColumns(email=known.email), named_column(reading, given, "customer"))
    return chosen_columns(reading, known, reading.linked_column)


def layout(roles: Iterable[ColumnRole], key: str) -> Layout:
    """Return the layout of a table of customers that has these columns."""
    dates = tuple(each.column for each in roles if each.role is Role.DATE)
    return Layout(
        NAME, "A table of customers", "customers", (), read, key=(key,) if key else (), moments=dates, has_amounts=False, is_known=False
    )
