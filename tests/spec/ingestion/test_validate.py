"""What validation makes of raw rows: clean ones, rejected ones with their rule, and nights that stop."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.builders import a_company, an_attribute, write_rows
from support.nights import tree_bytes
from support.raw_nights import NIGHT, a_raw_line, clean_lines, rejected, results, write_raw

from pipeline.definitions.company import PROJECT_ROOT, Company
from pipeline.errors import ConfigError, DataError, GateClosed
from pipeline.ingestion import validate
from pipeline.ingestion.infinite_amounts import STAND_INS, amounts_of_texts
from pipeline.ingestion.validate import validate_sources
from pipeline.ingestion.validation.expectations import load_suite
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import (
    CUSTOMERS,
    ORDER_LINES,
    RAW_CUSTOMERS,
    RAW_ORDER_LINES,
    RAW_PROSPECTS,
    RAW_VISITS,
    Column,
    Kind,
)
from pipeline.lake.workers import WorkerProcesses
from pipeline.reporting.pages import validation_page, write_validation_page

BROKEN_LINES: dict[str, dict[str, Any]] = {
    "order_id_is_given": {"order_id": None},
    "line_number_is_given": {"line_number": None},
    "customer_id_is_given": {"customer_id": None},
    "customer_id_is_trimmed": {"customer_id": " c1"},
    "ordered_at_is_given": {"ordered_at": None},
    "quantity_is_given": {"quantity": None},
    "net_amount_is_given": {"net_amount": None},
    "ordered_at_is_not_before_first_day": {"ordered_at": datetime(2019, 12, 31, 22, 59, 59, 999999, tzinfo=UTC)},
    "ordered_at_is_not_after_night": {"ordered_at": datetime(2024, 1, 2, 23, tzinfo=UTC)},
    "currency_is_the_companys": {"currency": "USD"},
    "discount_amount_is_not_negative": {"discount_amount": Decimal("-0.0001")},
    "refunded_order_day_is_not_after_the_line": {"net_amount": Decimal(-1), "refunded_order_day": date(2024, 1, 3)},
    "refunded_order_day_is_not_before_1900": {"net_amount": Decimal(-1), "refunded_order_day": date(1899, 12, 31)},
    "text_is_readable": {"product_id": "tea\0pot"},
    "net_amount_adds_up_exactly": {"net_amount": Decimal("99999999999999.9999")},
    "quantity_adds_up_exactly": {"quantity": Decimal(2_000_000_000_000)},
}
KEPT_LINES: dict[str, dict[str, Any]] = {
    "free": {"net_amount": Decimal(0)},
    "no_units": {"quantity": Decimal(0)},
    "huge": {"net_amount": Decimal("999999999999.9999")},
    "last_instant": {"ordered_at": datetime(2024, 1, 2, 22, 59, 59, 999999, tzinfo=UTC)},
    "first_instant": {"ordered_at": datetime(2019, 12, 31, 23, tzinfo=UTC)},
    "own_currency": {"currency": "EUR"},
    "stranger": {"customer_id": "nobody we know"},
    "unicode": {"customer_id": "\u0131 İ ქართული 🫖 \u202eא e\u0301"},
}


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path / "company", rejected_share_limit=1.0)


@pytest.fixture(scope="module")
def motley(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One validated night with a line for every fault and for everything odd that is none."""
    root = tmp_path_factory.mktemp("motley")
    lake, company = Lake(root / "lake"), a_company(root, rejected_share_limit=1.0)
    broken = [{**a_raw_line(0, order_id=rule), **given} for rule, given in BROKEN_LINES.items()]
    kept = [{**a_raw_line(0, order_id=name), **given} for name, given in KEPT_LINES.items()]
    more = [
        a_raw_line(0, order_id="empty customer", customer_id=""),
        a_raw_line(0, order_id="blank customer", customer_id=" \t"),
        a_raw_line(0, order_id="repeated"),
        a_raw_line(0, order_id="repeated"),
        a_raw_line(0, order_id="repeated"),
        a_raw_line(0, order_id="conflicting"),
        a_raw_line(0, order_id="conflicting", net_amount=Decimal(11)),
        a_raw_line(0, order_id="wrong twice", customer_id=None, currency="USD"),
    ]
    write_raw(company, lake, [*broken, *kept, *more])
    validate_sources(company, lake, NIGHT)
    return lake


def rules_of(lake: Lake, order_id: str) -> list[str]:
    return [row["rule"] for row in rejected(lake) if json.loads(row["row"])["order_id"] == order_id]


