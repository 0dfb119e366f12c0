"""No customer's value leaves the clean tables and `rejected_rows.row` by way of validation."""

from __future__ import annotations

import json
import logging
import os
import socket
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, an_attribute, write_rows
from support.nights import tree_bytes
from support.raw_nights import NIGHT, a_raw_line, write_raw

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, DataError, GateClosed
from pipeline.ingestion.validate import validate_sources
from pipeline.ingestion.validation import PartitionRef
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, REJECTED_ROWS, Column, Kind
from pipeline.publication.gates.table_checks import check_table
from pipeline.reporting.pages import validation_page, write_validation_page

CANARY = "canary7f3a"
AMOUNT = Decimal("31415926.5358")
TRACES = (CANARY, "31415926", "1987-06-05", "19870605")
BIRTHDAY = datetime(1987, 6, 5, 4, 3, 2, tzinfo=UTC)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    secret = an_attribute(Column("email", Kind.TEXT, "Mail address.", pii=True))
    return a_company(tmp_path / "company", attributes=(secret,), rejected_share_limit=0.0)


def marked_lines() -> list[dict[str, Any]]:
    """Return lines whose every value is a canary, each broken in another way."""
    line = a_raw_line(0, net_amount=AMOUNT, quantity=AMOUNT)
    line |= dict.fromkeys(("customer_id", "product_id", "category", "channel"), CANARY)
    faults: list[dict[str, Any]] = [
        {"customer_id": f" {CANARY}"},
        {"ordered_at": BIRTHDAY},
        {"currency": CANARY},
        {"discount_amount": -AMOUNT},
        {"product_id": f"{CANARY}\0"},
        {"refunded_order_day": date(1887, 6, 5)},
        {"net_amount": None},
    ]
    lines = [{**line, "order_id": f"{CANARY}-{number}", **fault} for number, fault in enumerate(faults)]
    twins = [{**line, "order_id": f"{CANARY}-twin", "net_amount": amount} for amount in (AMOUNT, AMOUNT, -AMOUNT)]
    return lines + twins


def outputs(lake: Lake) -> bytes:
    return b"".join(tree_bytes(lake, "tables/validation_results", "reports").values())


def assert_no_trace(text: str) -> None:
    assert [trace for trace in TRACES if trace in text] == []


def test_a_refused_night_names_rules_and_counts_but_no_value(
    company: Company, lake: Lake, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    people = [{"customer_id": CANARY, "email": f"{CANARY}@example.org", "created_at": BIRTHDAY}]
    write_raw(company, lake, marked_lines(), customers=people * 2, prospects=people)
    with caplog.at_level(logging.DEBUG), pytest.raises(GateClosed) as refused:
        validate_sources(company, lake, NIGHT)
    write_validation_page(company, lake, NIGHT)
    shown = capfd.readouterr()
    assert_no_trace(f"{refused.value} {refused.value.__cause__} {caplog.text} {shown.out} {shown.err}")
    assert_no_trace(outputs(lake).decode("utf-8", "replace"))
    assert lake.read(REJECTED_ROWS, day=NIGHT).num_rows == 11


def test_a_rule_that_cannot_run_does_not_quote_the_rows(company: Company, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    file = company.folder / "expectations" / "raw_order_lines.json"
    file.parent.mkdir(parents=True)
    entry = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "category", "min_value": 5}, "severity": "critical"}
    file.write_text(json.dumps({"expectations": [{**entry, "meta": {"rule": "own", "rejects_rows": True}}]}), "utf-8")
    write_raw(company, lake, marked_lines())
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError) as refused:
        validate_sources(company, lake, NIGHT)
    assert_no_trace(f"{refused.value} {refused.value.__cause__} {refused.value.__context__} {caplog.text}")


def test_wrong_features_and_segments_are_named_without_values(company: Company, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    counts = dict.fromkeys(
        (column.name for column in CUSTOMER_FEATURES.columns if column.kind in (Kind.INTEGER, Kind.MONEY) and column.required), 0
    )
    features = {
        "customer_id": CANARY,
        "is_prospect": False,
        "recency_days": -31415926,
        **counts,
        "spend_amount": AMOUNT,
        "main_channel": CANARY,
    }
    write_rows(lake, CUSTOMER_FEATURES, [features], day=NIGHT)
    write_rows(lake, CUSTOMER_SEGMENTS, [{"customer_id": CANARY, "scheme": "rfm", "segment": None, "evidence": CANARY}], day=NIGHT)
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        for table in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS):
            with caplog.at_level(logging.DEBUG), pytest.raises(DataError) as stopped:
                check_table(company, lake, engine, PartitionRef(table, NIGHT, NIGHT))
            write_validation_page(company, lake, NIGHT)
            assert_no_trace(f"{stopped.value} {caplog.text}")
    assert_no_trace(outputs(lake).decode("utf-8", "replace"))


def test_the_one_column_that_holds_values_is_declared_personal() -> None:
    assert [column.name for column in REJECTED_ROWS.columns if column.pii] == ["row"]


def test_names_cannot_smuggle_markup_into_the_page() -> None:
    hostile = '"><script>alert(1)</script>'
    result = {"source_table": hostile, "rule": hostile, "severity": "critical", "rejects_rows": False}
    page = validation_page(
        hostile, NIGHT, [result | {"checked_count": 1, "failed_count": failed, "is_passed": not failed} for failed in (0, 1)], {}
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 5


def test_validation_opens_no_connection_and_writes_nothing_outside_the_lake(
    company: Company, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("validation opened a connection")

    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(work))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    write_raw(company, lake, [a_raw_line(1)])
    validate_sources(company, lake, NIGHT)
    assert list(work.iterdir()) == []
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
