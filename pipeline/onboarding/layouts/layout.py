"""A layout: the columns by which an export is known, and what its columns mean, as SQL that somebody will go on editing.

A layout is one module, which says how it is recognised and what has to be asked, and one file `<name>.sql.jinja`, whose blocks `lines`,
`people`, `consents` and `happenings` become parts of the company's queries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.onboarding.currencies import minor_units
from pipeline.onboarding.date_formats import ORDERS, DateFormat, clock_sql, date_format
from pipeline.onboarding.layouts.templates import template_environment
from pipeline.onboarding.number_styles import NumberStyle, number_style
from pipeline.onboarding.questions import Choice, Question, Settings, require_choice
from pipeline.onboarding.roles import plain_name
from pipeline.onboarding.table_sample import ColumnSample, TableSample
from pipeline.onboarding.time_zones import is_utc

_AMERICAN_ZONES = {f"America/{city}" for city in ("New_York", "Chicago", "Denver", "Los_Angeles", "Phoenix", "Anchorage")}


@dataclass(frozen=True, slots=True)
class AttributeDraft:
    """An attribute that the company is to declare: a column of its customers."""

    name: str
    level: str
    description: str
    kind: str = "text"
    is_personal: bool = False


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event that the company is to declare, with the common table expression that has its columns."""

    name: str
    title: str
    key: tuple[str, ...]
    instant: str
    columns: tuple[tuple[str, str], ...]
    sql: str


@dataclass(frozen=True, slots=True)
class TablePart:
    """What one table gives the company: common table expressions by role, each with columns that the role has everywhere.

    `lines` ends in `<table>_lines`, `people` in `<table>_people` with `customer_id`, `created_at` and the attributes, `consents` in
    `<table>_consents`. Empty where the table gives nothing of that kind. A lower `rank` of people is believed first.
    """

    table: str
    lines: str = ""
    line_columns: tuple[str, ...] = ()
    people: str = ""
    rank: int = 1
    attributes: tuple[AttributeDraft, ...] = ()
    consents: str = ""
    event: EventDraft | None = None


