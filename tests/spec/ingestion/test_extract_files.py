"""What a night reads from a folder of files, and what it says when it cannot."""

from __future__ import annotations

import gzip
import logging
import traceback
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.extractions import (
    CUSTOMERS,
    LINES,
    Shop,
    a_customer,
    a_line,
    a_shop_folder,
    order_ids,
    raw_lines,
    run_extract,
    write_files,
    write_query,
)
from support.nights import tree_bytes

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import Source
from pipeline.errors import ConfigError, DataError, PipelineError, SchemaDrift
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import EXTRACTIONS, RAW_CUSTOMERS, RAW_ORDER_LINES, RAW_PROSPECTS, Kind

DAY = date(2024, 3, 10)
EVERYBODY = "SELECT id AS customer_id, joined AS created_at, name AS nickname, income, born FROM customers"
NOON = [f"2024-03-{day:02} 12:00" for day in range(32)]


def days(*numbers: int) -> list[date]:
    return [date(2024, 3, number) for number in numbers]


def versions(lake: Lake) -> list[tuple[int, int]]:
    return [(version.day.day, version.known_on.day) for version in lake.versions(RAW_ORDER_LINES)]


def marks(lake: Lake, day: date = DAY) -> dict[str, dict[str, Any]]:
    return {row["source_table"]: row for row in lake.read(EXTRACTIONS, day=day).to_pylist()}


@pytest.fixture
def company(tmp_path: Path) -> Company:
    shop = a_shop_folder(tmp_path / "shop")
    write_files(shop, Shop([a_customer(1), a_customer(2)], [a_line(1, NOON[4]), a_line(2, NOON[8]), a_line(3, NOON[9])]))
    return shop


def refusal(company: Company, lake: Lake, day: date = DAY) -> PipelineError:
    """Return the error of a night that must leave nothing behind."""
    with pytest.raises(PipelineError) as refused:
        run_extract(company, lake, day)
    assert tree_bytes(lake, "tables", "staging") == {}
    return refused.value


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


# Which days a night reads


def test_the_first_night_reads_the_whole_history_and_makes_every_day_since_the_first_sale(company: Company, lake: Lake) -> None:
    run_extract(company, lake, DAY)
    assert versions(lake) == [(day, 10) for day in range(4, 11)]
    assert [order_ids(lake, day, DAY) for day in days(4, 5, 8, 9, 10)] == [["o1"], [], ["o2"], ["o3"], []]
    assert marks(lake)["raw_order_lines"] == {
        "source_table": "raw_order_lines",
        "first_day": None,
        "last_day": DAY,
        "row_count": 3,
        "changed_partition_count": 7,
        "ignored_columns": "",
        "given_columns": ",".join(RAW_ORDER_LINES.column_names),
    }


def test_days_before_the_company_opened_are_kept_but_not_filled_up(tmp_path: Path, lake: Lake) -> None:
    company = a_shop_folder(tmp_path / "shop", first_day=date(2024, 3, 8), zone=ZoneInfo("America/New_York"))
    lines = [a_line(1, datetime.fromisoformat("0001-01-01T00:00:00+00:00")), a_line(2, NOON[9])]
    write_files(company, Shop([], lines))
    run_extract(company, lake, DAY)
    assert lake.versions(RAW_ORDER_LINES) == [Version(day, DAY) for day in (date.min, *days(9, 10))]


def test_an_empty_source_makes_the_night_empty(tmp_path: Path, lake: Lake) -> None:
    company = a_shop_folder(tmp_path / "shop")
    write_files(company, Shop([], []))
    run_extract(company, lake, DAY)
    assert versions(lake) == [(10, 10)]
    assert lake.read(RAW_CUSTOMERS, known_on=DAY).num_rows == 0


def test_a_night_reads_the_lookback_and_every_night_missed(company: Company, lake: Lake) -> None:
    run_extract(company, lake, date(2024, 3, 4))
    run_extract(company, lake, date(2024, 3, 9))
    assert marks(lake, date(2024, 3, 9))["raw_order_lines"]["first_day"] == date(2024, 3, 5)
    run_extract(company, lake, DAY)
    assert marks(lake)["raw_order_lines"]["first_day"] == date(2024, 3, 8)
    assert versions(lake) == [(4, 4), (5, 9), (6, 9), (7, 9), (8, 9), (9, 9), (10, 10)]


def test_a_backfilled_night_before_all_others_reads_only_its_lookback(company: Company, lake: Lake) -> None:
    run_extract(company, lake, DAY)
    before = tree_bytes(lake, "tables/raw_order_lines", "tables/raw_customers")
    run_extract(company, lake, date(2024, 3, 6))
    assert marks(lake, date(2024, 3, 6))["raw_order_lines"]["first_day"] == date(2024, 3, 4)
    assert tree_bytes(lake, "tables/raw_order_lines", "tables/raw_customers") == before


