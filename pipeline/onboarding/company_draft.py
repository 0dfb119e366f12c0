"""The queries and settings of a new company, put together from what its tables give. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pipeline.definitions.source_formats import TableFormat
from pipeline.onboarding.layouts.layout import AttributeDraft, EventDraft, TablePart

ALL_LINES = "all_lines"
LINE_COLUMNS = ("order_id", "line_number", "customer_id", "ordered_at", "quantity", "net_amount")
TYPES = {"text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "money": "DECIMAL(18, 4)", "date": "DATE", "flag": "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class TableDraft:
    """A table of the company's source: its files, how they are written, and what it gives."""

    name: str
    title: str
    file_names: tuple[str, ...]
    format: TableFormat
    part: TablePart


@dataclass(frozen=True, slots=True)
class CompanyDraft:
    """A company as `segments init` is about to write it."""

    name: str
    zone: str
    currency: str
    tables: Sequence[TableDraft]
    assumptions: Sequence[str] = ()
    first_day: date = date(1900, 1, 1)
    last_day: date | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> list[TablePart]:
        """What the tables give, who is believed first before the others."""
        return sorted((table.part for table in self.tables), key=lambda part: (part.rank, part.table))

    @property
    def attributes(self) -> list[AttributeDraft]:
        """The attributes of all tables, each once."""
        found: dict[str, AttributeDraft] = {}
        for part in self.parts:
            for attribute in part.attributes:
                found.setdefault(attribute.name, attribute)
        return list(found.values())

    @property
    def events(self) -> list[EventDraft]:
        """The events that the company declares."""
        return [part.event for part in self.parts if part.event]

    def queries(self) -> dict[str, str]:
        """Return the company's queries by name."""
        found = {"customers": self._customers_query(), "order_lines": self._order_lines_query(), "consents": self._consents_query()}
        found |= {event.name: f"{_header(event.title)}{event.sql}\n" for event in self.events}
        return {name: text for name, text in found.items() if text}

    def lines_table(self) -> str:
        """Return common table expressions that end in `all_lines`: every line of every table, those left out included."""
        parts = [part for part in self.parts if part.lines]
        optional = self.optional_columns()
        return ",\n".join([*(part.lines for part in parts), _united(ALL_LINES, [_lines_select(part, optional) for part in parts])])

    def _order_lines_query(self) -> str:
        parts = [part for part in self.parts if part.lines]
        if not parts:
            return ""
        conditions = ["WHERE customer_id IS NOT NULL -- what was sold to nobody known makes no segment"]
        if any("currency" in part.line_columns for part in parts):
            other = "-- amounts in other currencies do not add up with these"
            conditions.append(f"  AND COALESCE(currency, '{self.currency}') = '{self.currency}' {other}")
        header = _header("Order lines: what was sold, line by line, and what was given back.")
        columns = ",\n  ".join((*LINE_COLUMNS, *self.optional_columns()))
        # One table needs no union.
        tables, source = (parts[0].lines, f"{parts[0].table}_lines") if len(parts) == 1 else (self.lines_table(), ALL_LINES)
        return "\n".join([f"{header}WITH", tables, f"SELECT\n  {columns}", f"FROM {source}", *conditions, ""])

    def optional_columns(self) -> list[str]:
        """Return the columns of order lines that one of the tables gives, beyond those that all of them have."""
        return [name for name in _LINE_OPTIONS if any(name in part.line_columns for part in self.parts if part.lines)]

    def _customers_query(self) -> str:
        parts = [part for part in self.parts if part.people]
        attributes = self.attributes
        united = _united("people", [_people_select(place, part, attributes) for place, part in enumerate(parts, 1)])
        picked = [f"arg_min({each.name}, (source, {each.name})) AS {each.name}" for each in attributes]
        columns = ",\n  ".join(["customer_id", "min(created_at) AS created_at", *picked])
        header = _header("Customers: everybody once; where several files know something, the first one counts.")
        tables = ",\n".join([*(part.people for part in parts), united])
        return f"{header}WITH\n{tables}\nSELECT\n  {columns}\nFROM people\nWHERE customer_id IS NOT NULL\nGROUP BY customer_id\n"

    def _consents_query(self) -> str:
        parts = [part for part in self.parts if part.consents]
        if not parts:
            return ""
        selects = [f"  SELECT {part.rank} AS source, customer_id, is_consenting FROM {part.table}_consents" for part in parts]
        who = "Who did not is left out of what is published; delete this file to publish everybody."
        header = _header(f"Consents: who agreed to be written to. {who}")
        tables = ",\n".join([*(part.consents for part in parts), _united("answers", selects)])
        # A list of contacts knows better than an order what somebody wants today.
        best = "QUALIFY source = min(source) OVER (PARTITION BY customer_id)"
        known = f"best AS (\n  SELECT * FROM answers WHERE customer_id IS NOT NULL AND is_consenting IS NOT NULL\n  {best}\n)"
        select = "SELECT customer_id, bool_and(is_consenting) AS is_consenting\nFROM best"
        return f"{header}WITH\n{tables},\n{known}\n{select}\nGROUP BY customer_id\n"


_LINE_OPTIONS = {
    "discount_amount": "DECIMAL(18, 4)",
    "product_id": "VARCHAR",
    "category": "VARCHAR",
    "channel": "VARCHAR",
    "is_cancelled": "BOOLEAN",
    "refunded_order_day": "DATE",
    "currency": "VARCHAR",
}


def _lines_select(part: TablePart, optional: Sequence[str]) -> str:
    columns = [name if name in part.line_columns else f"CAST(NULL AS {_LINE_OPTIONS[name]}) AS {name}" for name in optional]
    return f"  SELECT {', '.join((*LINE_COLUMNS, *columns))}\n  FROM {part.table}_lines"


def _people_select(place: int, part: TablePart, attributes: Sequence[AttributeDraft]) -> str:
    own = {attribute.name for attribute in part.attributes}
    columns = [
        each.name if each.name in own else f"CAST(NULL AS {TYPES.get(each.kind, TYPES['text'])}) AS {each.name}" for each in attributes
    ]
    return f"  SELECT {', '.join((f'{place} AS source', 'customer_id', 'created_at', *columns))}\n  FROM {part.table}_people"


def _united(name: str, selects: Sequence[str]) -> str:
    return f"{name} AS (\n" + "\n  UNION ALL\n".join(selects) + "\n)"


def _header(text: str) -> str:
    return f"-- {text}\n-- Written by `segments init`; yours to change. `segments check` says whether it still fits.\n"
