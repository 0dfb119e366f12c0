"""Where everything lies: people, backups and older lakes go by these names."""

from __future__ import annotations

from datetime import date

import pytest

from pipeline.lake import addresses
from pipeline.lake.tables import BASE_STATES, CUSTOMER_DAYS, CUSTOMER_SEGMENTS, RAW_CUSTOMERS

DAY, LATER = date(2024, 1, 1), date(2024, 1, 3)

PLACES = {
    addresses.partition(CUSTOMER_SEGMENTS, day=DAY): "tables/customer_segments/day=2024-01-01/part-0.parquet",
    addresses.partition(
        CUSTOMER_SEGMENTS, day=DAY, known_on=LATER
    ): "restated/customer_segments/day=2024-01-01/known=2024-01-03/part-0.parquet",
    addresses.partition(CUSTOMER_DAYS, day=DAY, known_on=LATER): "tables/customer_days/month=2024-01/known=2024-01-03/part-0.parquet",
    addresses.compacted_month(CUSTOMER_DAYS, DAY): "tables/customer_days/month=2024-01/known=all/part-0.parquet",
    addresses.partition(RAW_CUSTOMERS, known_on=LATER): "tables/raw_customers/known=2024-01-03/part-0.parquet",
    addresses.model("value", DAY): "models/value/2024-01-01.json",
    addresses.unfitted_nights("value"): "models/value/unfitted.txt",
    addresses.candidate("value", DAY): "refits/value/2024-01-01/candidate.json",
    addresses.judgement("value", DAY): "refits/value/2024-01-01/judgement.json",
    addresses.promotion("value", DAY): "refits/value/2024-01-01/promotion.json",
    addresses.definition(DAY): "definitions/2024-01-01.json",
    addresses.published_manifest("2024-01-01-abc"): "publications/2024-01-01-abc/manifest.json",
    addresses.epoch(DAY): "begun/2024-01-01.txt",
    addresses.validation_page(DAY): "reports/day=2024-01-01/validation.html",
    addresses.validation_page(DAY, DAY): "reports/day=2024-01-01/validation.html",
    addresses.morning_page(DAY): "reports/day=2024-01-01/index.html",
    addresses.morning_page(DAY, "tr"): "reports/day=2024-01-01/index.tr.html",
    addresses.page_index(): "reports/index.html",
    addresses.validation_page(DAY, LATER): "reports/day=2024-01-01/known=2024-01-03/validation.html",
    addresses.cache(BASE_STATES, "x"): "states/base_states/x.parquet",
    addresses.journal("abc"): "backfills/abc/done.jsonl",
    addresses.before_backfill("abc", CUSTOMER_SEGMENTS, DAY, LATER): "backfills/abc/before/customer_segments-2024-01-01-2024-01-03.parquet",
}


@pytest.mark.parametrize(("address", "place"), PLACES.items(), ids=PLACES.values())
def test_everything_has_its_place(address: str, place: str) -> None:
    assert address == place


def test_a_night_as_it_was_first_known_is_no_restatement() -> None:
    assert addresses.partition(CUSTOMER_SEGMENTS, day=DAY, known_on=DAY) == addresses.partition(CUSTOMER_SEGMENTS, day=DAY)


def test_dates_are_read_from_an_address() -> None:
    address = addresses.partition(CUSTOMER_SEGMENTS, day=DAY, known_on=LATER)
    assert (addresses.date_in(address, "day"), addresses.date_in(address, "known")) == (DAY, LATER)
    with pytest.raises(ValueError, match="no known"):
        addresses.date_in(addresses.partition(CUSTOMER_SEGMENTS, day=DAY), "known")


@pytest.mark.parametrize(("table", "given"), [(CUSTOMER_SEGMENTS, {"known_on": DAY}), (CUSTOMER_DAYS, {"day": DAY}), (RAW_CUSTOMERS, {})])
def test_a_partition_needs_its_days(table: addresses.Table, given: dict[str, date]) -> None:
    with pytest.raises(ValueError, match="another day"):
        addresses.partition(table, **given)