def test_a_night_that_is_read_is_not_read_again(company: Company, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    run_extract(company, lake, DAY)
    before = tree_bytes(lake, "tables")
    write_files(company, Shop([], []))
    with caplog.at_level(logging.INFO):
        run_extract(company, lake, DAY)
    assert tree_bytes(lake, "tables") == before
    assert f"{DAY} is already read" in caplog.text


def test_rereading_a_night_learns_what_changed_and_only_that(company: Company, lake: Lake) -> None:
    run_extract(company, lake, DAY - timedelta(1))
    run_extract(company, lake, DAY)
    write_files(company, Shop([a_customer(1), a_customer(2)], [a_line(1, NOON[4]), a_line(2, NOON[8]), a_line(9, NOON[9])]))
    run_extract(company, lake, DAY, reread=True)
    assert versions(lake)[-3:] == [(9, 9), (9, 10), (10, 10)]
    assert (order_ids(lake, date(2024, 3, 9), DAY), order_ids(lake, date(2024, 3, 9), DAY - timedelta(1))) == (["o9"], ["o3"])


def test_a_late_line_inside_the_lookback_makes_a_version_of_its_own_day_only(company: Company, lake: Lake) -> None:
    run_extract(company, lake, date(2024, 3, 9))
    write_files(company, Shop([a_customer(1), a_customer(2)], [a_line(2, NOON[8]), a_line(3, NOON[9]), a_line(4, NOON[9])]))
    run_extract(company, lake, DAY)
    assert [version for version in versions(lake) if version[1] == 10] == [(9, 10), (10, 10)]
    assert order_ids(lake, date(2024, 3, 9), DAY) == ["o3", "o4"]
    assert marks(lake)["raw_order_lines"]["changed_partition_count"] == 2


def test_a_line_taken_back_by_the_source_empties_its_day(company: Company, lake: Lake) -> None:
    run_extract(company, lake, date(2024, 3, 9))
    write_files(company, Shop([a_customer(1), a_customer(2)], [a_line(2, NOON[8])]))
    run_extract(company, lake, DAY)
    assert order_ids(lake, date(2024, 3, 9), DAY) == []


def test_a_line_outside_the_window_is_never_stored_whatever_the_query_says(company: Company, lake: Lake) -> None:
    write_query(company.folder, "order_lines", "SELECT order_id, 1 AS line_number, 'c' AS customer_id, sold_at AS ordered_at, "
                "pieces AS quantity, paid AS net_amount FROM lines")  # fmt: skip
    lines = [a_line(1, "2024-03-11 00:00"), a_line(2, "2024-03-10 23:59:59.999999"), a_line(3, None), a_line(4, NOON[4])]
    write_files(company, Shop([], lines))
    run_extract(company, lake, DAY)
    assert order_ids(lake, DAY, DAY) == ["o2"]
    run_extract(company, lake, date(2024, 3, 11))
    assert order_ids(lake, date(2024, 3, 11), date(2024, 3, 11)) == ["o1"]
    assert versions(lake)[1] == (4, 10)


def test_a_line_without_an_instant_waits_on_the_first_day_there_is_and_is_learned_once(company: Company, lake: Lake) -> None:
    write_files(company, Shop([], [a_line(3, None), a_line(4, NOON[4])]))
    for day in (DAY, date(2024, 3, 11), date(2024, 3, 12)):
        run_extract(company, lake, day)
    assert order_ids(lake, date.min, DAY) == ["o3"]
    assert [version.known_on for version in lake.versions(RAW_ORDER_LINES) if version.day == date.min] == [DAY]


def test_customers_of_tomorrow_are_not_seen_tonight(company: Company, lake: Lake) -> None:
    write_query(company.folder, "customers", EVERYBODY)
    late, early = datetime.fromisoformat("2024-03-10T23:00:00+00:00"), datetime.fromisoformat("2024-03-10T22:59:59.999999+00:00")
    write_files(company, Shop([a_customer(1, joined=late), a_customer(2, joined=early), a_customer(3)], []))
    run_extract(company, lake, DAY)
    assert lake.read(company.table(RAW_CUSTOMERS), known_on=DAY)["customer_id"].to_pylist() == ["c2", "c3"]


# Which day a line belongs to


@pytest.mark.parametrize(
    ("instant", "day"),
    {
        "2024-03-30T22:59:59.999999+00:00": date(2024, 3, 30),
        "2024-03-30T23:00:00+00:00": date(2024, 3, 31),
        "2024-03-31T21:59:59.999999+00:00": date(2024, 3, 31),
        "2024-03-31T22:00:00+00:00": date(2024, 4, 1),
        "2024-10-27T22:59:59.999999+00:00": date(2024, 10, 27),
        "2024-10-27T23:00:00+00:00": date(2024, 10, 28),
    }.items(),
)
def test_a_line_belongs_to_its_local_day_on_the_days_of_the_clock_change(company: Company, lake: Lake, instant: str, day: date) -> None:
    write_files(company, Shop([], [a_line(1, datetime.fromisoformat(instant))]))
    run_extract(company, lake, day)
    assert order_ids(lake, day, day) == ["o1"]
    assert raw_lines(lake, day, day)[0]["ordered_at"] == datetime.fromisoformat(instant)


# What is stored


def test_shuffled_source_rows_give_the_same_bytes(company: Company, tmp_path: Path) -> None:
    products = [None, "a", "\u0131", "A"]
    lines = [a_line(n % 7, NOON[1 + n % 10], line=n % 3, paid=Decimal(n % 5), product=products[n * n % 4]) for n in range(500)]
    people = [a_customer(n) for n in range(50)]
    lakes = [Lake(tmp_path / f"lake-{order}") for order in range(3)]
    for lake, step in zip(lakes, (1, 500, 7), strict=True):
        write_files(company, Shop(people[:: 1 if step == 1 else -1], [lines[n * step % 501 - 1] for n in range(1, 501)]))
        run_extract(company, lake, DAY)
    assert tree_bytes(lakes[0], "tables") == tree_bytes(lakes[1], "tables") == tree_bytes(lakes[2], "tables")


def test_identical_and_conflicting_lines_of_one_key_are_all_kept(company: Company, lake: Lake) -> None:
    write_files(company, Shop([], [a_line(1, NOON[9], paid=Decimal(paid)) for paid in (3, 1, 3)]))
    run_extract(company, lake, DAY)
    assert [row["net_amount"] for row in raw_lines(lake, date(2024, 3, 9), DAY)] == [1, 3, 3]


def test_customers_are_written_again_only_when_they_differ(company: Company, lake: Lake) -> None:
    run_extract(company, lake, date(2024, 3, 8))
    run_extract(company, lake, date(2024, 3, 9))
    write_files(company, Shop([a_customer(1), a_customer(2, name="")], []))
    run_extract(company, lake, DAY, is_loss_accepted=True)
    assert sorted(path.name for path in (lake.root / "tables/raw_customers").iterdir()) == ["known=2024-03-08", "known=2024-03-10"]


def test_prospects_are_read_when_the_company_has_them_and_may_lack_attributes(company: Company, lake: Lake) -> None:
    write_query(company.folder, "prospects", "SELECT id AS customer_id, name AS nickname FROM customers")
    run_extract(company, lake, DAY)
    assert lake.read(company.table(RAW_PROSPECTS), known_on=DAY).to_pylist() == [
        {"customer_id": f"c{n}", "created_at": None, "nickname": None, "income": None, "born": None} for n in (1, 2)
    ]


def test_an_optional_column_that_the_query_lacks_is_empty(company: Company, lake: Lake) -> None:
    write_query(company.folder, "order_lines", "SELECT order_id, line AS line_number, customer_id, sold_at AS ordered_at, "
                "CAST(pieces AS INTEGER) AS quantity, paid AS net_amount, NULL AS category FROM lines")  # fmt: skip
    run_extract(company, lake, DAY)
    [row] = raw_lines(lake, date(2024, 3, 9), DAY)
    assert (row["quantity"], row["net_amount"]) == (Decimal("1.0000"), Decimal("9.9900"))
    assert {name for name, value in row.items() if value is None} == {
        "discount_amount", "product_id", "category", "channel", "is_cancelled", "refunded_order_day", "currency",
    }  # fmt: skip


# Columns


def reported(company: Company, lake: Lake, day: date, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.INFO):
        run_extract(company, lake, day)
    return [message for message in caplog.messages if "ignored" in message]


def test_a_new_column_is_ignored_and_reported_once(company: Company, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    assert reported(company, lake, date(2024, 3, 8), caplog) == []
    before = tree_bytes(lake, "tables")
    write_query(company.folder, "customers", EVERYBODY.replace("born", "born, 1 AS shoe, 2 AS hat"))
    assert reported(company, lake, date(2024, 3, 9), caplog) == ["raw_customers: columns that no table declares are ignored: hat,shoe"]
    assert reported(company, lake, DAY, caplog) == []
    assert marks(lake)["raw_customers"]["ignored_columns"] == "hat,shoe"
    assert marks(lake)["raw_customers"]["changed_partition_count"] == 0
    assert before.items() <= tree_bytes(lake, "tables").items()


def test_a_renamed_column_is_named_with_its_likely_new_name(company: Company, lake: Lake) -> None:
    query = company.source_file("order_lines")
    text = query.read_text().replace("customer_id, sold_at", "customer_id AS custmer_id, sold_at")
    query.write_text(text.replace("paid AS net_amount", "paid AS Net_Amount"))
    error = refusal(company, lake)
    assert isinstance(error, SchemaDrift)
    assert error.what == "order_lines lacks customer_id (did you mean `custmer_id`?), net_amount (did you mean `Net_Amount`?)"
    assert error.where == str(query)
    assert "It gives: order_id, line_number, custmer_id" in error.todo
    assert "Declared are: order_id, line_number, customer_id" in error.todo


def test_customers_must_have_the_attributes_that_the_company_declares(company: Company, lake: Lake) -> None:
    write_query(company.folder, "customers", "SELECT id AS customer_id, name AS nickname, income FROM customers")
    assert refusal(company, lake).what == "customers lacks born"


MONEY = "declared exact decimal: write"
NUMBER = "declared whole number: write"
WRONG_TYPES = {
    "CAST(sold_at AS TIMESTAMP) AS ordered_at": "ordered_at is TIMESTAMP without a time zone, declared instant (UTC): write "
    "`CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS ordered_at`",
    "CAST(sold_at AS DATE) AS ordered_at": "ordered_at is DATE, declared instant (UTC): write "
    "`CAST(CAST(sold_at AS DATE) AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS ordered_at`",
    "CAST(paid AS DOUBLE) AS net_amount": f"net_amount is DOUBLE, {MONEY} `CAST(CAST(paid AS DOUBLE) AS DECIMAL(18,4)) AS net_amount`",
    "paid * 0.00001 AS net_amount": f"net_amount is DECIMAL(18,7), {MONEY} `CAST((paid * 0.00001) AS DECIMAL(18,4)) AS net_amount`",
    "1 AS customer_id": "customer_id is a whole number (int32), declared text: write `CAST(1 AS VARCHAR) AS customer_id`",
    "CAST(line AS VARCHAR) AS line_number": f"line_number is text, {NUMBER} `CAST(CAST(line AS TEXT) AS BIGINT) AS line_number`",
    "CAST(line AS DECIMAL(9,0)) AS line_number": "line_number is DECIMAL(9,0), "
    f"{NUMBER} `CAST(CAST(line AS DECIMAL(9, 0)) AS BIGINT) AS line_number`",
    "1 AS is_cancelled": "is_cancelled is a whole number (int32), declared true or false: write `CAST(1 AS BOOLEAN) AS is_cancelled`",
    "CAST(refund_of AS TIMESTAMP) AS refunded_order_day": "refunded_order_day is TIMESTAMP without a time zone, declared date: write "
    "`CAST(CAST(refund_of AS TIMESTAMP) AS DATE) AS refunded_order_day`",
}


@pytest.mark.parametrize("expression", WRONG_TYPES)
def test_a_type_that_would_need_a_guess_is_refused_with_what_to_write(company: Company, lake: Lake, expression: str) -> None:
    name = expression.rpartition(" ")[2]
    others = "order_id, 1 AS line_number, 'c' AS customer_id, sold_at AS ordered_at, pieces AS quantity, paid AS net_amount"
    kept = [column for column in others.split(", ") if not column.endswith(name)]
    write_query(company.folder, "order_lines", f"SELECT {', '.join(kept)}, {expression} FROM lines")
    error = refusal(company, lake)
    assert isinstance(error, SchemaDrift)
    assert error.what == f"order_lines.{WRONG_TYPES[expression]}"
    remedy = error.what.split("`")[1]
    write_query(company.folder, "order_lines", f"SELECT {', '.join(kept)}, {remedy} FROM lines")
    run_extract(company, lake, DAY)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("CAST(1 AS INTEGER)", 'declare `kind = "integer"` under [attributes.nickname] of company.toml, or write'),
        ("CAST(1 AS DECIMAL(9, 2))", 'declare `kind = "money"` under [attributes.nickname]'),
        ("CAST(1 AS DOUBLE)", 'declare `kind = "number"` under [attributes.nickname]'),
        ("DATE '2024-01-01'", 'declare `kind = "date"` under [attributes.nickname]'),
        ("TRUE", 'declare `kind = "flag"` under [attributes.nickname]'),
        ("TIMESTAMPTZ '2024-01-01'", 'declare `kind = "instant"` under [attributes.nickname]'),
    ],
)
def test_an_attribute_of_another_kind_says_which_kind_to_declare(company: Company, lake: Lake, expression: str, words: str) -> None:
    write_query(company.folder, "customers", EVERYBODY.replace("name AS nickname", f"{expression} AS nickname"))
    error = refusal(company, lake)
    assert words in error.what
    kind = Kind[error.what.split('"')[1].upper()]
    attributes = tuple(replace(a, column=replace(a.column, kind=kind)) if a.column.name == "nickname" else a for a in company.attributes)
    run_extract(replace(company, attributes=attributes), lake, DAY)


