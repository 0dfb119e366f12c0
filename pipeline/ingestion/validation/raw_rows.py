"""Raw rows as rules see them, with extra columns for what an expectation cannot work out by itself. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingestion.infinite_amounts import amount_text, is_finite_amount
from pipeline.ingestion.validation.known_ids import KnownIds
from pipeline.lake.tables import RAW_ORDER_LINES, Kind, Table

CUSTOMER_IDS = ("customer_id", "merged_into")
MOST_TAKEN_OFF = 19  # times what was paid, which is 95 % of the full price: who pays less pays nothing, or the discount is a mistake
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# One day inside of what Python can hold, so that no time zone pushes an instant out of it.
FIRST_DAY, LAST_DAY = date(1, 1, 2), date(9999, 12, 30)
UNITS_PER_DAY = {Kind.DATE: 1, Kind.INSTANT: 86_400_000_000}  # an instant is stored in microseconds


def checked_columns(rows: pa.Table, table: Table, *, known_ids: KnownIds | None = None, circle_ids: pa.Array | None = None) -> pa.Table:
    """Return `rows` as rules see them: blank ids are null, money is a float, instants fit a calendar.

    Beside the columns of `table` there are `is_text_readable`, `is_customer_id_trimmed`, `are_ids_trimmed`, `are_numbers_finite`,
    `are_dates_in_calendar`; for order lines `is_refund_plausible`, `is_sale_plausible` and `is_discount_plausible`; and
    `is_customer_known` where `known_ids` are given: of a merge, whether that holds for who is left. `circle_ids` are those of merges
    that close a circle, and give `closes_no_circle`.
    """
    count = rows.num_rows
    columns: dict[str, Any] = {name: rows[name].combine_chunks() for name in rows.column_names}
    columns["is_text_readable"] = _hold_all([_has_sound_characters(columns[name]) for name in _columns_of_kind(table, Kind.TEXT)], count)
    finite = [pc.is_finite(columns[name]) for name in _columns_of_kind(table, Kind.NUMBER)]
    finite += [is_finite_amount(columns[name]) for name in _columns_of_kind(table, Kind.MONEY)]
    columns["are_numbers_finite"] = _hold_all(finite, count)
    times = [(columns[column.name], column.kind) for column in table.columns if column.kind in UNITS_PER_DAY]
    columns["are_dates_in_calendar"] = _hold_all([is_in_calendar(values, kind) for values, kind in times], count)
    for column in table.columns:
        columns[column.name] = _checkable_column(columns[column.name], column.kind)
    given_ids = [name for name in _columns_of_kind(table, Kind.TEXT) if name in table.key or name in CUSTOMER_IDS]
    for name in given_ids:
        columns[name] = blank_to_null(columns[name])
    ids_of_customers = [columns[name] for name in given_ids if name in CUSTOMER_IDS]
    # White space of ASCII alone: a no-break space around the id of a customer belongs to it.
    columns["is_customer_id_trimmed"] = _hold_all([pc.equal(pc.ascii_trim_whitespace(ids), ids) for ids in ids_of_customers], count)
    columns["are_ids_trimmed"] = _hold_all([pc.equal(pc.utf8_trim_whitespace(columns[name]), columns[name]) for name in given_ids], count)
    if table.name == RAW_ORDER_LINES.name:
        quantity, amount, discount = (columns[name] for name in ("quantity", "net_amount", "discount_amount"))
        columns["is_refund_plausible"] = _hold_all([pc.invert(pc.and_(pc.less(quantity, 0), pc.greater(amount, 0)))], count)
        columns["is_sale_plausible"] = _hold_all([pc.invert(pc.and_(pc.greater(quantity, 0), pc.less(amount, 0)))], count)
        # Unless the units were free, which is a discount of all.
        is_small = pc.less_equal(discount, pc.multiply(pc.abs(amount), MOST_TAKEN_OFF))
        columns["is_discount_plausible"] = _hold_all([pc.or_(pc.equal(amount, 0), is_small)], count)
    if known_ids is not None:
        columns["is_customer_known"] = known_ids.contain(columns.get("merged_into", columns["customer_id"]))
    if circle_ids is not None:
        closes = pc.is_in(columns["customer_id"], value_set=circle_ids)
        columns["closes_no_circle"] = pc.if_else(pc.is_null(columns["customer_id"]), pa.scalar(None, pa.bool_()), pc.invert(closes))
    return pa.table(columns)


def blank_to_null(text: pa.Array) -> pa.Array:
    """Return `text` with null in place of values that are nothing but white space."""
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), pa.scalar(None, pa.string()), text)


def is_in_calendar(column: pa.Array, kind: Kind) -> pa.Array:
    """Return per date or instant whether Python, and so pandas, can hold it; PostgreSQL's infinity is none. Null for null."""
    counts, first, last = _calendar_counts(column, kind)
    return pc.and_(pc.greater_equal(counts, first), pc.less_equal(counts, last))


