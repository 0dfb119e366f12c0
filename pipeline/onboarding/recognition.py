"""What given tables are, and the company that they make: its zone, its currency, its queries, and what is still to be asked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.definitions.source_formats import TableFormat
from pipeline.ingestion.sources.table_files import file_kind
from pipeline.onboarding.company_draft import CompanyDraft, TableDraft
from pipeline.onboarding.customer_columns import CustomerColumns, customer_columns, order_number, padded_width
from pipeline.onboarding.home_clues import find_clues
from pipeline.onboarding.layouts import table_of_customers, table_of_orders
from pipeline.onboarding.layouts.customer_ids import SHORTENED
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading
from pipeline.onboarding.order_links import find_links, join_orders
from pipeline.onboarding.questions import Choice, Question, Settings, require_choice
from pipeline.onboarding.recognised_table import RecognisedTable
from pipeline.onboarding.roles import Role, column_roles
from pipeline.onboarding.table_sample import MOST_ROWS, TableSample
from pipeline.onboarding.time_and_money import find_currency, find_time_zone
from pipeline.spelling import word_list

FEWEST_SHARED = 0.5
"""The least share of who ordered that must be in a list of customers, for a column to tell them."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """A company as far as it is understood; it can be written once no question is open."""

    draft: CompanyDraft
    questions: Sequence[Question]


def understand(tables: Sequence[RecognisedTable], settings: Settings, *, name: str) -> Understanding:
    """Return the company that `tables` make, with the questions that neither they nor the settings answer.

    Raises ConfigError for a setting that is none.
    """
    readings = [TableReading(table.sample, settings) for table in tables]
    questions: list[Question] = []
    assumptions: list[str] = []
    clues = find_clues([table.sample for table in tables])
    currency = find_currency(tables, settings, questions, assumptions, clues)
    zone = find_time_zone(tables, settings, questions, assumptions, replace(clues, currency=currency))
    identity = _identity(tables, settings)
    id_width = _id_width(tables, settings, questions)
    links = {} if settings.get("customer") else linked_columns(tables)
    joined = find_links(tables)
    drafts = []
    for reading in readings:
        reading.zone, reading.currency, reading.identity, reading.id_width = zone, currency, identity, id_width
        reading.linked_column = links.get(reading.table, "")
    for table, reading in zip(tables, readings, strict=True):
        reading.beside = {each.layout.name: other for each, other in zip(tables, readings, strict=True) if other is not reading}
        if table.found.assumption:
            reading.assume(f"{reading.table}: {table.found.assumption}")
        if table.overlap:
            reading.assume(f"{reading.table}: {table.overlap}")
        if table.sample.rows.num_rows == MOST_ROWS:
            reading.assume(f"{reading.table}: what its columns mean was found from its first {MOST_ROWS:,} rows.")
        if any(table.sample is link.orders for link in joined.values()):
            # Its columns are read with the lines, so that nothing is added up twice.
            drafts.append(TableDraft(reading.table, table.layout.title, table.file_names, table.keyed_format, TablePart(reading.table)))
            continue
        if link := joined.get(reading.table):
            reading.linked_column = links.get(link.orders.name, "")
            join_orders(reading, link)
        part = table.layout.read(reading)
        if given := [each for each in tables if each.layout.name in table.layout.yields_to]:
            part = replace(part, lines="", line_columns=())
            reading.assume(f"{reading.table}: its orders are those of {given[0].sample.name}, which has their lines.")
        drafts.append(TableDraft(reading.table, table.layout.title, table.file_names, table.keyed_format, part))
        questions += reading.questions
        assumptions += [sentence for sentence in reading.assumptions if sentence not in assumptions]
    drafts = _without_lines_twice(drafts, settings, questions)
    given_name = settings.get("name") or name
    return Understanding(CompanyDraft(given_name, zone, currency, drafts, assumptions), questions)


def _without_lines_twice(drafts: Sequence[TableDraft], settings: Settings, questions: list[Question]) -> list[TableDraft]:
    """Return the tables, of which only the chosen ones give order lines; asks where several could tell of the same sales."""
    sales = [draft.name for draft in drafts if draft.part.lines]
    if len(sales) < 2:  # noqa: PLR2004 - one alone tells of nothing twice
        return list(drafts)
    # What was paid for through a payment provider was sold somewhere, and most often there.
    payments = [draft.name for draft in drafts if draft.name in sales and draft.title.startswith("Stripe")]
    shops = [name for name in sales if name not in payments]
    single = [Choice(name, f"those of {name} alone; the other files are read for their customers") for name in (*shops, *payments)]
    everything = Choice("all", "all of them: each file has sales of its own")
    question = Question(
        "sales",
        f"Which sales count? {word_list(sales)} may tell of the same ones.",
        (*single, everything) if payments else (everything, *single),
    )
    chosen = settings.get(question.key)
    if not chosen:
        questions.append(question)
    if not chosen or require_choice(question, chosen) == everything.value:
        return list(drafts)
    return [each if each.name == chosen else replace(each, part=replace(each.part, lines="", line_columns=())) for each in drafts]


def _identity(tables: Sequence[RecognisedTable], settings: Settings) -> str:
    """Return by what customers are known in all tables: their e-mail address, or an id that a shop gave them."""
    if given := settings.get("customer"):
        return require_choice(Question("customer", "", (Choice("email", ""), Choice("id", ""))), given)
    if any(table.layout.is_known and table.layout.is_by_email for table in tables):
        return "email"
    has_id = []
    for table in tables:
        known = _customer_columns(table, settings)
        has_id.append(bool(known.number) or not known.email)
    return "id" if all(has_id) else "email"


def linked_columns(tables: Sequence[RecognisedTable]) -> dict[str, str]:
    """Return for tables of orders and of customers the columns by which they belong together: whose values they share.

    None where some table is a known export, whose customers are known by their addresses, or where less than half of who ordered is listed.
    """
    orders = [table.sample for table in tables if table.layout.name == table_of_orders.NAME]
    people = [table.sample for table in tables if table.layout.name == table_of_customers.NAME]
    if len(orders) != 1 or len(people) != 1 or any(table.layout.is_known for table in tables):
        return {}
    [sold], [listed] = orders, people
    found: list[tuple[float, int, str, str]] = []
    for each in column_roles(sold):
        if each.role in (Role.CUSTOMER, Role.EMAIL):
            buyers = {value.casefold() for value in sold.column(each.column).counts}
            for column in listed.columns():
                shared = len(buyers & {value.casefold() for value in column.counts}) / max(len(buyers), 1)
                # An id stays where an address changes.
                found.append((shared, -each.rank - 10 * (each.role is Role.EMAIL), each.column, column.name))
    shared, _, sold_by, listed_by = max(found, default=(0.0, 0, "", ""))
    return {sold.name: sold_by, listed.name: listed_by} if shared >= FEWEST_SHARED else {}


def _customer_columns(table: RecognisedTable, settings: Settings) -> CustomerColumns:
    if given := settings.get(f"{table.sample.name}.customer"):
        return CustomerColumns(number=given)
    roles = column_roles(table.sample)
    named = next((each.column for each in roles if each.role is Role.ORDER_ID), "")
    order = "" if table.layout.name == table_of_customers.NAME else named or order_number(table.sample, table.layout.moments)
    return customer_columns(table.sample, roles, of_people=table.layout.name == table_of_customers.NAME, order=order)


def _id_width(tables: Sequence[RecognisedTable], settings: Settings, questions: list[Question]) -> int:
    """Return how many digits customers' numbers have where some cells lost leading zeros; asks where that cannot be known."""
    numbers = [(table, number) for table in tables if not table.layout.is_known and (number := _customer_columns(table, settings).number)]
    width = padded_width(value for table, number in numbers for value in table.sample.column(number).counts)
    if width is not None:
        return width
    named = ", ".join(f"`{number}` of {table.sample.name}" for table, number in numbers)
    choices = (Choice("same", "00100 and 100 are one customer"), Choice("different", "they are two"))
    question = Question("leading_zeros", f"Some numbers of customers in {named} begin with zeros, others are the same without.", choices)
    if given := settings.get("leading_zeros"):
        return SHORTENED if require_choice(question, given) == "same" else 0
    questions.append(question)
    return 0


def company_name(folder: str) -> str:
    """Return the name of a company after that of its folder: `my_shop` is My shop."""
    words = re.sub(r"[_-]+", " ", folder).strip()
    return f"{words[:1].upper()}{words[1:]}" or "My company"


def group_by_columns(
    samples: Mapping[str, TableSample], layouts: Mapping[str, Layout], formats: Mapping[str, TableFormat]
) -> list[list[str]]:
    """Return the names of samples that have a layout in groups of one kind: of one known layout, or with the same columns.

    Files of a group lie in one folder, which has files of one kind, compressed or not.
    """
    groups: dict[object, list[str]] = {}
    for name, layout in layouts.items():
        sample = samples[name]
        kind = layout.name if layout.is_known else tuple(sample.column_names)
        groups.setdefault((kind, formats[name], file_kind(sample.files[0])), []).append(name)
    return list(groups.values())