def test_an_amount_behind_a_star_is_cast_by_its_own_name(company: Company, lake: Lake) -> None:
    write_query(
        company.folder, "customers", "SELECT * FROM (SELECT id AS customer_id, name AS nickname, 'x' AS income, born FROM customers)"
    )
    assert "write `CAST(income AS DECIMAL(18,4)) AS income`" in refusal(company, lake).what


def test_a_column_whose_case_changed_is_drift(company: Company, lake: Lake) -> None:
    write_query(company.folder, "customers", EVERYBODY.replace("customer_id", "CUSTOMER_ID"))
    error = refusal(company, lake)
    assert isinstance(error, SchemaDrift)
    assert error.what == "customers lacks customer_id"
    assert "It gives: CUSTOMER_ID, " in error.todo


@pytest.mark.parametrize("name", ["\0", "a\0b", "x" * 1_000_000, "\u0131\u0130", "\u10d0", "\u200b", "\u202e\u05d0"])
def test_text_of_any_kind_and_length_is_stored_as_it_is(company: Company, lake: Lake, name: str) -> None:
    write_files(company, Shop([a_customer(1, name=name)], [a_line(1, NOON[9], customer_id=name, category=name)]))
    run_extract(company, lake, DAY)
    [line] = raw_lines(lake, date(2024, 3, 9), DAY)
    [customer] = lake.read(company.table(RAW_CUSTOMERS), known_on=DAY).to_pylist()
    assert (line["customer_id"], line["category"], customer["nickname"]) == (name, name, name)


