"""Totals of a source's rows per local day, worked out by the source itself, so that no row has to be read.

Beside count and amount there is a sum of one hash per row over everything that the row says. It is the sum that
`pipeline.ingestion.versions` makes of a raw day, so that what is stored can be compared with what the source says: each
dialect writes every value as DuckDB does, and takes the same half of its MD5 for a number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from pipeline.calendar import BEGINNING, END, ONE_DAY, DaySpan, Window, days_window, first_instant
from pipeline.ingestion.sources import SourceQuery, quote_name
from pipeline.lake.tables import MONEY_DECIMALS, Kind, Table


@dataclass(frozen=True, slots=True)
class CountedDays:
    """Local days whose rows are counted but not read: those to be compared, all before `opening`, and all after `last`.

    Each group of spans to be compared is asked for at once; no day is in two of them. `opening` is None where rows before it are
    read, and so need not be counted.
    """

    compared: Sequence[Sequence[DaySpan]]
    opening: date | None
    last: date

    def compared_conditions(self, at: str, zone: ZoneInfo) -> Iterator[tuple[Window, str]]:
        """Yield a group of compared days at a time: instants as the window around them, and as the SQL condition for the instant `at`."""
        for group in self.compared:
            spans = [days_window(each.first, each.last, zone) for each in group]
            within = " OR ".join(f"({at} >= {_instant(span.start)} AND {at} < {_instant(span.end)})" for span in spans)
            yield Window(spans[0].start, spans[-1].end), f"({within})"

    def outer_conditions(self, at: str, zone: ZoneInfo) -> Iterator[tuple[Window, str]]:
        """Yield the same of the days before the opening and after the last."""
        if self.opening:
            before = Window(BEGINNING, first_instant(self.opening, zone))
            yield before, f"{at} < {_instant(before.end)}"
        after = Window(first_instant(self.last + ONE_DAY, zone), END)
        yield after, f"{at} >= {_instant(after.start)}"


@dataclass(frozen=True, slots=True)
class TotalsQuery:
    """A query for totals of the rows of `query` per local day in `zone`.

    `table` says which columns a row has, `given` which of them the query gives. The result has `event_day`, `row_count`,
    `net_amount` and `row_sum` (the last two as text, the last of compared days alone), and `customer_id` where totals are `by_customer`.
    """

    query: SourceQuery
    table: Table
    given: Collection[str]
    zone: ZoneInfo
    by_customer: bool

    def of(self, days: CountedDays, *, is_one_pass: bool) -> list[SourceQuery]:
        """Return one query for all `days` or, where spans are cheap to ask for and it need not be one pass, a query for each span."""
        at = quote_name(self.table.instant)
        compared = list(days.compared_conditions(at, self.zone))
        conditions = [*compared, *days.outer_conditions(at, self.zone)]
        hashed = " OR ".join(condition for _, condition in compared) or "FALSE"
        if is_one_pass:
            conditions = [(Window(BEGINNING, END), " OR ".join(condition for _, condition in conditions))]
        name = f"{self.query.name} of days that are not read"
        authored = self.query.authored or self.query.text
        return [
            replace(self.query, name=name, window=window, text=self._text(condition, hashed), authored=authored)
            for window, condition in conditions
        ]

    def _text(self, condition: str, hashed: str) -> str:
        # What is made around a query of any other dialect, DuckDB works out.
        dialect, customer = _DIALECTS.get(self.query.dialect, _DIALECTS["duckdb"]), ['"customer_id"'] if self.by_customer else []
        given = [column for column in self.table.columns if column.name in self.given]
        values = [f"{dialect.texts[column.kind](quote_name(column.name))} AS {quote_name(f'{column.name} text')}" for column in given]
        texts = [_length_and_text(quote_name(f"{column.name} text")) if column in given else "'-'" for column in self.table.columns]
        # Within the calendar, which an instant may leave and a date must not.
        at = f"LEAST(GREATEST({quote_name(self.table.instant)}, {_instant(BEGINNING + ONE_DAY)}), {_instant(END - ONE_DAY)})"
        columns = [
            f"CAST({at} AT TIME ZONE '{self.zone.key}' AS DATE) AS event_day",
            *customer,
            "net_amount" if self.table.kind_of("net_amount") is Kind.MONEY else "0 AS net_amount",
        ]
        keys = ", ".join(["event_day", *customer])
        amount = dialect.amount_text.format("COALESCE(SUM(net_amount), 0)")
        lines = [
            f"SELECT {keys}, COUNT(*) AS row_count, {amount} AS net_amount, CAST({dialect.row_sum} AS VARCHAR) AS row_sum",
            f"FROM (SELECT {keys}, net_amount, CASE WHEN is_compared THEN {dialect.row_hash.format(' || '.join(texts))} END AS row_hash",
            f"FROM (SELECT {', '.join([*columns, f'({hashed}) AS is_compared', *values])} FROM (",  # noqa: S608 - names that we declare
            self.query.text,  # alone on its lines, so that a comment at its end hides nothing
            f") AS source WHERE {condition} {dialect.fence}) AS written {dialect.fence}) AS hashed",
            f"GROUP BY {keys}",
        ]
        return "\n".join(lines)


def _length_and_text(text: str) -> str:
    # With its length, so that `ab` beside `c` is not `a` beside `bc`; without a text, so that nothing is not an empty one.
    return f"COALESCE(CAST(LENGTH({text}) AS VARCHAR) || ':' || {text}, '-')"


def _instant(at: datetime) -> str:
    return f"CAST('{at.isoformat()}' AS TIMESTAMP WITH TIME ZONE)"


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How one dialect writes a value of each kind, and a sum of money, as text; how it hashes the text of a row and sums the hashes.

    A `fence` keeps what stands before it from being worked out anew wherever it is named: a text twice, the hash of a row eight times.
    """

    texts: Mapping[Kind, Callable[[str], str]]
    amount_text: str
    row_hash: str
    row_sum: str
    fence: str = ""


