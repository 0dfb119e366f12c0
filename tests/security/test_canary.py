"""Every value of every customer is a canary: none is ever found outside the tables that are there to hold it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from support.nights import night_of, run_night, write_shop
from support.traces import traces
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import GateClosed, PipelineError, SchemaDrift
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES, PUBLISHED_TABLES
from pipeline.operations import steps
from pipeline.reporting.output import JsonFormatter

ID, MAIL, ORDER, PAID = "idcanary7f3a", "mailcanary9b2c", "ordercanary4d1e", "31415926.53"
TRACES = (ID, MAIL, ORDER, "31415926", "1987-06-05")
MONDAY, TUESDAY = date(2024, 3, 4), date(2024, 3, 5)
CUSTOMERS_SQL = f"SELECT id AS customer_id, id || '{MAIL}@example.org' AS email, CAST('1987-06-05' AS DATE) AS birthday FROM customers"
PERSONAL = """
[attributes.email]
level = "demographic"
pii = true
[attributes.birthday]
level = "demographic"
kind = "date"
pii = true
"""
WITH_PERSONAL_VALUES = {"tables/raw_customers", "tables/customers", "tables/rejected_rows"}
WITH_IDS = {f"tables/{table.name}" for table in ALL_TABLES if {"customer_id", "row"}.intersection(table.column_names)}


def orders(day: date = MONDAY, *, paid: str = PAID) -> list[str]:
    return [f"{ORDER}{place},1,{ID}{place},{day} 12:00:00,1,{paid},tea" for place in range(6)]


def a_shop(folder: Path, *lines: str, limit: float = 0.05) -> Path:
    settings = f"{PERSONAL}[gates]\nrejected_share_limit = {limit}\n"
    shop = write_shop(folder / "shop", [*orders(), *lines], customers=[f"{ID}{place}" for place in range(6)], settings=settings)
    (shop / "sources" / "customers.sql").write_text(CUSTOMERS_SQL)
    return shop


@contextmanager
def nothing_told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Let the block log at every level, and find no value in what it says."""
    with caplog.at_level(logging.DEBUG):
        yield
    shown = capfd.readouterr()
    logged = "\n".join(map(JsonFormatter().format, caplog.records))  # with the fields of every line
    assert found_in(caplog.text + logged + shown.out + shown.err) == []


def found_in(text: str) -> list[str]:
    return [trace for trace in TRACES if trace in text]


def places(lake: Lake, text: str) -> set[str]:
    return traces(lake, text) - {"states"}  # private, and dropped at any time


def test_a_whole_night_tells_nobody_and_keeps_personal_values_apart(
    tmp_path: Path, lake: Lake, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = a_shop(tmp_path, f"{ORDER}bad,1,{ID}0,2023-01-01 12:00:00,1,{PAID},tea", limit=0.5)
    with nothing_told(caplog, capfd):
        run_night(shop, lake, MONDAY)
    assert places(lake, MAIL) <= WITH_PERSONAL_VALUES
    assert {"tables/customers", "tables/customer_features", "publications", "segments.sqlite"} <= places(lake, ID)
    assert places(lake, ID) <= {*WITH_IDS, "publications", "segments.sqlite"}
    assert places(lake, ORDER) <= {"tables/raw_order_lines", "tables/order_lines", "tables/rejected_rows"}
    metrics = CliRunner().invoke(app, ["status", "--company", str(shop), "--lake", str(lake.root), "--prometheus"]).stdout
    assert 'segments_rejected_rows{table="raw_order_lines",rule="' in metrics
    assert found_in(metrics) == []


def test_reports_manifests_models_and_definitions_name_nobody(tmp_path: Path, lake: Lake) -> None:
    run_night(a_shop(tmp_path), lake, MONDAY)
    texts = [path for path in lake.root.rglob("*") if path.is_file() and path.suffix in (".html", ".json")]
    assert {path.name for path in texts} >= {"validation.html", "manifest.json"}
    assert [path.name for path in texts if found_in(path.read_text("utf-8"))] == []


def test_no_published_table_has_a_column_of_personal_values() -> None:
    assert [column.name for table in PUBLISHED_TABLES for column in table.columns if column.pii] == []


def test_the_command_line_shows_counts_alone_and_logs_a_json_object_per_line(tmp_path: Path, lake: Lake) -> None:
    command = ["run", "--company", str(a_shop(tmp_path)), "--lake", str(lake.root), "--day", str(MONDAY)]
    program = [sys.executable, "-c", "from pipeline.cli import main; main()", *command]
    environment = os.environ | {"SEGMENTS_LOG_FORMAT": "json"}
    run = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    assert found_in(run.stdout + run.stderr) == []
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert {"time", "level", "logger", "event"} <= set.intersection(*map(set, lines))
    assert {(line["day"], line["step"]) for line in lines} == {(str(MONDAY), step) for step in steps.STEPS}
    assert [line["step"] for line in lines if "seconds" in line] == list(steps.STEPS)
    read = {line["table"]: line["rows"] for line in lines if line["event"].endswith("rows read")}
    assert read == {"raw_customers": 6, "raw_order_lines": 6}


FAILURES = {
    "too many rows set aside": (GateClosed, [f"{ORDER}bad,1,{ID}0,2023-01-01 12:00:00,1,{PAID},tea"] * 3),
    "a cell that is no number": (PipelineError, [f"{ORDER}bad,1,{ID}0,{TUESDAY} 12:00:00,1,{PAID}x,tea"]),
    "an amount too large to hold": (PipelineError, [f"{ORDER}bad,1,{ID}0,{TUESDAY} 12:00:00,1,{PAID.replace('.', '0' * 12)},tea"]),
    "a line with too many cells": (PipelineError, [f"{ORDER}bad,1,{ID}0,{TUESDAY} 12:00:00,1,{PAID},tea,{MAIL},{MAIL}"]),
    "no instant": (PipelineError, [f"{ORDER}bad,1,{ID}0,{MAIL},1,{PAID},tea"]),
}


@pytest.mark.parametrize(("error", "lines"), FAILURES.values(), ids=FAILURES)
def test_a_night_that_fails_says_why_without_a_value(
    tmp_path: Path,
    lake: Lake,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    error: type[PipelineError],
    lines: list[str],
) -> None:
    shop = a_shop(tmp_path, *lines)
    with nothing_told(caplog, capfd), pytest.raises(error) as stopped:
        run_night(shop, lake, TUESDAY)
    causes = [stopped.value, stopped.value.__cause__, None if stopped.value.__suppress_context__ else stopped.value.__context__]
    assert found_in(" ".join(map(str, causes))) == []
    assert "publications" not in traces(lake, ID)
    reports = [path for path in lake.root.rglob("*") if path.suffix in (".html", ".json")]
    assert [path.name for path in reports if found_in(path.read_text("utf-8"))] == []


def test_a_source_that_changed_its_columns_is_told_by_their_names(
    tmp_path: Path, lake: Lake, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = a_shop(tmp_path)
    (shop / "sources" / "customers.sql").write_text("SELECT id AS customer, id AS email, id AS birthday FROM customers")
    with nothing_told(caplog, capfd), pytest.raises(SchemaDrift) as stopped:
        steps.extract(night_of(shop, lake, MONDAY))
    assert "customer_id" in str(stopped.value)
    assert found_in(str(stopped.value)) == []