def test_text_that_is_no_unicode_stops_the_night_before_anything_is_stored(company: Company, lake: Lake) -> None:
    lone_surrogate = pa.array([b"\xed\xa0\x80"]).view(pa.string())
    rows = pa.Table.from_pylist([a_customer(1)], CUSTOMERS)
    pq.write_table(rows.set_column(rows.column_names.index("name"), "name", lone_surrogate), company.folder / "data" / "customers.parquet")
    assert isinstance(refusal(company, lake), DataError)


def test_every_wrong_type_is_named_at_once(company: Company, lake: Lake) -> None:
    write_query(company.folder, "customers", "SELECT 1 AS customer_id, 'x' AS created_at, 1.5 AS nickname, income, born FROM customers")
    assert [line.split(":")[0] for line in refusal(company, lake).what.splitlines()] == [
        "customers.customer_id is a whole number (int32), declared text",
        "customers.created_at is text, declared instant (UTC)",
        "customers.nickname is DECIMAL(2,1), declared text",
    ]


def test_a_value_too_large_to_store_is_refused_and_not_shown(company: Company, lake: Lake) -> None:
    query = company.source_file("order_lines")
    query.write_text(query.read_text().replace("paid AS net_amount", "CAST(987654321987654 AS DECIMAL(20,0)) AS net_amount"))
    error = refusal(company, lake)
    assert error.what == "order_lines.net_amount holds a value that no exact decimal can hold: too large, too precise, or no number"
    assert "98765" not in shown(error)


