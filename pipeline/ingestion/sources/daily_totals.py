"""Totals of a source's order lines per local day, worked out by the source itself, so that no line has to be read.

Beside count and amount there is a sum of one hash per row over everything that the row says. It is the sum that
`pipeline.ingestion.versions` makes of a raw day, so that what is stored can be compared with what the source says: each
dialect writes every value as DuckDB does, and takes the same half of its MD5 for a number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from pipeline.ingestion.sources import SourceQuery, quote_name
from pipeline.lake.tables import MONEY_DECIMALS, Kind, Table


def daily_totals(query: SourceQuery, table: Table, given: Collection[str], zone: str, *, by_customer: bool = False) -> SourceQuery:
    """Return a query for the totals of the rows of `query` in its window, per local day in `zone`.

    `table` says which columns a row has, `given` which of them the query gives. The result has `event_day`, `row_count`,
    `net_amount` and `row_sum` (the last two as text), and `customer_id` where the totals are `by_customer`.
    """
    dialect, customer = _DIALECTS[query.dialect], ['"customer_id"'] if by_customer else []
    texts = [dialect.text_of(quote_name(column.name), column.kind) if column.name in given else "'-'" for column in table.columns]
    day = f"CAST(\"{table.instant}\" AT TIME ZONE '{zone}' AS DATE) AS event_day"
    amount = f"{dialect.amount_text.format('COALESCE(SUM(net_amount), 0)')} AS net_amount"
    keys = ", ".join(["event_day", *customer])
    lines = [
        f"SELECT {keys}, COUNT(*) AS row_count, {amount}, CAST({dialect.row_sum} AS VARCHAR) AS row_sum",
        f'FROM (SELECT {", ".join([day, *customer])}, "net_amount", {dialect.row_hash.format(" || ".join(texts))} AS row_hash FROM (',  # noqa: S608 - names that we declare
        query.text,  # alone on its lines, so that a comment at its end hides nothing
        f') AS source WHERE "{table.instant}" >= $day_start AND "{table.instant}" < $day_end) AS hashed',
        f"GROUP BY {keys}",
    ]
    return replace(query, name=f"{query.name} before the lookback", text="\n".join(lines))


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How one dialect writes a value of each kind, and a sum of money, as text; how it hashes the text of a row and sums the hashes."""

    texts: Mapping[Kind, Callable[[str], str]]
    amount_text: str
    row_hash: str
    row_sum: str

    def text_of(self, value: str, kind: Kind) -> str:
        text = self.texts[kind](value)
        return f"CASE WHEN {value} IS NULL THEN '-' ELSE CAST(LENGTH({text}) AS VARCHAR) || ':' || {text} END"


def _duckdb_text(kind: Kind) -> Callable[[str], str]:
    # No row with a value that its column cannot hold was ever stored, so any text is different enough; but nothing may fail here.
    return lambda value: f"COALESCE(CAST(TRY_CAST({value} AS {kind.sql}) AS VARCHAR), '')"


def _postgresql_day(value: str) -> str:
    return (
        f"CASE {value} WHEN 'infinity' THEN '5877612-06-21 (BC)' WHEN '-infinity' THEN '5877612-06-22 (BC)'"  # as the driver counts them
        f" ELSE to_char({value}, 'YYYY-MM-DD') || CASE WHEN {value} < '0001-01-01' THEN ' (BC)' ELSE '' END END"
    )


# One of eight hexadecimal digits per 32 bits: the last eight bytes of the hash, of which the first is the lowest.
_LOW, _HIGH = (
    f"SUM(('x' || {' || '.join(f'substr(row_hash, {place}, 2)' for place in places)})::bit(32)::bigint)"
    for places in ((23, 21, 19, 17), (31, 29, 27, 25))
)
_POSTGRESQL_MONEY = f"CAST(round(CAST({{0}} AS NUMERIC), {MONEY_DECIMALS}) AS VARCHAR)"  # a sum may be infinite, which no DECIMAL(38, 4) is
_DIALECTS = {
    "duckdb": _Dialect(
        {kind: _duckdb_text(kind) for kind in (Kind.TEXT, Kind.INTEGER, Kind.MONEY, Kind.INSTANT, Kind.DATE, Kind.FLAG)},
        f"CAST(CAST({{}} AS DECIMAL(38, {MONEY_DECIMALS})) AS VARCHAR)",
        "md5_number_lower({})",
        "COALESCE(SUM(row_hash), 0)",
    ),
    "postgres": _Dialect(
        {
            Kind.TEXT: "format('%s', {0})".format,  # a cast would take the blanks off the end of a CHAR
            Kind.INTEGER: "CAST({0} AS VARCHAR)".format,
            Kind.MONEY: _POSTGRESQL_MONEY.format,
            # No cast, which would follow the DateStyle of the connection.
            Kind.INSTANT: "rtrim(rtrim(to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '0'), '.') || '+00'".format,
            Kind.DATE: _postgresql_day,
            Kind.FLAG: "CASE WHEN {0} THEN 'true' ELSE 'false' END".format,
        },
        _POSTGRESQL_MONEY,
        "md5(convert_to({}, 'UTF8'))",
        f"COALESCE({_LOW} + 4294967296 * {_HIGH}, 0)",
    ),
}
