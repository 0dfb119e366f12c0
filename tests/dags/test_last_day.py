"""A company with a `last_day` schedules no night after it, and a person can run its nights all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.airflow_forks import AirflowForks
from support.dag_runs import Facts
from support.deployments import LAST_DAY, Deployment, a_small_company

from pipeline.calendar import business_day

OF_THE_CLOCK = ("check_published", "nightly_segments", "refit_clusters")


@pytest.fixture(scope="module")
def found(airflow: AirflowForks, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    folder = tmp_path_factory.mktemp("ended")
    tomorrow = business_day(datetime.now(UTC), ZoneInfo("Europe/Berlin")) + timedelta(days=2)
    last_days = {"ended": LAST_DAY, "ongoing": tomorrow.isoformat(), "weekly": LAST_DAY}
    companies = {name: a_small_company(folder / name, last_day=last_day) for name, last_day in last_days.items()}
    _prepend(companies["weekly"] / "company.toml", 'schedule = "0 4 * * 1"\n')
    for name in ("ended", "ongoing"):
        with (companies[name] / "company.toml").open("a") as file:
            file.write('\n[notify]\nnot_published_by = "07:00"\n[notify.team]\nkind = "webhook"\non = ["not_published"]\n')
        (companies[name] / "sources" / "erasures.sql").write_text("SELECT id AS customer_id FROM customers WHERE id IS NULL\n")
    weekly = Deployment.of(companies["weekly"], folder)
    script = Path(__file__).with_name("run_last_day.py")
    return airflow.run_script(script, weekly, folder / "facts.json", *map(str, companies.values()))


def _prepend(file: Path, text: str) -> None:
    file.write_text(text + file.read_text())


def test_nothing_is_planned_after_the_last_day_but_that_whoever_asks_for_it_is_erased(found: Facts) -> None:
    assert {name for name, day in found["ended"].items() if day} == {"erase_customers"}


def test_until_its_last_day_a_company_is_planned_as_any_other(found: Facts) -> None:
    assert {name for name, day in found["ongoing"].items() if day} == {"erase_customers", *OF_THE_CLOCK}


def test_a_run_by_hand_works_on_the_last_day_long_after_it(found: Facts) -> None:
    assert set(found["by hand"].values()) <= {"success", "skipped"}
    assert found["by hand"]["publish"] == "success"


def test_a_scheduled_interval_that_ends_with_the_last_day_runs(found: Facts) -> None:
    assert found["scheduled"]["publish"] == "success"


def test_a_scheduled_interval_that_reaches_beyond_the_last_day_is_skipped(found: Facts) -> None:
    assert found["scheduled beyond"].pop("run") == "success"
    assert set(found["scheduled beyond"].values()) == {"skipped"}