def repeated_rows(rows: pa.Table, is_same_key: np.ndarray) -> np.ndarray:
    """Return per row whether an earlier row is identical; `is_same_key` says which rows share their key with the row before."""
    repeated = np.zeros(rows.num_rows, np.bool_)
    next_shares = np.append(is_same_key[1:], np.zeros(min(rows.num_rows, 1), np.bool_))
    # Identical rows have the same key, and rows are sorted by it: only rows beside one of the same key need comparing.
    candidates = np.flatnonzero(is_same_key | next_shares)
    seen: set[tuple[str, ...]] = set()
    for index, row in zip(candidates, _comparable_rows(rows.take(candidates)), strict=True):
        repeated[index] = row in seen
        seen.add(row)
    return repeated


def as_records(rows: pa.Table, table: Table) -> list[dict[str, Any]]:
    """Return `rows` as JSON can hold them: decimals, dates and instants as text, invalid characters as escaped bytes."""
    columns = [_json_values(rows[column.name].combine_chunks(), column.kind) for column in table.columns]
    return [dict(zip(table.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def source_row_text(row: Mapping[str, Any]) -> str:
    """Return a source row as one line of JSON, as REJECTED_ROWS holds it."""
    return json.dumps(row, sort_keys=True, ensure_ascii=False)


def _columns_of_kind(table: Table, kind: Kind) -> list[str]:
    return [column.name for column in table.columns if column.kind is kind]


def _has_sound_characters(text: pa.Array) -> pa.Array:
    """Return per value whether it is valid UTF-8 without NUL, which databases refuse."""
    sound = pc.invert(pc.match_substring(text, "\0"))
    if _is_valid_utf8(text):
        return sound
    return pc.and_(sound, pa.array([_decode_text(value) == _decode_text(value, "ignore") for value in text.cast(pa.binary()).to_pylist()]))


def _is_valid_utf8(text: pa.Array) -> bool:
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _decode_text(value: bytes | None, errors: str = "backslashreplace") -> str | None:
    return None if value is None else value.decode("utf-8", errors)


def _checkable_column(column: pa.Array, kind: Kind) -> pa.Array:
    match kind:
        case Kind.TEXT if not _is_valid_utf8(column):
            return pa.array(_json_values(column, kind), pa.string())
        case Kind.MONEY:
            return _nearest_floats(column)
        case Kind.INSTANT | Kind.DATE:
            return _clamp_to_calendar(column, kind)
    return column


def _nearest_floats(money: pa.Array) -> pa.Array:
    """Return the float nearest to each amount, which is what an amount in a rule is; Arrow's cast makes 0.7000000000000001 of 0.7."""
    whole = pa.decimal128(money.type.precision, 0)
    unscaled = pa.Array.from_buffers(whole, len(money), money.buffers(), offset=money.offset)
    return pc.divide(unscaled.cast(pa.float64()), float(10**money.type.scale))


def _clamp_to_calendar(column: pa.Array, kind: Kind) -> pa.Array:
    counts, first, last = _calendar_counts(column, kind)
    return pc.min_element_wise(pc.max_element_wise(counts, first, skip_nulls=False), last, skip_nulls=False).cast(column.type)


def _calendar_counts(column: pa.Array, kind: Kind) -> tuple[pa.Array, pa.Scalar, pa.Scalar]:
    """Return what a column of dates or instants counts since 1970, and the counts of the first and the last day."""
    number = pa.int32() if kind is Kind.DATE else pa.int64()
    first, last = (pa.scalar((day - EPOCH.date()).days * UNITS_PER_DAY[kind], number) for day in (FIRST_DAY, LAST_DAY))
    return column.cast(number), first, last


def _hold_all(checks: list[pa.Array], count: int) -> pa.Array:
    """Return per row whether no check is false; null counts as kept."""
    result = np.ones(count, np.bool_)
    for check in checks:
        result &= pc.fill_null(check, fill_value=True).to_numpy(zero_copy_only=False)
    return pa.array(result)


def _comparable_rows(rows: pa.Table) -> list[tuple[str, ...]]:
    # As bytes and numbers: invalid text, and times beyond Python's calendar, cannot be converted. As text, NaN equals itself.
    exact = {pa.string(): pa.binary(), pa.timestamp("us", "UTC"): pa.int64(), pa.date32(): pa.int32()}
    columns: Sequence[list[str]] = [
        list(map(repr, column.cast(exact.get(column.type, column.type)).to_pylist())) for column in rows.columns
    ]
    return list(zip(*columns, strict=True))


def _json_values(column: pa.Array, kind: Kind) -> list[Any]:
    match kind:
        case Kind.TEXT:
            return [_decode_text(value) for value in column.cast(pa.binary()).to_pylist()]
        case Kind.MONEY:
            return [amount_text(amount) for amount in column.to_pylist()]
        case Kind.INSTANT:
            return [_instant_text(value) for value in column.cast(pa.int64()).to_pylist()]
        case Kind.DATE:
            return [_date_text(value) for value in column.cast(pa.int32()).to_pylist()]
        case Kind.NUMBER:
            return [value if value is None or np.isfinite(value) else str(value) for value in column.to_pylist()]
    return list(column.to_pylist())


def _instant_text(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    try:
        return (EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return f"1970-01-01T00:00:00+00:00 and {microseconds} microseconds"


def _date_text(days: int | None) -> str | None:
    if days is None:
        return None
    try:
        return (EPOCH.date() + timedelta(days=days)).isoformat()
    except OverflowError:
        return f"1970-01-01 and {days} days"