def test_two_columns_of_one_name_are_refused(company: Company, lake: Lake) -> None:
    write_query(company.folder, "customers", "SELECT id AS customer_id, name AS customer_id FROM customers")
    assert refusal(company, lake).what == "customers has two columns named customer_id"


# The author's queries


def test_a_table_that_the_folder_lacks_is_named_with_its_likely_name(company: Company, lake: Lake) -> None:
    write_query(company.folder, "customers", "SELECT id AS customer_id FROM custommers")
    error = refusal(company, lake)
    assert isinstance(error, ConfigError)
    assert error.what == "the source has no table `custommers` (did you mean `customers`?)"
    assert "customers, lines" in error.todo


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT 1 AS customer_id; SELECT 2", "several statements"),
        ("-- nothing", "it is empty"),
        ("SELECT 'oh", "never ends"),
        ("SELECT $day_strat AS customer_id", "`$day_strat` is not a parameter (did you mean `day_start`?)"),
        ("COPY (SELECT 1) TO 'x.csv'", "is no SELECT"),
        ("SELECT content AS customer_id FROM read_text('/etc/hostname')", "disabled by configuration"),
        ("SELECT name AS customer_id FROM sqlite_scan('x', 'y')", "cannot be run"),
    ],
)
def test_a_query_that_cannot_run_is_a_matter_of_configuration(company: Company, lake: Lake, query: str, words: str) -> None:
    write_query(company.folder, "customers", query)
    error = refusal(company, lake)
    assert isinstance(error, ConfigError)
    assert words in error.what
    assert "sources/customers.sql" in error.where


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT idd AS customer_id FROM customers", "names the column `idd`, which the source does not have (did you mean `id`?)"),
        ("SELECT c.idd AS customer_id\nFROM customers c", "names the column `idd`"),
        ("SELECT max(id) + born AS customer_id FROM customers", "takes a column for another type than it has"),
        ("SELECT id AS customer_id FROM customers WHERE joined > 5", "takes a column for another type than it has"),
    ],
)
def test_a_column_that_is_gone_or_of_another_type_is_drift_of_the_source(company: Company, lake: Lake, query: str, words: str) -> None:
    write_query(company.folder, "customers", query)
    error = refusal(company, lake)
    assert isinstance(error, SchemaDrift)
    assert words in error.what
    assert "Candidate" not in str(error)
    assert error.where.endswith("sources/customers.sql:1" if "idd" in query else "sources/customers.sql")
    assert error.todo