@pytest.mark.parametrize("rule", BROKEN_LINES)
def test_a_line_that_breaks_a_rule_is_set_aside_with_the_name_of_the_rule(motley: Lake, rule: str) -> None:
    order_id = None if rule == "order_id_is_given" else rule
    assert [row["rule"] for row in rejected(motley) if json.loads(row["row"])["order_id"] == order_id] == [rule]


@pytest.mark.parametrize("name", KEPT_LINES)
def test_an_odd_line_that_breaks_no_rule_is_kept_unchanged(motley: Lake, name: str) -> None:
    (line,) = [line for line in clean_lines(motley) if line["order_id"] == name]
    expected = {**a_raw_line(0, order_id=name), **KEPT_LINES[name]}
    assert {key: line[key] for key in expected if key != "currency"} == {key: expected[key] for key in expected if key != "currency"}


@pytest.mark.parametrize("order_id", ["empty customer", "blank customer"])
def test_an_empty_customer_id_counts_as_not_given(motley: Lake, order_id: str) -> None:
    assert rules_of(motley, order_id) == ["customer_id_is_given"]


def test_of_identical_rows_the_first_stays_and_the_others_are_set_aside(motley: Lake) -> None:
    assert [line["order_id"] for line in clean_lines(motley)].count("repeated") == 1
    assert rules_of(motley, "repeated") == ["row_is_not_repeated"] * 2


def test_different_rows_with_one_key_are_all_set_aside(motley: Lake) -> None:
    assert rules_of(motley, "conflicting") == ["key_is_unique"] * 2


@pytest.mark.parametrize("batch_rows", [2, 1_000], ids=["read again", "in memory"])
def test_lines_of_one_key_on_two_days_are_kept_counted_and_warned_of(company: Company, lake: Lake, batch_rows: int) -> None:
    day_before = NIGHT - timedelta(days=1)
    write_raw(company, lake, [a_raw_line(1, day=day_before), a_raw_line(2, day=day_before)], day=day_before)
    write_raw(company, lake, [a_raw_line(2), a_raw_line(2, line_number=2), a_raw_line(3, order_id=None)])
    validate_sources(replace(company, rejected_share_limit=1.0), lake, NIGHT, batch_rows=batch_rows)
    found = results(lake)["raw_order_lines", "key_is_of_one_day"]
    assert (found["failed_count"], found["severity"], found["is_passed"]) == (2, "warning", True)
    assert [line["order_id"] for line in clean_lines(lake, day=day_before) + clean_lines(lake)] == ["o1", "o2", "o2", "o2"]
    assert ("raw_customers", "key_is_of_one_day") not in results(lake)


def test_a_row_that_breaks_two_rules_names_the_first_of_the_suite_and_then_both(motley: Lake) -> None:
    (row,) = [row for row in rejected(motley) if json.loads(row["row"])["order_id"] == "wrong twice"]
    assert row["rule"] == "customer_id_is_given"
    assert row["broken_rules"] == "customer_id_is_given,currency_is_the_companys"


def test_a_rejected_row_is_the_raw_row_as_sorted_json_with_exact_decimals_and_iso_instants(motley: Lake) -> None:
    (row,) = [row for row in rejected(motley) if row["rule"] == "discount_amount_is_not_negative"]
    assert row["row"] == json.dumps(
        {
            "category": "tea",
            "channel": None,
            "currency": None,
            "customer_id": "c1",
            "discount_amount": "-0.0001",
            "is_cancelled": None,
            "line_number": 1,
            "net_amount": "10.0000",
            "order_id": "discount_amount_is_not_negative",
            "ordered_at": "2024-01-02T11:00:00+00:00",
            "product_id": None,
            "quantity": "1.0000",
            "refunded_order_day": None,
        }
    )
    assert (row["source_table"], row["source_day"]) == ("raw_order_lines", NIGHT)


def test_results_count_rows_per_rule_and_a_rejecting_rule_does_not_stop_the_night(motley: Lake) -> None:
    found = results(motley)["raw_order_lines", "customer_id_is_given"]
    assert (found["checked_count"], found["failed_count"], found["is_passed"]) == (32, 4, True)
    assert results(motley)["raw_order_lines", "row_is_not_repeated"]["failed_count"] == 2


