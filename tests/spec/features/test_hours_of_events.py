"""The hour and the day of an event are those of the company's clock, also where it is put forward or back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.builders import a_company, an_order_line, features_by_customer, write_customers, write_order_lines

from pipeline.definitions.company import with_declared_features
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake

NIGHT = date(2024, 4, 1)


def value_of(lake: Lake, value: str, instants: Sequence[str], zone: str) -> Any:
    """Return the value for a customer with an order line at each of these UTC instants."""
    (lake.root / "features").mkdir(parents=True, exist_ok=True)
    (lake.root / "features" / "own.toml").write_text(f'[wanted]\ndescription = "x"\nvalue = "{value}"\n', "utf-8")
    company = with_declared_features(a_company(lake.root, zone=ZoneInfo(zone)))
    moments = [datetime.fromisoformat(each).replace(tzinfo=UTC) for each in instants]
    lines = [
        an_order_line(number, day=each.astimezone(company.zone).date(), ordered_at=each, order_id=f"o{number}")
        for number, each in enumerate(moments, 1)
    ]
    write_order_lines(lake, lines, known_on=NIGHT)
    write_customers(lake, company, [{"customer_id": "c1"}], known_on=NIGHT)
    return features_by_customer(company, lake, NIGHT)["c1"]["wanted"]


@pytest.mark.parametrize(
    ("instant", "zone", "hour"),
    [
        ("2024-01-15T17:00", "Europe/Berlin", 18),
        ("2024-01-15T17:59:59.999999", "Europe/Berlin", 18),
        ("2024-01-15T18:00", "Europe/Berlin", 19),
        ("2023-07-15T16:00", "Europe/Berlin", 18),
        ("2024-03-31T00:59", "Europe/Berlin", 1),
        ("2024-03-31T01:00", "Europe/Berlin", 3),  # the clock is put forward, and there is no hour 2
        ("2023-10-29T00:30", "Europe/Berlin", 2),
        ("2023-10-29T01:30", "Europe/Berlin", 2),  # put back: the hour 2 comes twice
        ("2024-01-15T18:14", "Asia/Kathmandu", 23),
        ("2024-01-15T18:15", "Asia/Kathmandu", 0),
        ("2024-01-15T04:59", "America/New_York", 23),
        ("2024-01-15T05:00", "America/New_York", 0),
    ],
)
def test_an_hour_is_that_of_the_clock(lake: Lake, instant: str, zone: str, hour: int) -> None:
    asked = f"COUNT(orders WHERE HOUR(ordered_at) = {hour}) + 10 * COUNT(order_lines WHERE HOUR(ordered_at) <> {hour})"
    assert value_of(lake, asked, [instant], zone) == 1


@pytest.mark.parametrize(
    ("instant", "zone", "weekday", "month", "day"),
    [
        ("2024-03-31T21:59", "Europe/Berlin", 7, 3, 31),
        ("2024-03-31T22:00", "Europe/Berlin", 1, 4, 1),
        ("2024-04-01T03:59", "America/New_York", 7, 3, 31),
    ],
)
def test_a_day_is_that_of_the_calendar(lake: Lake, instant: str, zone: str, weekday: int, month: int, day: int) -> None:
    where = f"WEEKDAY(ordered_at) = {weekday} AND MONTH(ordered_at) = {month} AND DAY(ordered_at) = {day} AND YEAR(ordered_at) = 2024"
    assert value_of(lake, f"COUNT(order_lines WHERE {where})", [instant], zone) == 1


def test_an_hour_may_be_asked_of_the_latest_and_of_what_follows(lake: Lake) -> None:
    instants = ["2024-01-10T20:00", "2024-01-12T08:00", "2024-01-13T21:00"]
    evening = "HOUR(ordered_at) BETWEEN 18 AND 22"
    counts = [
        f"COUNT(orders WHERE {evening})",
        f"10 * COUNT(orders FOLLOWED BY orders WHERE {evening} WITHIN 1 DAY)",
        f"100 * COUNT(orders WHERE {evening} LATEST 1)",
        f"1000 * COUNT(orders WHERE {evening} LAST 80 DAYS)",
    ]
    assert value_of(lake, " + ".join(counts), instants, "Europe/Berlin") == 1112


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("COUNT(orders WHERE ordered_at > DATE '2024-01-01')", "`ordered_at` is an instant, which is compared with nothing"),
        ("COUNT(orders WHERE HOUR(order_day) = 1)", "HOUR takes an instant, but this is: date"),
        ("COUNT(orders WHERE HOUR(orderd_at) = 1)", r"unknown name `orderd_at` \(did you mean `ordered_at`\?\)"),
        ("HOUR(first_order_date) + COUNT(orders)", "HOUR takes an instant, but this is: date"),
        ("MAX(orders.ordered_at)", "`ordered_at` is an instant"),
        ("COUNT(orders WHERE HOUR(ordered_at) >= 24)", "an hour is 0 to 23"),
    ],
)
def test_what_is_no_hour_is_told(tmp_path: Path, value: str, message: str) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "own.toml").write_text(f'[wanted]\ndescription = "x"\nvalue = "{value}"\n', "utf-8")
    with pytest.raises(ConfigError, match=message):
        with_declared_features(a_company(tmp_path))
