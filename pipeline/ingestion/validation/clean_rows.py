"""Clean rows, made of the raw rows that stay. Pure: no row is dropped here, and no amount changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingestion.infinite_amounts import is_finite_amount
from pipeline.ingestion.validation.raw_rows import blank_to_null, is_in_calendar
from pipeline.lake.tables import EVENT_DAY, ORDER_LINES, Kind, Spelling, Table

SPELLINGS: Mapping[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    "lower": pc.utf8_lower,
    "title": pc.utf8_title,
    "upper": pc.utf8_upper,
}


def clean_order_lines(rows: pa.Table) -> pa.Table:
    """Return rows of event days as ORDER_LINES, in the same order, each with its day and night.

    A line is `cancelled` where the source says so; else a `refund` where money went back, or goods went back without money;
    else an `order`, even one that cost nothing. A refund counts for the day of its order where the source links the two.
    What the source does not give of category, channel and discount stays null: it is unknown, and not nothing. So does an amount that
    is not finite, where the suite of a company lets it pass.
    """
    rows = _with_finite_amounts(rows)
    zero, day = pa.scalar(0, Kind.MONEY.arrow), rows[EVENT_DAY.name]
    is_unpaid = pc.less_equal(rows["net_amount"], zero)
    is_given_back = pc.or_(pc.less(rows["net_amount"], zero), pc.and_(is_unpaid, pc.less(rows["quantity"], zero)))
    kind = pc.if_else(pc.fill_null(rows["is_cancelled"], fill_value=False), "cancelled", pc.if_else(is_given_back, "refund", "order"))
    order_day = pc.if_else(pc.equal(kind, "refund"), pc.coalesce(rows["refunded_order_day"], day), day)
    columns = {name: rows[name] for name in rows.column_names}
    columns |= {
        "category": blank_to_null(rows["category"]),
        "channel": blank_to_null(rows["channel"]),
        "line_kind": kind,
        "order_day": order_day,
    }
    return replace(ORDER_LINES, columns=ORDER_LINES.stored_columns).conform(pa.table(columns))


def clean_events(rows: pa.Table, table: Table) -> pa.Table:
    """Return rows of event days as `table`, in the same order, each with its day and night; values as `clean_people` leaves them."""
    return replace(table, columns=table.stored_columns).conform(pa.table(_clean_columns(rows, table)))


def clean_people(rows: pa.Table, table: Table, *, is_prospect: bool) -> pa.Table:
    """Return rows in the columns of `table`.

    What our suites reject, those of a company may let pass: a number that is not finite and a date outside the calendar become null, so
    that every reader can read every feature.
    """
    columns = _clean_columns(rows, table)
    columns["is_prospect"] = pa.repeat(is_prospect, rows.num_rows)
    return table.conform(pa.table(columns))


def _clean_columns(rows: pa.Table, table: Table) -> dict[str, pa.ChunkedArray]:
    columns = {name: rows[name] for name in rows.column_names}
    for column in (column for column in table.columns if column.name in columns):
        if column.kind is Kind.TEXT and column.name not in table.key:
            text = _plain_text(rows[column.name], column.spelling, is_list=bool(column.separator))
            columns[column.name] = _plain_list(text, column.separator) if column.separator else text
            continue
        if column.kind is Kind.NUMBER:
            is_readable = pc.is_finite(rows[column.name])
        elif column.kind is Kind.MONEY:
            is_readable = is_finite_amount(rows[column.name])
        elif column.kind in (Kind.DATE, Kind.INSTANT):
            is_readable = is_in_calendar(rows[column.name], column.kind)
        else:
            continue
        columns[column.name] = pc.if_else(is_readable, rows[column.name], pa.scalar(None, column.kind.arrow))
    return columns


def _with_finite_amounts(rows: pa.Table) -> pa.Table:
    for place, field in enumerate(rows.schema):
        is_finite = is_finite_amount(rows[field.name]) if field.type == Kind.MONEY.arrow else None
        if is_finite is not None and pc.any(pc.invert(is_finite)).as_py():
            rows = rows.set_column(place, field, pc.if_else(is_finite, rows[field.name], pa.scalar(None, field.type)))
    return rows


def _plain_list(text: pa.ChunkedArray, separator: str) -> pa.ChunkedArray:
    """Return lists with each value once, in order and without white space around it; one that has none is empty, and known."""
    # By distinct text: customers share a few lists of tags.
    coded = text.combine_chunks().dictionary_encode()
    cells = [separator.join(sorted({value.strip() for value in cell.split(separator)} - {""})) for cell in coded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(cells, pa.string()).take(coded.indices)], pa.string())


def _plain_text(text: pa.ChunkedArray, spelling: Spelling, *, is_list: bool = False) -> pa.ChunkedArray:
    """Return `text` with blanks null, and in one `spelling`, with single spaces, where the company declares one.

    A blank list is one without values.
    """
    known = text if is_list else blank_to_null(text)
    return SPELLINGS[spelling](pc.utf8_trim_whitespace(pc.replace_substring_regex(known, r"\s+", " "))) if spelling else known


def unite_people(customers: Iterator[pa.Table], prospects: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Merge customers and prospects in order of their ids; a prospect with the id of a customer is left out.

    Both come in pieces sorted by unique ids; one piece of each is held in memory at a time.
    """
    left, right = next(customers, None), next(prospects, None)
    while left is not None and right is not None:
        if not left.num_rows or not right.num_rows:
            left, right = left if left.num_rows else next(customers, None), right if right.num_rows else next(prospects, None)
            continue
        # Up to the smaller of both last ids, whoever is in either table has been read.
        last = min(left["customer_id"][-1].as_py(), right["customer_id"][-1].as_py())
        people, left = _split_after_id(left, last)
        others, right = _split_after_id(right, last)
        others = others.filter(pc.invert(pc.is_in(others["customer_id"], value_set=people["customer_id"].combine_chunks())))
        yield pa.concat_tables([people, others]).sort_by("customer_id")
    for rest, more in ((left, customers), (right, prospects)):
        if rest is not None:
            yield rest
            yield from more


def _split_after_id(rows: pa.Table, last: str) -> tuple[pa.Table, pa.Table]:
    count = pc.sum(pc.less_equal(rows["customer_id"], last)).as_py()
    return rows.slice(0, count), rows.slice(count)