def test_warnings_are_counted_and_no_row_is_dropped_for_them(motley: Lake) -> None:
    found = {
        rule: row["failed_count"]
        for (table, rule), row in results(motley).items()
        if table == "raw_order_lines" and row["severity"] == "warning"
    }
    assert found == {
        "category_is_given": 0,
        "customer_is_known": 3,
        "discount_is_plausible": 0,
        "ids_are_trimmed": 1,
        "key_is_of_one_day": 0,
        "net_amount_is_plausible": 2,
        "quantity_is_plausible": 1,
        "refund_is_not_paid_for": 0,
        "sale_is_not_paid_back": 2,
    }


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ({"quantity": Decimal(-1), "net_amount": Decimal(4)}, {"refund_is_not_paid_for"}),
        ({"quantity": Decimal(1), "net_amount": Decimal(-4)}, {"sale_is_not_paid_back"}),
        ({"quantity": Decimal(-1), "net_amount": Decimal(-4)}, set()),
        ({"quantity": Decimal(0), "net_amount": Decimal(-4)}, set()),
        ({"net_amount": Decimal(1), "discount_amount": Decimal(19)}, set()),
        ({"net_amount": Decimal(1), "discount_amount": Decimal("19.01")}, {"discount_is_plausible"}),
        ({"net_amount": Decimal(25), "discount_amount": Decimal(99_999)}, {"discount_is_plausible"}),
        ({"net_amount": Decimal(0), "discount_amount": Decimal(40)}, set()),
    ],
)
def test_amounts_that_contradict_quantity_or_discount_are_warned_of(tmp_path: Path, line: dict[str, Any], rules: set[str]) -> None:
    company, lake = a_company(tmp_path), Lake(tmp_path / "lake")
    write_raw(company, lake, [a_raw_line(1), a_raw_line(2, **line)])
    validate_sources(company, lake, NIGHT)
    names = ("refund_is_not_paid_for", "sale_is_not_paid_back", "discount_is_plausible")
    assert {name for name in names if results(lake)["raw_order_lines", name]["failed_count"]} == rules


def test_the_page_shows_every_rule_and_loads_nothing(motley: Lake, tmp_path: Path) -> None:
    write_validation_page(a_company(tmp_path), motley, NIGHT)
    page = (motley.root / "reports" / f"day={NIGHT}" / "validation.html").read_text("utf-8")
    assert all(rule in page for _, rule in results(motley))
    assert not any(word in page for word in ("http:", "https:", "<script", "src=", "@import", "url("))
    assert "prefers-color-scheme:dark" in page


def test_lines_are_cleaned_by_kind_and_day(company: Company, lake: Lake) -> None:
    lines = [
        a_raw_line(1, discount_amount=Decimal("2.5"), channel="web"),
        a_raw_line(2, category="", channel=" "),
        a_raw_line(3, net_amount=Decimal(-4), refunded_order_day=date(2023, 12, 5)),
        a_raw_line(4, net_amount=Decimal(-4)),
        a_raw_line(5, quantity=Decimal(-1), net_amount=Decimal(0)),
        a_raw_line(6, is_cancelled=True, net_amount=Decimal(-4), refunded_order_day=date(2023, 12, 5)),
        a_raw_line(7, is_cancelled=False, refunded_order_day=date(2023, 12, 5)),
    ]
    write_raw(company, lake, lines)
    validate_sources(company, lake, NIGHT)
    shown = [
        (line["line_kind"], str(line["order_day"]), line["category"], line["channel"], line["discount_amount"])
        for line in clean_lines(lake)
    ]
    assert shown == [
        ("order", "2024-01-02", "tea", "web", Decimal("2.5")),
        ("order", "2024-01-02", None, None, None),
        ("refund", "2023-12-05", "tea", None, None),
        ("refund", "2024-01-02", "tea", None, None),
        ("refund", "2024-01-02", "tea", None, None),
        ("cancelled", "2024-01-02", "tea", None, None),
        ("order", "2024-01-02", "tea", None, None),
    ]