@pytest.mark.parametrize(
    "expression",
    ["CAST(name AS BIGINT)", "CAST(name AS DECIMAL(18,4))", "strptime(name, '%Y')", "error(name)", "CAST(name AS TIMESTAMPTZ)"],
)
def test_a_row_that_breaks_the_query_is_never_quoted(company: Company, lake: Lake, expression: str) -> None:
    write_files(company, Shop([a_customer(1, name="s3cret when casting from source column s3cret")], []))
    write_query(company.folder, "customers", EVERYBODY.replace("name AS", f"CAST({expression} AS VARCHAR) AS"))
    error = refusal(company, lake)
    assert isinstance(error, DataError)
    assert "sources/customers.sql failed on a row" in error.what
    assert "s3cret" not in shown(error)


def test_a_name_of_our_own_code_is_no_table(company: Company, lake: Lake) -> None:
    write_query(company.folder, "customers", "SELECT customer_id FROM relation")
    assert refusal(company, lake).what == "the source has no table `relation`"


# CSV


def write_csv(company: Company, name: str, text: str) -> Path:
    assert company.source.folder
    path = company.source.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode("utf-8", "surrogateescape"))
    return path


def read_csv_customers(company: Company, lake: Lake, types: dict[str, str] | None = None) -> list[dict[str, Any]]:
    source = Source(kind="files", folder=company.source.folder, column_types={"people": types or {}})
    changed = replace(company, source=source)
    write_query(company.folder, "customers", "SELECT key AS customer_id, joined AS created_at, name AS nickname, income, born FROM people")
    run_extract(changed, lake, DAY)
    rows: list[dict[str, Any]] = lake.read(company.table(RAW_CUSTOMERS), known_on=DAY).to_pylist()
    return rows


TYPES = {"joined": "TIMESTAMPTZ", "income": "decimal(18,4)", "born": "DATE"}
HEADER = "key,joined,name,income,born\n"


def test_keys_of_digits_keep_their_leading_zeros(company: Company, lake: Lake) -> None:
    write_csv(company, "people.csv", HEADER + "007,,1,,\n00070,,2.50,,\n")
    rows = read_csv_customers(company, lake, TYPES)
    assert [(row["customer_id"], row["nickname"]) for row in rows] == [("00070", "2.50"), ("007", "1")]


@pytest.mark.parametrize("name", ["people.csv", "people.csv.gz"])
def test_declared_types_are_read_exactly(company: Company, lake: Lake, name: str) -> None:
    write_csv(company, name, '\ufeff"key";joined;name;income;born\na;2024-01-01T10:00:00.123456+02:00;"x;\n""y""";-0.5000;2000-02-29\n')
    assert read_csv_customers(company, lake, TYPES) == [
        {
            "customer_id": "a",
            "created_at": datetime.fromisoformat("2024-01-01T08:00:00.123456+00:00"),
            "nickname": 'x;\n"y"',
            "income": Decimal("-0.5000"),
            "born": date(2000, 2, 29),
        }
    ]


def test_a_sub_folder_is_one_table_and_its_files_may_order_their_columns_differently(company: Company, lake: Lake) -> None:
    write_csv(company, "people/1.csv", HEADER + "a,,x,1,\n")
    write_csv(company, "people/2.csv.gz", "born,key,name,joined,income\n2000-01-01,b,y,,2\n")
    assert [(row["customer_id"], row["income"], row["born"]) for row in read_csv_customers(company, lake, TYPES)] == [
        ("a", 1, None),
        ("b", 2, date(2000, 1, 1)),
    ]


