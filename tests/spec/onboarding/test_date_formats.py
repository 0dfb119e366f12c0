"""How dates are written: one format for all values of a column, and a question where two would do."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pytest

from pipeline.onboarding.date_formats import DAY_FIRST, MONTH_FIRST, DateFormat, date_format, offsets
from pipeline.onboarding.time_zones import fitting_zones, zone_of_name


def read(found: DateFormat, cell: str) -> str:
    with duckdb.connect() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE t AS SELECT ? AS cell", [cell])
        [(value,)] = connection.sql(f"SELECT CAST({found.sql('cell', 'Europe/Berlin')} AT TIME ZONE 'UTC' AS TIMESTAMP) FROM t").fetchall()
    return str(value)


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["2024-01-05"], "2024-01-04 23:00:00"),
        (["2024-01-05 10:30:00", "2024-07-05"], "2024-01-05 09:30:00"),
        (["2024-01-05T10:30:00Z"], "2024-01-05 10:30:00"),
        (["2024-01-05T10:30:00.123+02:00"], "2024-01-05 08:30:00.123000"),
        (["05.04.2024", "01.02.2024"], "2024-04-04 22:00:00"),
        (["31/01/2024", "01/02/2024"], "2024-01-30 23:00:00"),
        (["01/31/2024 3:05 PM", "02/01/2024 11:00 AM"], "2024-01-31 14:05:00"),
        (["08/14/25", "08/02/25"], "2025-08-13 22:00:00"),
        (["5 Jan 2024", "31 Mar 2024"], "2024-01-04 23:00:00"),
        (["Jan 5, 2024", "Mar 31, 2024"], "2024-01-04 23:00:00"),
        (["05-Jan-2024 10:00"], "2024-01-05 09:00:00"),
        (["January 5, 2024", "March 31, 2024"], "2024-01-04 23:00:00"),
        (["20240105", "20241231"], "2024-01-04 23:00:00"),
        (["2024/01/05"], "2024-01-04 23:00:00"),
        (["45296", "45297"], "2024-01-04 23:00:00"),
        (["45296.5"], "2024-01-05 11:00:00"),
    ],
)
def test_dates_are_read_as_they_are_meant(cells: list[str], first: str) -> None:
    found = date_format(cells)
    assert found is not None
    assert not found.is_ambiguous
    assert read(found, cells[0]) == first


def test_days_that_could_be_months_are_ambiguous_and_each_order_reads_them() -> None:
    found = date_format(["05/04/2024", "12/11/2024"])
    assert found is not None
    assert found.is_ambiguous
    assert read(found.ordered(DAY_FIRST), "05/04/2024") == "2024-04-04 22:00:00"
    assert read(found.ordered(MONTH_FIRST), "05/04/2024") == "2024-05-03 22:00:00"


def test_days_that_equal_their_months_are_read_alike_in_both_orders() -> None:
    found = date_format(["05/05/2024", "12/12/2024"])
    assert found is not None
    assert not found.is_ambiguous


@pytest.mark.parametrize(
    "cells", [[], ["soon"], ["2024-13-05"], ["31/01/2024", "01/31/2024"], ["05/01/2024", "05.01.2024"], ["12.50"], ["1001", "1002"]]
)
def test_what_is_no_date_has_no_format(cells: list[str]) -> None:
    assert date_format(cells) is None


def test_offsets_of_winter_and_summer_fit_the_zones_that_have_both() -> None:
    seen = offsets(["2024-01-05 22:15:29 -0500", "2024-03-15 10:00:00 -0400", "no date"])
    assert seen == [(datetime(2024, 1, 6, 3, 15, 29, tzinfo=UTC), -300), (datetime(2024, 3, 15, 14, tzinfo=UTC), -240)]
    assert fitting_zones(seen)[0] == "America/New_York"
    assert fitting_zones(offsets(["2024-01-05 22:15:29 +0300", "2024-07-05 22:15:29 +0300"]))[0] == "Europe/Istanbul"
    assert fitting_zones(offsets(["2024-01-05T10:00:00Z"])) == [], "UTC is what servers write, wherever the shop is"


def test_names_of_zones_that_programs_write_are_known() -> None:
    assert zone_of_name("Eastern Time (US & Canada)") == "America/New_York"
    assert zone_of_name("Europe/Paris") == "Europe/Paris"
    assert zone_of_name("Middle-earth") == ""


def test_dates_and_texts_that_a_spreadsheet_mixes_are_one_format() -> None:
    found = date_format(["2024-01-02", "03.01.2024", "2024-01-05 10:30:00"])
    assert found is not None
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT {found.date_sql('cell')} FROM (VALUES ('2024-01-02'), ('03.01.2024')) AS cells(cell)").fetchall()
    assert [str(day) for (day,) in rows] == ["2024-01-02", "2024-01-03"]
    assert date_format(["2024-01-02", "soon"]) is None