def test_customers_and_prospects_are_united_and_a_customer_wins(company: Company, lake: Lake) -> None:
    company = replace(company, attributes=(an_attribute(Column("yearly_income", Kind.NUMBER, "Income.")),))
    end = datetime(2024, 1, 2, 23, tzinfo=UTC)
    customers: list[dict[str, Any]] = [
        {"customer_id": "b", "yearly_income": float("nan"), "created_at": end - timedelta(microseconds=1)},
        {"customer_id": "d", "yearly_income": 5.5},
        {"customer_id": "twin", "yearly_income": 1.0},
        {"customer_id": "twin", "yearly_income": 2.0},
        {"customer_id": "unborn", "created_at": end},
        {"customer_id": " "},
    ]
    write_raw(company, lake, [], customers=customers, prospects=[{"customer_id": name} for name in ("a", "b", "c", "d", "e", "e")])
    validate_sources(company, lake, NIGHT)
    stored = lake.read(company.table(CUSTOMERS), known_on=NIGHT).to_pylist()
    assert [(row["customer_id"], row["is_prospect"], row["yearly_income"]) for row in stored] == [
        ("a", True, None),
        ("b", True, None),  # a row that is set aside makes nobody a customer
        ("c", True, None),
        ("d", False, 5.5),
        ("e", True, None),
    ]
    assert Counter((row["source_table"], row["rule"]) for row in rejected(lake)) == {
        ("raw_customers", "customer_id_is_unique"): 2,
        ("raw_customers", "created_at_is_not_after_night"): 1,
        ("raw_customers", "customer_id_is_given"): 1,
        ("raw_customers", "numbers_are_finite"): 1,
        ("raw_prospects", "row_is_not_repeated"): 1,
    }
    assert results(lake)["raw_prospects", "prospect_is_not_a_customer"]["failed_count"] == 1
    assert results(lake)["raw_customers", "numbers_are_finite"]["failed_count"] == 1


DAYS_TO_YEAR_19802 = 6_513_000
BEYOND = {
    "year 19802": DAYS_TO_YEAR_19802,
    "PostgreSQL's infinity": 2**31 - 1,
    "PostgreSQL's minus infinity": -(2**31) + 1,
    "before Christ": -800_000,
    "year 10000": (date(9999, 12, 31) - date(1970, 1, 1)).days + 1,
}


@pytest.mark.parametrize("days", BEYOND.values(), ids=BEYOND)
@pytest.mark.parametrize("kind", [Kind.DATE, Kind.INSTANT])
def test_a_date_that_no_calendar_has_is_rejected_with_its_row(company: Company, lake: Lake, days: int, kind: Kind) -> None:
    company = replace(company, attributes=(an_attribute(Column("born", kind, "")),), rejected_share_limit=1.0)
    good, bad = 7_000, days if kind is Kind.DATE else max(-(2**63) + 1, min(days * 86_400_000_000, 2**63 - 1))
    values = pa.array([good, bad, None], pa.int32() if kind is Kind.DATE else pa.int64()).cast(kind.arrow)
    for table, ids in ((RAW_CUSTOMERS, ["c1", "c2", "c3"]), (RAW_PROSPECTS, ["p1", "p2", "p3"])):
        rows = pa.table({"customer_id": ids, "born": values})
        created = pa.nulls(3, Kind.INSTANT.arrow)
        lake.write(
            company.table(table), company.table(table).conform(rows.append_column("created_at", created)).to_batches(), known_on=NIGHT
        )
    write_rows(lake, RAW_ORDER_LINES, [a_raw_line(1), a_raw_line(2, customer_id="c2")], day=NIGHT, known_on=NIGHT)
    validate_sources(company, lake, NIGHT)
    assert {(row["rule"], json.loads(row["row"])["customer_id"]) for row in rejected(lake)} == {
        ("dates_are_in_the_calendar", "c2"),
        ("dates_are_in_the_calendar", "p2"),
    }
    assert [row["customer_id"] for row in lake.read(company.table(CUSTOMERS), known_on=NIGHT).to_pylist()] == ["c1", "c3", "p1", "p3"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_rejected_with_its_row(company: Company, lake: Lake, number: float) -> None:
    company = replace(company, attributes=(an_attribute(Column("income", Kind.NUMBER, "")),), rejected_share_limit=1.0)
    write_raw(company, lake, [a_raw_line(1)], customers=[{"customer_id": "c1", "income": 1.0}, {"customer_id": "c2", "income": number}])
    validate_sources(company, lake, NIGHT)
    [row] = rejected(lake)
    assert (row["rule"], json.loads(row["row"])["income"]) == ("numbers_are_finite", str(number))


def test_an_amount_that_is_not_finite_is_empty_where_a_company_lets_it_pass(company: Company, lake: Lake, tmp_path: Path) -> None:
    ours = json.loads((PROJECT_ROOT / "expectations" / "raw_order_lines.json").read_text("utf-8"))
    ours["expectations"] = [rule for rule in ours["expectations"] if rule["meta"]["rule"].endswith("_is_given")]
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "raw_order_lines.json").write_text(json.dumps(ours), "utf-8")
    company = replace(company, folder=tmp_path)
    amount = STAND_INS["NaN"]
    write_raw(company, lake, [a_raw_line(1)])
    lines = lake.read(RAW_ORDER_LINES, day=NIGHT, known_on=NIGHT)
    place = lines.schema.get_field_index("discount_amount")
    amounts = amounts_of_texts(pa.array(["nan"]))
    lake.write(RAW_ORDER_LINES, lines.set_column(place, lines.schema.field(place), amounts).to_batches(), day=NIGHT, known_on=NIGHT)
    assert lake.read(RAW_ORDER_LINES, day=NIGHT, known_on=NIGHT)["discount_amount"].to_pylist() == [amount]
    validate_sources(company, lake, NIGHT)
    assert [line["discount_amount"] for line in clean_lines(lake)] == [None]


