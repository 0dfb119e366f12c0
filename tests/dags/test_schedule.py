"""Over a whole year, in zones east, west and south, with and without a local midnight: every business day exactly once."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from support.airflow_forks import AirflowForks
from support.deployments import LAST_DAY, Deployment, a_small_company

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "America/Santiago", "Africa/Cairo", "Pacific/Auckland")
YEAR = [(date(2024, 12, 31) + timedelta(days=n)).isoformat() for n in range(365)]
Days = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def days(airflow: AirflowForks, small: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Days:
    folder = tmp_path_factory.mktemp("zones")
    companies = [str(a_small_company(folder / zone.replace("/", "-"), zone=zone, last_day=None)) for zone in ZONES]
    companies.append(str(a_small_company(folder / "ended", last_day=LAST_DAY)))
    return airflow.run_script(Path(__file__).with_name("list_days.py"), small, folder / "days.json", *companies)


@pytest.mark.parametrize("zone", ZONES)
def test_scheduled_runs_work_on_every_business_day_exactly_once(days: Days, zone: str) -> None:
    assert days[zone.replace("/", "-")]["scheduled"] == YEAR


@pytest.mark.parametrize("zone", ZONES)
def test_one_manual_run_a_day_works_on_every_business_day_exactly_once(days: Days, zone: str) -> None:
    manual = {way: found for way, found in days[zone.replace("/", "-")].items() if way != "scheduled"}
    assert len(manual) == 4
    assert {way: found == YEAR for way, found in manual.items()} == dict.fromkeys(manual, True)


def test_runs_started_by_hand_take_the_last_day_of_a_company_that_has_one_and_none_is_scheduled(days: Days) -> None:
    assert days["ended"].pop("scheduled") == []
    assert {day for found in days["ended"].values() for day in found} == {LAST_DAY}


def test_a_scheduled_run_of_a_day_after_the_last_is_skipped_with_a_sentence(days: Days) -> None:
    assert days["refused"]["after the last"] == [f"nothing is scheduled for 2025-01-08: the `last_day` of company.toml is {LAST_DAY}"]


def test_a_day_as_an_earlier_night_knows_it_is_refused_by_the_name_of_the_parameter(days: Days) -> None:
    [told] = days["refused"]["known before the day"]
    assert "Choose the day itself as `known`, or a later one." in told
