"""Which declaration wrote a file: its manifest says so, and one of another is refused by whoever reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from support.stored_lakes import unpack

from pipeline.errors import ConfigError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, ORDER_LINES, Table

LAST_NIGHT = date(2024, 4, 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return the lake of the first release, whose files do not say it: they are of the first version."""
    unpack("0.1.0", tmp_path)
    return Lake(tmp_path / "lake")


def test_a_file_says_the_version_of_its_table_and_one_of_the_first_release_is_of_the_first(lake: Lake) -> None:
    address = addresses.partition(CUSTOMER_SEGMENTS, day=LAST_NIGHT)
    assert "schema_version" not in lake.manifest(address)
    rows = lake.read(CUSTOMER_SEGMENTS, day=LAST_NIGHT)
    lake.write(CUSTOMER_SEGMENTS, rows.to_batches(), day=LAST_NIGHT)
    assert lake.manifest(address)["schema_version"] == 1
    assert lake.read(CUSTOMER_SEGMENTS, day=LAST_NIGHT) == rows


@pytest.mark.parametrize(("version", "age"), [(7, "a newer"), (0, "an older")])
@pytest.mark.parametrize("table", [CUSTOMER_SEGMENTS, ORDER_LINES], ids=lambda table: table.name)
def test_a_file_of_another_schema_version_is_refused_and_never_taken_for_damaged(lake: Lake, table: Table, version: int, age: str) -> None:
    event_day = lake.versions(ORDER_LINES)[-1]
    days = {"day": event_day.day, "known_on": event_day.known_on} if table is ORDER_LINES else {"day": LAST_NIGHT}
    lake.write(replace(table, schema_version=version), lake.read(table, **days).to_batches(), **days)
    asked = (lambda: lake.event_days(table)) if table is ORDER_LINES else (lambda: lake.read(table, **days))
    with pytest.raises(ConfigError, match=f"was written by {age} version of this program: its schema version is {version}") as refused:
        asked()
    assert refused.value.where == str(lake.path(table, **days))