def test_what_a_company_s_own_suite_lets_pass_is_empty_rather_than_unreadable(company: Company, lake: Lake, tmp_path: Path) -> None:
    ours = json.loads((PROJECT_ROOT / "expectations" / "raw_customers.json").read_text("utf-8"))
    ours["expectations"] = [rule for rule in ours["expectations"] if rule["meta"]["rule"] != "dates_are_in_the_calendar"]
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "raw_customers.json").write_text(json.dumps(ours), "utf-8")
    company = replace(company, folder=tmp_path, attributes=(an_attribute(Column("born", Kind.DATE, "")),))
    rows = {"customer_id": ["c1"], "born": pa.array([DAYS_TO_YEAR_19802], pa.int32()).cast(pa.date32())}
    table = company.table(RAW_CUSTOMERS)
    lake.write(
        table, table.conform(pa.table(rows).append_column("created_at", pa.nulls(1, Kind.INSTANT.arrow))).to_batches(), known_on=NIGHT
    )
    write_rows(lake, RAW_ORDER_LINES, [a_raw_line(1)], day=NIGHT, known_on=NIGHT)
    validate_sources(company, lake, NIGHT)
    assert [row["born"] for row in lake.read(company.table(CUSTOMERS), known_on=NIGHT).to_pylist()] == [None]


def test_a_lake_without_prospects_has_no_results_for_them(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [a_raw_line(1)])
    validate_sources(company, lake, NIGHT)
    assert {table for table, _ in results(lake)} == {"raw_customers", "raw_order_lines"}


def test_without_any_customer_the_night_stops_and_no_clean_partition_is_written(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [a_raw_line(1), a_raw_line(2, currency="USD")], customers=[])
    with pytest.raises(DataError, match=r"raw_customers breaks `table_has_rows` on 2024-01-02: 0 rows were checked"):
        validate_sources(company, lake, NIGHT)
    assert not lake.versions(ORDER_LINES)
    assert lake.snapshot_known(CUSTOMERS, NIGHT) is None
    assert len(rejected(lake)) == 1
    assert results(lake)["raw_customers", "table_has_rows"]["is_passed"] is False
    write_validation_page(company, lake, NIGHT)
    assert "Stopped." in (lake.root / "reports" / f"day={NIGHT}" / "validation.html").read_text("utf-8")


def test_too_many_rejected_rows_close_the_gate_and_say_what_to_do(company: Company, lake: Lake) -> None:
    faulty = [a_raw_line(1, customer_id=None), a_raw_line(2, customer_id=None), a_raw_line(3, currency="USD")]
    write_raw(company, lake, [*faulty, *(a_raw_line(number) for number in range(4, 10))])
    company = replace(company, rejected_share_limit=0.3)
    with pytest.raises(GateClosed) as refused:
        validate_sources(company, lake, NIGHT)
    assert refused.value.what == (
        "33.33% of 9 rows of raw_order_lines were set aside on 2024-01-02, above the limit of 30.00%: "
        "customer_id_is_given 2, currency_is_the_companys 1; found were USD 1, not EUR"
    )
    assert "`rejected_share_limit` in company.toml under [gates]" in refused.value.todo
    assert not lake.versions(ORDER_LINES)
    assert len(rejected(lake)) == 3
    assert results(lake)["raw_order_lines", "table_keeps_enough_rows"]["failed_count"] == 3
    validate_sources(replace(company, rejected_share_limit=0.34), lake, NIGHT)
    assert len(clean_lines(lake)) == 6