@pytest.mark.parametrize(
    ("cells", "message"),
    {
        "s3cret": "people.csv: too few columns at born, income, joined, name in line 3",
        "a,,s3cret,1,,2": "people.csv: too many columns in line 3",
        'a,,s3cret"x,1,': "",
        'a,,"s3"cret,1,': "people.csv: a quote out of place at name in line 3",
        "a,,s3cret\udcff,1,": "people.csv: text that is not UTF-8 at name in line 3",
        "a,,x,s3cret,": "people.csv: income is no DECIMAL(18,4) in line 3",
        "a,,x,1.00001,": "people.csv: income is no DECIMAL(18,4) in line 3",
        "a,,x,123456789012345,": "people.csv: income is no DECIMAL(18,4) in line 3",
        "a,2024-01-01 10:00:00,x,1,": "people.csv: joined is no TIMESTAMPTZ in line 3",
        "a,2024-01-01,x,1,": "people.csv: joined is no TIMESTAMPTZ in line 3",
        "a,,x,1,2023-02-29": "people.csv: born is no DATE in line 3",
        "a,,x,1,2023-02-28 10:00": "people.csv: born is no DATE in line 3",
    }.items(),
)
def test_a_broken_line_is_named_by_file_line_and_column_but_never_shown(company: Company, lake: Lake, cells: str, message: str) -> None:
    write_csv(company, "people.csv", f"{HEADER}k,,fine,1,2000-01-01\n{cells}\n")
    if not message:
        assert [row["nickname"] for row in read_csv_customers(company, lake, TYPES)] == ['s3cret"x', "fine"]
        return
    with pytest.raises(DataError) as refused:
        read_csv_customers(company, lake, TYPES)
    assert refused.value.what == message
    assert refused.value.where.endswith("people.csv")
    assert "s3cret" not in shown(refused.value)
    assert tree_bytes(lake, "tables", "staging") == {}


def test_many_broken_lines_are_counted_and_the_first_few_named(company: Company, lake: Lake) -> None:
    lines = [f'{n},,"a\nb",{"x" if n % 2 else 1},' for n in range(20)]
    write_csv(company, "people.csv", HEADER + "\n".join(lines) + "\n")
    with pytest.raises(DataError) as refused:
        read_csv_customers(company, lake, TYPES)
    assert refused.value.what == "people.csv: income is no DECIMAL(18,4) in 10 lines (4, 8, 12, 16, 20, ...)"


def test_broken_lines_of_all_kinds_are_told_together(company: Company, lake: Lake) -> None:
    write_csv(company, "people.csv", HEADER + "a\nb,,x,s3cret,\nc,,x,1,,z\nd\n")
    with pytest.raises(DataError) as refused:
        read_csv_customers(company, lake, TYPES)
    assert refused.value.what.splitlines() == [
        "people.csv: too few columns at born, income, joined, name in 2 lines (2, 5)",
        "people.csv: too many columns in line 4",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "people.csv is empty: 0 bytes"),
        ("\n", "people.csv begins with an empty line"),
        ("Members,,\nkey,name,city\n", "people.csv: column 2, 3 of 3 has no name in line 1"),
        ("key,a,a,A_2\n", "people.csv has columns whose names differ by case at most: `a_2` (column 2), `A_2` (column 4)"),
        ("sep=;\nkey;name\n", "people.csv begins with Excel's line `sep=`"),
        ('"sep=,"\r\nkey,name\r\n', "people.csv begins with Excel's line `sep=`"),
    ],
)
def test_a_file_without_a_sound_header_is_refused(company: Company, lake: Lake, text: str, words: str) -> None:
    write_csv(company, "people.csv", text)
    with pytest.raises(DataError) as refused:
        read_csv_customers(company, lake)
    assert words in refused.value.what
    assert refused.value.where.endswith("people.csv")
    assert refused.value.todo


def test_columns_without_a_name_are_called_by_their_place(company: Company, lake: Lake) -> None:
    # Such as the index that pandas writes, and what stands behind a mark at the end of each line.
    write_csv(company, "people.csv", ",key,name,\n0,a,Ann,\n1,b,Bo,yes\n")
    assert read_nickname(company, lake, "column_1 || name || COALESCE(column_4, '-')") == ["0Ann-", "1Boyes"]


def test_columns_of_one_name_are_called_by_name_and_place(company: Company, lake: Lake) -> None:
    # Such as the city of the invoice and that of the parcel: a query reads neither of them by chance.
    write_csv(company, "people.csv", "key,City,Name,city\na,Köln,Ann,Bonn\n")
    with pytest.raises(SchemaDrift, match="have: City_2, Name, city_4, key"):
        read_nickname(company, lake, "city")
    assert read_nickname(company, lake, "City_2 || city_4") == ["KölnBonn"]