@dataclass(slots=True)
class TableReading:
    """A table that is being understood: its sample, the answers so far, and what turned out to be asked and assumed.

    `beside` has the tables that were given with it, by the names of their layouts. Customers are known by `identity`, `email` or `id`; ids
    have `id_width` digits, or, where it is 0, those that are written. `prelude` are common table expressions that end in `source`, which
    is read instead of the table, where there are any; then the columns `of_orders` say something of a whole order on each of its lines.
    """

    sample: TableSample
    settings: Settings
    zone: str = ""
    currency: str = ""
    identity: str = "id"
    linked_column: str = ""
    id_width: int = 0
    source: str = ""
    prelude: str = ""
    of_orders: frozenset[str] = frozenset()
    beside: Mapping[str, TableReading] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)

    @property
    def table(self) -> str:
        """The name of the table."""
        return self.sample.name

    @property
    def minor_units(self) -> int:
        """How many of its smallest units make one of the currency, such as 100 cents."""
        return minor_units(self.currency)

    def has(self, name: str) -> bool:
        """Return whether the table has a column of this name."""
        return self.sample.spelling(name) is not None

    def has_values(self, name: str) -> bool:
        """Return whether the table has a column of this name with anything in it."""
        return bool(self.column(name).counts)

    def column(self, name: str) -> ColumnSample:
        """Return the values of a column; none where there is no such column."""
        return self.sample.column(name)

    def quoted(self, name: str) -> str:
        """Return the column as the SQL of a text, spelt as the file spells it; `NULL` where it has none."""
        spelled = self.sample.spelling(name)
        if spelled is None:
            return "NULL"
        return f"CAST({quoted_name(spelled)} AS VARCHAR)" if spelled in self.sample.typed else quoted_name(spelled)

    def text(self, *names: str) -> str:
        """Return the SQL of the first given of these columns, without white space around it; blank is empty."""
        present = list(dict.fromkeys(f"NULLIF(trim({self.quoted(name)}), '')" for name in names if self.has(name)))
        return f"COALESCE({', '.join(present)})" if len(present) > 1 else present[0] if present else "NULL"

    def style(self, *names: str) -> NumberStyle:
        """Return how the numbers of columns are written, of several in one way; asks where a point and a comma both make sense."""
        values = [value for name in names for value in self.column(name).counts]
        found = number_style(values) or NumberStyle(is_plain=True)
        if found.decimal:
            return found
        key = f"{self.table}.decimal"
        text = f"{self.table}: is the mark within the numbers of `{names[0]}` a decimal mark, or does it separate thousands?"
        given = self.choose(key, text, (Choice("thousands", "it separates thousands"), Choice("decimal", "it is the decimal mark")))
        mark = "," if any("," in value for value in values) else "."
        other = "." if mark == "," else ","
        return NumberStyle(mark if given == "decimal" else other, is_plain=mark == "." and given == "decimal", marks=found.marks)

    def amount(self, name: str) -> str:
        """Return the SQL that reads the column as an exact amount; `NULL` where there is none."""
        return self.style(name).sql(self.quoted(name)) if self.has(name) else "NULL"

    def format(self, name: str) -> DateFormat:
        """Return how the dates of a column are written; asks where the day and the month could each come first."""
        found = date_format(self.column(name).counts) or DateFormat()
        if found.is_partly_iso:
            self.assume(f"{self.table}: some dates of `{name}` are written as 2024-04-05 and others in another way: both are read.")
        if not found.is_ambiguous:
            return found
        text = f"{self.table}: every date of `{name}` reads with the day first as well as with the month first. Which is it?"
        # In the United States alone the month comes first.
        choices = ORDERS[::-1] if self.currency == "USD" or self.zone in _AMERICAN_ZONES else ORDERS
        return found.ordered(self.choose(f"{self.table}.date_format", text, choices) or choices[0].value)

    def moment(self, name: str, zone: str = "") -> str:
        """Return the SQL that reads the column as an instant, its clock times in `zone`, else as its name says."""
        return self.format(name).sql(self.quoted(name), zone or self.zone_of(name))

    def zone_of(self, name: str) -> str:
        """Return the time zone of the clock times in a column: the company's, unless the column's name says UTC."""
        return "UTC" if is_utc(plain_name(name)) else self.zone

    def moment_of(self, date: str, time: str = "") -> str:
        """Return the SQL that reads a column of dates, and perhaps one of times of day, as an instant."""
        if not time or self.format(date).has_clock:
            return self.moment(date)
        clock = clock_sql(self.quoted(time), self.column(time).values)
        zone = self.zone_of(f"{date} {time}")
        return f"({self.day_of(date)} + COALESCE({clock}, TIME '00:00:00')) AT TIME ZONE '{zone}'"

    def day_of(self, date: str) -> str:
        """Return the SQL that reads a column of dates as the day that is written there."""
        return self.format(date).date_sql(self.quoted(date))

    def choose(self, key: str, text: str, choices: Iterable[Choice], *, is_likeliest_known: bool = True) -> str:
        """Return the answer to a question, which stays open where nobody has answered it; then an empty text."""
        question = Question(key, text, tuple(choices), is_open=not is_likeliest_known)
        given = self.settings.get(key)
        if given:
            return require_choice(question, given)
        if question not in self.questions:
            self.questions.append(question)
        return ""

    def value_key(self, role: str, value: str) -> str:
        """Return the key of the setting that says what `value` means in the column of a role: `orders.status.on-hold`."""
        return f"{self.table}.{role}.{plain_name(value).replace(' ', '-')}"

    def option(self, key: str, default: str, others: Iterable[str]) -> str:
        """Return a setting that has a default, and so is no question."""
        choices = tuple(Choice(value, "") for value in (default, *others))
        return require_choice(Question(key, "", choices), self.settings.get(key) or default)

    def assume(self, sentence: str) -> None:
        """Note what is taken for granted, for people to read."""
        if sentence not in self.assumptions:
            self.assumptions.append(sentence)

    def render(self, layout: str, block: str, **values: object) -> str:
        """Return the SQL of a block of the layout's template."""
        template = template_environment().get_template(f"{layout}.sql.jinja")
        context = template.new_context({"t": self, "table": self.table, "zone": self.zone, **values})
        text = "".join(template.blocks[block](context))
        return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


@dataclass(frozen=True, slots=True)
class Layout:
    """An export that is known by its columns.

    `required` are columns that it always has, whatever else, with `|` between names of one column in several versions; the layout with most
    of them wins. `moments`, `money` and `currencies` are columns that say when, how much and in which currency; `zone_column` names a time
    zone. `key` tells which rows of two exports are the same thing. Where a table of one of the layouts `yields_to` is given too, it has
    the same orders in more detail, and this one gives no order lines. `is_by_email` where its customers are known by their addresses.
    `file_name` is a regular expression that the name of its file matches in small letters, where its columns are also those of another one.
    """

    name: str
    title: str
    table: str
    required: tuple[str, ...]
    read: Callable[[TableReading], TablePart]
    key: tuple[str, ...] = ()
    moments: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    zone_column: str = ""
    currencies_of: Callable[[TableSample], tuple[str, ...]] | None = None
    yields_to: tuple[str, ...] = ()
    has_amounts: bool = True
    is_known: bool = True
    is_by_email: bool = True
    file_name: str = ""

    def fits(self, sample: TableSample) -> bool:
        """Return whether the table has all columns that this export always has, and its file such a name."""
        if self.file_name and not any(re.search(self.file_name, path.name.lower()) for path in sample.files):
            return False
        return all(any(sample.spelling(name) for name in names.split("|")) for names in self.required)

    def currency_columns(self, sample: TableSample) -> tuple[str, ...]:
        """Return the columns of the table that say in which currency its amounts are."""
        return self.currencies_of(sample) if self.currencies_of else self.currencies


def quoted_name(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(value: str) -> str:
    """Return `value` as an SQL text."""
    return "'" + value.replace("'", "''") + "'"
