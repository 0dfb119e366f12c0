"""Which columns of people become attributes, by name and values: where they live, when they were born, what few words say. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMERS
from pipeline.onboarding.column_names import attribute_of, is_birth, is_personal
from pipeline.onboarding.date_formats import date_format
from pipeline.onboarding.layouts.layout import AttributeDraft, TableReading
from pipeline.onboarding.number_styles import number_style
from pipeline.onboarding.roles import plain_name
from pipeline.onboarding.table_sample import ColumnSample

_MOST_WORDS = 30
_LONGEST_WORD = 40


@dataclass(frozen=True, slots=True)
class AttributeColumn:
    """An attribute, and the SQL that gives it for a row."""

    draft: AttributeDraft
    sql: str
    column: str = ""


def attribute_columns(reading: TableReading, used: Container[str], *, are_words_taken: bool) -> list[AttributeColumn]:
    """Return the attributes of people that a table has, each once; without `are_words_taken` those alone whose name is known."""
    found: dict[str, AttributeColumn] = {}
    for column in reading.sample.columns():
        if column.name not in used and column.counts:
            for each in _of_column(reading, column, are_words_taken=are_words_taken):
                found.setdefault(each.draft.name, each)
    return list(found.values())


def place_columns(reading: TableReading, columns: Mapping[str, Sequence[str]], description: str) -> list[AttributeColumn]:
    """Return the attributes of where somebody lives that a table has: of each, the first of its `columns` that a row gives.

    `description` may name the first of them with any values, as `{column}`.
    """
    given = {name: next(filter(reading.has_values, names), "") for name, names in columns.items()}
    return [
        AttributeColumn(AttributeDraft(name, "geographic", description.format(column=given[name])), reading.text(*names))
        for name, names in columns.items()
        if given[name]
    ]


def _of_column(reading: TableReading, column: ColumnSample, *, are_words_taken: bool) -> Iterator[AttributeColumn]:
    plain = plain_name(column.name)
    text = reading.text(column.name)
    description = f"`{column.name}` of {reading.table}."
    if known := attribute_of(plain):
        name, level = known
        yield AttributeColumn(AttributeDraft(name, level, description), text, column.name)
    elif is_birth(plain):
        if sql := _birth_year(reading, column):
            draft = AttributeDraft("birth_year", "demographic", f"Year of `{column.name}` of {reading.table}.", "integer")
            yield AttributeColumn(draft, sql, column.name)
    elif are_words_taken and not is_personal(plain) and _is_of_few_words(column):
        reading.assume(f"{reading.table}: `{column.name}` is an attribute of customers, as it has {len(column.counts)} different values.")
        yield AttributeColumn(AttributeDraft(attribute_name(plain), "demographic", description), text, column.name)


def attribute_name(plain: str) -> str:
    """Return a name for an attribute after that of a column; never that of a feature."""
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "attribute"
    name = f"a_{name}" if name[0].isdigit() else name
    return f"{name}_given" if name in CUSTOMER_FEATURES.column_names or name in CUSTOMERS.column_names else name


def _is_of_few_words(column: ColumnSample) -> bool:
    values = column.values
    return (
        1 < len(values) <= _MOST_WORDS
        and column.given_count >= 2 * len(values)
        and max(map(len, values)) <= _LONGEST_WORD
        and number_style(values) is None
        and date_format(values) is None
    )


def _birth_year(reading: TableReading, column: ColumnSample) -> str:
    values = column.counts
    if all(re.fullmatch(r"(19|20)\d{2}", value) for value in values):
        return f"CAST({reading.quoted(column.name)} AS BIGINT)"
    found = date_format(values)
    # Day or month first: the year is the same.
    return f"CAST(year({found.date_sql(reading.quoted(column.name))}) AS BIGINT)" if found else ""
