"""Airflow's own backfill, given the bounds of `segments backfill --airflow`, plans the days asked for: over a year, with 29 February."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from support.airflow_forks import AirflowForks
from support.deployments import Deployment, a_small_company

from pipeline.calendar import days_between

ZONES = ("Europe/Berlin", "America/New_York", "America/Santiago", "Asia/Tokyo", "Asia/Kolkata")
SCHEDULES = {"night": "0 4 * * *", "midnight": "0 0 * * *", "jump": "30 2 * * *", "evening": "30 23 * * *"}
YEAR = ("2024-01-01", "2024-12-31")  # of the usual schedule: others differ from it on some of the days below
RANGES = [
    ("2024-02-29", "2024-02-29"),
    ("2024-03-10", "2024-03-10"),  # New York springs forward
    ("2024-03-30", "2024-03-31"),  # Berlin does
    ("2024-04-06", "2024-04-07"),  # Santiago falls back
    ("2024-09-07", "2024-09-08"),  # Santiago has no midnight on the second
    ("2024-10-27", "2024-10-27"),  # Berlin falls back
    ("2024-11-02", "2024-11-03"),  # New York does
]


@pytest.fixture(scope="module")
def planned(airflow: AirflowForks, small: Deployment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    folder = tmp_path_factory.mktemp("zones")
    companies = [a_company(folder / name_of(zone, when), zone, schedule) for zone in ZONES for when, schedule in SCHEDULES.items()]
    script = Path(__file__).with_name("list_backfills.py")
    asked = {name_of(zone, when): ranges_of(when) for zone in ZONES for when in SCHEDULES}
    return airflow.run_script(script, small, folder / "days.json", json.dumps(asked), *map(str, companies))


def ranges_of(when: str) -> list[tuple[str, str]]:
    return [YEAR, *RANGES] if when == "night" else RANGES


def name_of(zone: str, when: str) -> str:
    return f"{zone.replace('/', '-')}-{when}"


def a_company(folder: Path, zone: str, schedule: str) -> Path:
    company = a_small_company(folder, zone=zone, last_day=None)
    file = company / "company.toml"
    file.write_text(f'schedule = "{schedule}"\n' + file.read_text())
    return company


@pytest.mark.parametrize("when", SCHEDULES)
@pytest.mark.parametrize("zone", ZONES)
def test_airflow_plans_the_business_days_asked_for(planned: dict[str, list[list[str]]], zone: str, when: str) -> None:
    asked = [[day.isoformat() for day in days_between(*map(date.fromisoformat, ends))] for ends in ranges_of(when)]
    assert planned[name_of(zone, when)] == asked