def read_nickname(company: Company, lake: Lake, expression: str) -> list[str]:
    source = Source(kind="files", folder=company.source.folder, column_types={})
    query = f"SELECT key AS customer_id, {expression} AS nickname, NULL AS income, NULL AS born FROM people"
    write_query(company.folder, "customers", query)
    run_extract(replace(company, source=source), lake, DAY)
    return [row["nickname"] for row in lake.read(company.table(RAW_CUSTOMERS), known_on=DAY).to_pylist()]


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"icome": "DATE"}, "source.column_types.people names `icome`, which no file has (did you mean `income`?)"),
        ({"income": "MONEY"}, "source.column_types.people has the type `MONEY`"),
        ({"income": "DECIMAL(40,2)"}, "source.column_types.people has the type `DECIMAL(40,2)`"),
        ({"income": "DECIMAL(4,18)"}, "source.column_types.people has the type `DECIMAL(4,18)`"),
        ({"income": "DATE); DROP TABLE people; --"}, "source.column_types.people has the type"),
    ],
)
def test_a_declared_type_that_makes_no_sense_is_refused(company: Company, lake: Lake, types: dict[str, str], message: str) -> None:
    write_csv(company, "people.csv", HEADER)
    with pytest.raises(ConfigError) as refused:
        read_csv_customers(company, lake, types)
    assert message in refused.value.what


def test_an_undeclared_column_is_text_and_says_so(company: Company, lake: Lake) -> None:
    write_csv(company, "people.csv", HEADER + "1,,x,1,\n")
    with pytest.raises(SchemaDrift) as refused:
        read_csv_customers(company, lake, {})
    assert "customers.income is text, declared exact decimal: write `CAST(income AS DECIMAL(18,4)) AS income`" in refused.value.what


def test_a_wrong_query_over_a_csv_file_says_which_columns_there_are(company: Company, lake: Lake) -> None:
    write_csv(company, "people.csv", HEADER + "a\n")
    write_query(company.folder, "customers", "SELECT kee AS customer_id FROM people")
    error = refusal(company, lake)
    assert isinstance(error, SchemaDrift)
    assert "`kee`, which the source does not have (did you mean `key`?)" in error.what
    assert "The tables it names have: born, income, joined, key, name." in error.todo


# The folder


def test_a_folder_that_does_not_exist_is_a_matter_of_configuration(company: Company, lake: Lake) -> None:
    missing = replace(company, source=Source(kind="files", folder=company.folder / "nowhere"))
    with pytest.raises(ConfigError, match="folder does not exist"):
        run_extract(missing, lake, DAY)


def test_two_files_of_one_name_are_refused(company: Company, lake: Lake) -> None:
    write_csv(company, "Customers.csv", "id\n")
    assert isinstance(refusal(company, lake), ConfigError)


def test_files_of_one_table_may_gain_columns(company: Company, lake: Lake) -> None:
    assert company.source.folder
    (company.source.folder / "customers.parquet").unlink()
    parts = company.source.folder / "customers"
    parts.mkdir()
    pq.write_table(pa.table({"id": ["c1"], "joined": pa.array([None], CUSTOMERS.field("joined").type)}), parts / "1.parquet")
    pq.write_table(pa.Table.from_pylist([a_customer(2, name="Ia")], CUSTOMERS), parts / "2.parquet")
    run_extract(company, lake, DAY)
    assert lake.read(company.table(RAW_CUSTOMERS), known_on=DAY)["nickname"].to_pylist() == [None, "Ia"]


def test_values_that_no_calendar_holds_are_kept_for_validation(company: Company, lake: Lake) -> None:
    folder = company.source.folder
    with duckdb.connect() as connection:
        row = "'c1' AS id, TIMESTAMPTZ '-infinity' AS joined, 'x' AS name, 1.5 AS income, DATE 'infinity' AS born"
        connection.execute(f"COPY (SELECT {row}) TO '{folder}/customers.parquet'")
    run_extract(company, lake, DAY)
    run_extract(company, lake, date(2024, 3, 11))
    assert marks(lake, date(2024, 3, 11))["raw_customers"]["changed_partition_count"] == 0


def test_line_numbers_of_any_width_become_whole_numbers(company: Company, lake: Lake) -> None:
    assert company.source.folder
    wide = LINES.set(1, pa.field("line", pa.uint64()))
    pq.write_table(pa.Table.from_pylist([a_line(1, NOON[9], line=2**63 - 1)], wide), company.source.folder / "lines.parquet")
    run_extract(company, lake, DAY)
    assert raw_lines(lake, date(2024, 3, 9), DAY)[0]["line_number"] == 2**63 - 1
