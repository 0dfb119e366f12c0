"""The rules of an event, which follow from its declaration: what a company writes itself is added to them, or replaces one by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.lake.tables import CUSTOMER_ID, EVENT_DAY, EventType, Kind

Entry = Mapping[str, Any]
LARGEST_AMOUNT = 1e12  # beyond it the float that a rule sees is not next to the amount


def event_expectations(event: EventType, own: Sequence[Entry] = ()) -> list[Entry]:
    """Return the expectations of the raw rows of `event`, and a company's `own`: one with the name of a derived rule takes its place."""
    derived = {str(entry["meta"]["rule"]): entry for entry in _derived_expectations(event)}
    named = {_rule_name(entry): entry for entry in own}
    replaced = [named.get(name, entry) for name, entry in derived.items()]
    return [*replaced, *(entry for entry in own if _rule_name(entry) not in derived)]


def _derived_expectations(event: EventType) -> Iterator[Entry]:
    columns, instant = event.raw_table.columns, event.instant.name
    kinds = {column.kind for column in event.columns}
    required = [column.name for column in columns if column.required and column.name not in (CUSTOMER_ID.name, instant)]
    names = {"column_set": list(event.raw_table.column_names), "exact_match": False}
    yield _expectation("table_has_columns", "table_columns_to_match_set", names, rejects_rows=False)
    yield _holds("text_is_readable", "is_text_readable")
    yield from (_is_given(name) for name in required if name in event.key)
    yield _is_given(CUSTOMER_ID.name)
    yield _holds("customer_id_is_trimmed", "is_customer_id_trimmed")
    yield _is_given(instant)
    yield from (_is_given(name) for name in required if name not in event.key)
    yield _is_between(f"{instant}_is_not_before_first_day", instant, min_value={"$PARAMETER": "first_instant"})
    yield _is_between(f"{instant}_is_not_after_night", instant, max_value={"$PARAMETER": "night_end"}, strict_max=True)
    if kinds & {Kind.DATE, Kind.INSTANT}:
        yield _holds("dates_are_in_the_calendar", "are_dates_in_calendar")
    if kinds & {Kind.NUMBER, Kind.MONEY}:
        yield _holds("numbers_are_finite", "are_numbers_finite")
    if event.raw_table.kind_of("currency") is Kind.TEXT:
        yield _in_set("currency_is_the_companys", "currency", {"$PARAMETER": "currencies"})
    for column in event.columns:
        if column.kind is Kind.MONEY:
            yield _is_between(f"{column.name}_adds_up_exactly", column.name, min_value=-LARGEST_AMOUNT, max_value=LARGEST_AMOUNT)
    key = {"column_list": [EVENT_DAY.name, *event.key], "ignore_row_if": "any_value_is_missing"}
    yield _expectation("key_is_unique", "compound_columns_to_be_unique", key)
    yield _holds("customer_is_known", "is_customer_known", severity="warning")
    yield _holds("ids_are_trimmed", "are_ids_trimmed", severity="warning")


def _is_given(column: str) -> Entry:
    return _expectation(f"{column}_is_given", "column_values_to_not_be_null", {"column": column})


def _is_between(rule: str, column: str, **bounds: object) -> Entry:
    return _expectation(rule, "column_values_to_be_between", {"column": column, **bounds})


def _holds(rule: str, column: str, *, severity: str = "critical") -> Entry:
    return _in_set(rule, column, [True], severity=severity)


def _in_set(rule: str, column: str, values: object, *, severity: str = "critical") -> Entry:
    arguments = {"column": column, "value_set": values}
    return _expectation(rule, "column_values_to_be_in_set", arguments, severity=severity, rejects_rows=severity == "critical")


def _expectation(rule: str, kind: str, arguments: Entry, *, severity: str = "critical", rejects_rows: bool = True) -> Entry:
    return {"type": f"expect_{kind}", "kwargs": arguments, "severity": severity, "meta": {"rule": rule, "rejects_rows": rejects_rows}}


def _rule_name(entry: Entry) -> str:
    meta = entry.get("meta")
    return str(meta.get("rule")) if isinstance(meta, dict) else ""
