"""The SQL of a customer's id: one expression, which customers, order lines and consents share."""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import ConfigError
from pipeline.onboarding.customer_columns import CustomerColumns, customer_columns, is_nobody, possible_customers
from pipeline.onboarding.layouts.layout import TableReading, quoted_text
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import column_roles

PEOPLE = "table_of_customers"
SHORTENED = -1
"""The width of ids whose leading zeros are taken off."""


def customer_id(reading: TableReading, columns: CustomerColumns, *, taken: set[str], order: str = "", has_many_rows: bool = True) -> str:
    """Return the SQL of a row's customer; asks where nothing says who it is, and says what it is known by.

    Raises ConfigError where no column can say who bought.
    """
    number, email = id_text(reading, columns.number), _email(reading, columns.email)
    first, second = (email, number) if reading.identity == "email" and email else (number, email)
    first, second = (first, second) if first else (second, "")
    if first:
        known = columns.email if first == email else columns.number
        said = "an e-mail address, whatever its case" if first == email else f"who has the same `{known}`"
        reading.assume(f"{reading.table}: a customer is {said}.")
        other = columns.number if first == email else columns.email
        gaps = _gaps(reading, known, other) if second else 0
        if not gaps:
            return first
        reading.assume(f"{reading.table}: {gaps:,} rows without `{known}` are of who has the same `{other}`.")
        if not has_many_rows:
            return f"COALESCE({first}, {second})"
        same = f"CASE WHEN {second} IS NOT NULL THEN max({first}) OVER (PARTITION BY {second}) END"
        listed = _listed_number(reading, second) if second == email else ""
        return f"COALESCE({', '.join(filter(None, (first, same, listed, second)))})"
    if columns.name:
        reading.assume(
            f"{reading.table}: a customer is who has the same `{columns.name}`. Two people of one name become one, and one person who is "
            "written in two ways becomes two: a customer number or an e-mail address in the export would be safer."
        )
        return id_text(reading, columns.name)
    return _chosen(reading, taken, order)


def _listed_number(reading: TableReading, email: str) -> str:
    """Return the SQL of the number that a list of customers beside the table has for an address; empty without such a list."""
    people = reading.beside.get(PEOPLE)
    if people is None:
        return ""
    known = customer_columns(people.sample, column_roles(people.sample), of_people=True)
    if not known.number or not known.email:
        return ""
    address, number = _email(people, known.email), id_text(people, people.linked_column or known.number)
    rows = f"SELECT {address} AS address, max({number}) AS number FROM {people.table} WHERE {number} IS NOT NULL GROUP BY ALL"
    reading.assume(f"{reading.table}: addresses that {people.table} knows are the customers that they have there.")
    return f"(SELECT map(list(address), list(number)) FROM ({rows}) AS known WHERE address IS NOT NULL)[{email}]"


def chosen_columns(reading: TableReading, columns: CustomerColumns, chosen: str) -> CustomerColumns:
    """Return the columns with the one that was chosen, by a person or as two tables share its values, before all others."""
    if not chosen:
        return columns
    is_email = chosen == columns.email or _is_of_addresses(reading, chosen)
    reading.identity = "email" if is_email else "id"
    return replace(columns, email=chosen) if is_email else replace(columns, number=chosen)


def _is_of_addresses(reading: TableReading, column: str) -> bool:
    """Return whether most cells that name somebody are addresses: beside them a phone number or a name may stand for who has none."""
    named = {value: count for value, count in reading.column(column).counts.items() if not is_nobody(value)}
    return sum(count for value, count in named.items() if "@" in value) > sum(named.values()) / 2


def id_text(reading: TableReading, column: str) -> str:
    """Return the SQL of an id, empty for values that stand for nobody, all written in the same way; empty without a column."""
    if not column:
        return ""
    text = _text_of_somebody(reading, column)
    values = reading.column(column).counts
    if reading.id_width > 0 and any(value.isdecimal() and len(value) < reading.id_width for value in values):
        reading.assume(f"{reading.table}: `{column}` has {reading.id_width} digits; cells that lost their leading zeros get them back.")
        padded = f"lpad({text}, {reading.id_width}, '0')"
        return f"CASE WHEN regexp_full_match({text}, '\\d{{1,{reading.id_width}}}') THEN {padded} ELSE {text} END"
    return f"ltrim({text}, '0')" if reading.id_width == SHORTENED else text


def _text_of_somebody(reading: TableReading, column: str) -> str:
    text = reading.text(column)
    values = reading.column(column).counts
    nobody = sorted(value for value in values if is_nobody(value))
    if nobody:
        rows = sum(values[value] for value in nobody)
        named = ", ".join(f"`{value}`" for value in nobody)
        reading.assume(f"{reading.table}: {named} in `{column}` is nobody in particular ({rows:,} rows).")
        text = (
            f"NULLIF({text}, {quoted_text(nobody[0])})"
            if len(nobody) == 1
            else f"CASE WHEN {text} NOT IN ({', '.join(map(quoted_text, nobody))}) THEN {text} END"
        )
    return text


def _email(reading: TableReading, column: str) -> str:
    return f"lower({_text_of_somebody(reading, column)})" if column else ""


def _gaps(reading: TableReading, first: str, second: str) -> int:
    """Return in how many rows the second column alone says who somebody is."""
    return sum((not one or is_nobody(one)) and bool(other) for one, other in reading.sample.records((first, second)))


def _chosen(reading: TableReading, taken: set[str], order: str) -> str:
    choices = [Choice(name, "") for name in possible_customers(reading.sample, taken, order)]
    if not choices:
        what = f"{reading.table}: no column says who bought, so nobody can say who bought again"
        todo = f"Export it with the buyers. If a column names them: --set {reading.table}.customer=COLUMN."
        raise ConfigError(what, where=", ".join(path.name for path in reading.sample.files), todo=todo)
    text = f"{reading.table}: no column says who bought. Which one tells customers apart?"
    given = reading.choose(f"{reading.table}.customer", text, choices)
    if not given:
        return "NULL"
    return _email(reading, given) if _is_of_addresses(reading, given) else id_text(reading, given)