def test_validating_twice_writes_the_same_bytes(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [a_raw_line(1), a_raw_line(2, customer_id=None)], prospects=[{"customer_id": "p"}])
    validate_sources(company, lake, NIGHT)
    first, times = tree_bytes(lake, "tables", "reports"), _times(lake)
    validate_sources(company, lake, NIGHT)
    assert tree_bytes(lake, "tables", "reports") == first
    assert _times(lake) == times


def _times(lake: Lake) -> dict[Path, int]:
    """Return when each clean file was written: what is the same is left alone, so that caches that go by time stay good."""
    return {path: path.stat().st_mtime_ns for path in (lake.root / "tables").glob("[co]*/**/*.parquet")}


def test_a_night_checks_only_what_it_learned_and_leaves_older_versions_alone(company: Company, lake: Lake) -> None:
    next_night = NIGHT + timedelta(days=1)
    write_raw(company, lake, [a_raw_line(1)])
    validate_sources(company, lake, NIGHT)
    before = lake.path(ORDER_LINES, day=NIGHT, known_on=NIGHT).stat().st_mtime_ns
    write_raw(company, lake, [a_raw_line(2, day=next_night)], day=next_night, known_on=next_night)
    validate_sources(company, lake, next_night)
    assert lake.path(ORDER_LINES, day=NIGHT, known_on=NIGHT).stat().st_mtime_ns == before
    assert lake.versions(ORDER_LINES) == [Version(NIGHT, NIGHT), Version(next_night, next_night)]
    assert results(lake, night=next_night)["raw_order_lines", "order_id_is_given"]["checked_count"] == 1


def test_a_night_takes_up_what_an_earlier_night_left_unchecked_and_its_rerun_does_so_again(company: Company, lake: Lake) -> None:
    next_night = NIGHT + timedelta(days=1)
    write_raw(company, lake, [a_raw_line(1), a_raw_line(2, customer_id=None)])
    write_raw(company, lake, [a_raw_line(3, day=next_night)], day=next_night, known_on=next_night)
    validate_sources(company, lake, next_night)
    assert [line["order_id"] for line in clean_lines(lake)] == ["o1"]
    assert len(rejected(lake, night=next_night)) == 1
    first = tree_bytes(lake, "tables", "reports")
    validate_sources(company, lake, next_night)
    assert tree_bytes(lake, "tables", "reports") == first


def test_an_earlier_night_goes_by_what_was_first_known(company: Company, lake: Lake) -> None:
    earlier = NIGHT - timedelta(days=1)
    write_raw(company, lake, [a_raw_line(1, day=earlier)], day=earlier, known_on=NIGHT)
    validate_sources(company, lake, earlier)
    assert lake.versions(ORDER_LINES) == [Version(earlier, NIGHT)]
    clean = tree_bytes(lake, "tables/order_lines", "tables/customers")
    validate_sources(company, lake, NIGHT)
    assert tree_bytes(lake, "tables/order_lines", "tables/customers") == clean


def test_every_night_writes_a_clean_snapshot_alike(company: Company, lake: Lake) -> None:
    later = [NIGHT + timedelta(days=ahead) for ahead in range(3)]
    for known, name in zip(later, ("a", "b", "c"), strict=True):
        write_raw(company, lake, [a_raw_line(1, day=known)], day=known, known_on=known, customers=[{"customer_id": name}])
    write_rows(lake, RAW_PROSPECTS, [{"customer_id": "p"}], known_on=later[2])
    validate_sources(company, lake, later[2])
    clean = tree_bytes(lake, "tables/customers")
    validate_sources(company, lake, later[0])
    assert tree_bytes(lake, "tables/customers") == clean
    assert lake.read(CUSTOMERS, known_on=later[2])["customer_id"].to_pylist() == ["c", "p"]


def test_an_empty_day_is_green_and_still_has_its_clean_partition(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [])
    validate_sources(company, lake, NIGHT)
    assert clean_lines(lake) == []
    assert results(lake)["raw_order_lines", "table_keeps_enough_rows"]["is_passed"]


def test_a_night_before_any_extraction_says_which_step_to_run(company: Company, lake: Lake) -> None:
    with pytest.raises(DataError, match=r"raw_customers has no snapshot\n.*\n.*segments run"):
        validate_sources(company, lake, NIGHT)


def override(company: Company, table: str, *expectations: dict[str, Any]) -> None:
    file = company.folder / "expectations" / f"{table}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"name": table, "expectations": expectations}), "utf-8")


def an_expectation(
    kind: str, *, severity: str = "critical", rule: str | None = "own_rule", rejects_rows: object = False, **kwargs: Any
) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"rule": rule, "rejects_rows": rejects_rows}}