def _duckdb_text(kind: Kind) -> Callable[[str], str]:
    # No row with a value that its column cannot hold was ever stored, so any text is different enough; but nothing may fail here.
    return lambda value: f"CASE WHEN {value} IS NOT NULL THEN COALESCE(CAST(TRY_CAST({value} AS {kind.sql}) AS VARCHAR), '') END"


def _postgresql_day(value: str) -> str:
    return (
        # Infinite days as the driver counts them.
        f"CASE {value} WHEN 'infinity' THEN '5877612-06-21 (BC)' WHEN '-infinity' THEN '5877612-06-22 (BC)'"
        f" ELSE to_char({value}, 'YYYY-MM-DD') || CASE WHEN {value} < '0001-01-01' THEN ' (BC)' ELSE '' END END"
    )


def _duckdb_number(value: str) -> str:
    return f"FORMAT('{{:.16e}}', TRY_CAST({value} AS DOUBLE))"


def _postgresql_number(value: str) -> str:
    """Write a double with 17 digits, which tell it from all others: the fewest that do are others in DuckDB and PostgreSQL."""
    number = f"CAST({value} AS DOUBLE PRECISION)"
    return (
        f"CASE {number} WHEN 'NaN' THEN 'nan' WHEN 'Infinity' THEN 'inf' WHEN '-Infinity' THEN '-inf'"
        f" ELSE ltrim(to_char({number}, '9.{'9' * 16}EEEE')) END"
    )


def _postgresql_instant(value: str) -> str:
    local = f"({value} AT TIME ZONE 'UTC')"
    # A cast is three times as fast, and right where the connection has the usual DateStyle.
    exact = f"rtrim(rtrim(to_char({local}, 'YYYY-MM-DD HH24:MI:SS.US'), '0'), '.')"
    return f"CASE WHEN current_setting('DateStyle') LIKE 'ISO%' THEN CAST({local} AS VARCHAR) ELSE {exact} END || '+00'"


# A sum may be infinite, which no DECIMAL(38, 4) is.
_POSTGRESQL_MONEY = f"CAST(round(CAST({{0}} AS NUMERIC), {MONEY_DECIMALS}) AS VARCHAR)"
# The last eight bytes of a hash are a number, its lowest byte first.
_POSTGRESQL_ROW_SUM = " + ".join(f"CAST({256**place} AS NUMERIC) * SUM(get_byte(row_hash, {8 + place}))" for place in range(8))
_DIALECTS = {
    "duckdb": _Dialect(
        {**{kind: _duckdb_text(kind) for kind in Kind if not kind.is_list}, Kind.NUMBER: _duckdb_number},
        f"CAST(CAST({{}} AS DECIMAL(38, {MONEY_DECIMALS})) AS VARCHAR)",
        "md5_number_lower({})",
        "COALESCE(SUM(row_hash), 0)",
    ),
    "postgres": _Dialect(
        {
            # A cast would take the blanks off the end of a CHAR, so would joining texts; NULL stays NULL.
            Kind.TEXT: "CASE WHEN {0} IS NOT NULL THEN concat({0}) END".format,
            Kind.INTEGER: "CAST({0} AS VARCHAR)".format,
            Kind.NUMBER: _postgresql_number,
            Kind.MONEY: _POSTGRESQL_MONEY.format,
            Kind.INSTANT: _postgresql_instant,
            Kind.DATE: _postgresql_day,
            Kind.FLAG: "CASE {0} WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END".format,
        },
        _POSTGRESQL_MONEY,
        "decode(md5(convert_to({}, 'UTF8')), 'hex')",
        f"COALESCE({_POSTGRESQL_ROW_SUM}, 0)",
        "OFFSET 0",
    ),
}
