"""One column of a partition is read as carefully as a whole one: nobody counts or ranks by a flipped bit."""

from __future__ import annotations

from datetime import date

import pytest
from support.builders import write_rows

from pipeline.errors import DataError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMERS

NIGHT = date(2024, 3, 5)


@pytest.fixture
def stored(lake: Lake) -> Lake:
    write_rows(lake, CUSTOMERS, [{"customer_id": name, "is_prospect": False} for name in ("ada", "bob")], known_on=NIGHT)
    return lake


def test_a_column_is_read_by_its_name(stored: Lake) -> None:
    found = stored.read_column(CUSTOMERS, "customer_id", known_on=NIGHT)
    assert found is not None
    assert found.to_pylist() == ["ada", "bob"]


def test_a_column_that_the_file_does_not_have_is_none(stored: Lake) -> None:
    assert stored.read_column(CUSTOMERS, "city", known_on=NIGHT) is None


def test_a_flipped_bit_is_an_error_that_names_the_table(stored: Lake) -> None:
    path = stored.path(CUSTOMERS, known_on=NIGHT)
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="customers is damaged"):
        stored.read_column(CUSTOMERS, "customer_id", known_on=NIGHT)