def test_a_company_replaces_a_suite_by_its_own(company: Company, lake: Lake) -> None:
    override(
        company,
        "raw_order_lines",
        an_expectation(
            "expect_column_values_to_be_in_set", rule="category_is_sold_here", rejects_rows=True, column="category", value_set=["tea"]
        ),
        an_expectation("expect_column_values_to_not_be_null", rule="most_lines_have_a_channel", column="channel", mostly=0.25),
    )
    write_raw(company, lake, [a_raw_line(1), a_raw_line(2, category="soap"), a_raw_line(3, channel="web"), a_raw_line(4)])
    validate_sources(company, lake, NIGHT)
    assert [row["rule"] for row in rejected(lake)] == ["category_is_sold_here"]
    found = results(lake)["raw_order_lines", "most_lines_have_a_channel"]
    assert (found["failed_count"], found["is_passed"]) == (3, True)


def test_an_amount_at_a_limit_keeps_it_and_one_just_beyond_does_not(company: Company, lake: Lake) -> None:
    rule = an_expectation(
        "expect_column_values_to_be_between", rule="is_in_range", rejects_rows=True, column="net_amount", min_value=0.1, max_value=0.7
    )
    override(company, "raw_order_lines", rule)
    amounts = ["0.0999", "0.1", "0.7", "0.7001", "-1234567890.1234"]
    write_raw(company, lake, [a_raw_line(number, net_amount=Decimal(amount)) for number, amount in enumerate(amounts)])
    validate_sources(company, lake, NIGHT)
    assert [line["order_id"] for line in clean_lines(lake)] == ["o1", "o2"]
    assert sorted(json.loads(row["row"])["order_id"] for row in rejected(lake)) == ["o0", "o3", "o4"]


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            an_expectation("expect_column_values_to_not_be_nul", column="order_id"),
            r"is no expectation \(did you mean `expect_column_values_to_not_be_null`\?\)",
        ),
        (an_expectation("expect_column_values_to_not_be_null", colum="order_id"), "wrong arguments"),
        (an_expectation("expect_column_values_to_not_be_null", rule=None, column="order_id"), "missing or used twice"),
        (an_expectation("expect_column_values_to_not_be_null", severity="fatal", column="order_id"), "needs `severity`"),
        (
            an_expectation("expect_column_values_to_not_be_null", severity="warning", rejects_rows=True, column="order_id"),
            "A warning rejects no rows",
        ),
        (an_expectation("expect_column_values_to_not_be_null", rejects_rows="yes", column="order_id"), "needs `severity`"),
    ],
)
def test_a_wrong_suite_is_refused_with_its_file(company: Company, expectation: dict[str, Any], message: str) -> None:
    override(company, "raw_order_lines", expectation)
    with pytest.raises(ConfigError, match=message) as refused:
        load_suite(company, RAW_ORDER_LINES)
    assert refused.value.where.endswith("expectations/raw_order_lines.json")


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            an_expectation("expect_column_values_to_not_be_null", column="ordr_id"),
            r"`own_rule` cannot run; `ordr_id` is no column \(did you mean `order_id`",
        ),
        (
            an_expectation("expect_column_values_to_be_between", column="ordered_at", max_value={"$PARAMETER": "tomorrow"}),
            r"\$PARAMETER` can be one of",
        ),
        (an_expectation("expect_table_row_count_to_be_between", rejects_rows=True, min_value=1), "about no single row"),
        (an_expectation("expect_column_values_to_be_between", column="ordered_at", max_value="2024-01-01"), "`own_rule` cannot run"),
    ],
)
def test_a_rule_that_cannot_run_stops_before_anything_is_decided(
    company: Company, lake: Lake, expectation: dict[str, Any], message: str
) -> None:
    override(company, "raw_order_lines", expectation)
    write_raw(company, lake, [a_raw_line(1)])
    with pytest.raises(ConfigError, match=message):
        validate_sources(company, lake, NIGHT)
    assert not lake.versions(ORDER_LINES)


@pytest.mark.parametrize("text", ["{", "[]", '{"expectations": {}}', '{"expectations": [1]}'])
def test_a_suite_that_is_no_suite_is_refused(company: Company, text: str) -> None:
    override(company, "raw_customers")
    (company.folder / "expectations" / "raw_customers.json").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"not valid JSON|must be a list"):
        load_suite(company, RAW_CUSTOMERS)


@pytest.mark.parametrize("table", [RAW_CUSTOMERS, RAW_PROSPECTS, RAW_ORDER_LINES, RAW_VISITS], ids=lambda table: table.name)
def test_our_suites_load_whole_and_guard_every_required_column_of_the_sources(company: Company, table: Any) -> None:
    suite = load_suite(company, table)
    assert len(suite.expectations.expectations) == len(suite.rules)
    required = {column.name for column in table.columns if column.required}
    assert {f"{name}_is_given" for name in required} <= {rule.name for rule in suite.rules if rule.rejects_rows}


def a_result(rule: str, **given: Any) -> dict[str, Any]:
    row = {"source_table": "raw_customers", "rule": rule, "severity": "critical", "rejects_rows": False}
    return row | {"checked_count": 1000, "failed_count": 0, "is_passed": True} | given


@pytest.mark.parametrize(
    ("result", "rejected_by_rule", "words"),
    [
        (a_result("r"), {}, "<strong>Passed.</strong>"),
        (a_result("r", severity="warning", failed_count=5), {}, "0.50 %"),
        (a_result("r", rejects_rows=True, failed_count=7), {("raw_customers", "r"): 7}, "<b>993</b> kept"),
        (a_result("r", failed_count=1, is_passed=False), {}, "<strong>Stopped.</strong> 1 rule stopped the night"),
        (a_result("table_has_rows", failed_count=1, is_passed=False), {}, "whole table"),
        (a_result("r", checked_count=0), {}, "<b>0</b> rows checked"),
    ],
)
def test_the_page_says_what_a_result_means_for_the_night(
    result: dict[str, Any], rejected_by_rule: dict[tuple[str, str], int], words: str
) -> None:
    assert words in validation_page("Shop", NIGHT, [result], rejected_by_rule)


def test_rows_are_checked_in_a_process_without_a_main_file(tmp_path: Path) -> None:
    check = "from pipeline.ingestion.validation import expectations; expectations._batch_definition(); print('checked')"
    said = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout == "checked\n"


@pytest.mark.parametrize(
    ("currencies", "words"),
    [
        (["eur"] * 3, "; found were eur 3, not EUR: write UPPER(currency) AS currency in the query"),
        (["USD", "USD", "eur"], "; found were USD 2, eur 1, not EUR"),
        (["s3cret"] * 2, "; found were other texts 2, not EUR"),
    ],
)
def test_lines_in_another_currency_say_which(company: Company, lake: Lake, currencies: list[str], words: str) -> None:
    write_raw(company, lake, [a_raw_line(n, currency=currency) for n, currency in enumerate(currencies)])
    with pytest.raises(GateClosed) as refused:
        validate_sources(replace(company, rejected_share_limit=0.05), lake, NIGHT)
    assert refused.value.what.endswith(words)


def test_a_warning_of_most_rows_is_told_at_once(company: Company, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    lines = [a_raw_line(n, customer_id=f"nobody{n}") for n in range(3)] + [a_raw_line(9)]
    with caplog.at_level(logging.WARNING, "pipeline"):
        write_raw(company, lake, lines)
        validate_sources(company, lake, NIGHT)
    assert "raw_order_lines: 3 of 4 rows break `customer_is_known`, a warning" in caplog.messages
    assert not any("_is_given" in message for message in caplog.messages)


def test_a_warning_of_few_rows_stays_on_the_page(company: Company, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pipeline"):
        write_raw(company, lake, [a_raw_line(1, customer_id="nobody"), a_raw_line(2)])
        validate_sources(company, lake, NIGHT)
    assert not any("break" in message for message in caplog.messages)


def test_a_night_of_few_rows_starts_no_other_process(company: Company, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    write_raw(company, lake, [a_raw_line(1), a_raw_line(2)])
    write_rows(lake, RAW_ORDER_LINES, [a_raw_line(3)], day=NIGHT - timedelta(days=40), known_on=NIGHT)
    monkeypatch.setattr(subprocess, "Popen", refuse_to_start)
    validate_sources(company, lake, NIGHT, workers=WorkerProcesses(2))
    assert len(clean_lines(lake)) == 2
    monkeypatch.setattr(validate, "ROWS_WORTH_WORKERS", 3)
    with pytest.raises(RuntimeError, match="a process was started"):
        validate_sources(company, lake, NIGHT, workers=WorkerProcesses(2))


def refuse_to_start(*_: object, **__: object) -> None:
    raise RuntimeError("a process was started")
