"""A company with a declared event, run by Airflow: from CSV files, and from tables of PostgreSQL."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import psycopg
from support.airflow_forks import AirflowForks
from support.deployments import CANARY, LAST_DAY, Deployment, a_small_company
from support.events import rows_known
from support.nights import run_night

from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake

pytest_plugins = ("integration.conftest",)
EVENT = """
[events.email]
key = ["message_id", "action"]
instant = "happened_at"
columns = {message_id = "text", action = "text", score = "number", cost = "money", is_mobile = "flag", send_date = "date"}
"""
EMAIL_SQL = """
SELECT message AS message_id, what AS action, customer AS customer_id,
  CAST(moment AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS happened_at, CAST(score AS DOUBLE PRECISION) AS score,
  CAST(cost AS DECIMAL(18, 4)) AS cost, CAST(mobile AS BOOLEAN) AS is_mobile, CAST(sent AS DATE) AS send_date
FROM email
"""
HEADER = "message,what,customer,moment,score,cost,mobile,sent"
EMAILS = [
    f"{CANARY}-m1,sent,{CANARY}-0,2024-03-30 10:00:00,0.5,0.0125,true,2024-03-29",
    f"{CANARY}-m1,opened,{CANARY}-0,2024-03-31 23:30:00,1,,false,2024-03-29",
    f"{CANARY}-m2,sent,{CANARY}-1,2024-04-01 00:00:00,1,,false,2024-03-29",
]


def a_company(folder: Path) -> Path:
    company = a_small_company(folder / "company")
    with (company / "company.toml").open("a") as file:
        file.write(EVENT)
    (company / "sources" / "email.sql").write_text(EMAIL_SQL)
    (company / "data" / "email.csv").write_text("\n".join([HEADER, *EMAILS]) + "\n")
    return company


def in_postgresql(company: Path, uri: str) -> None:
    """Load the files of the company into tables, and have it read these."""
    with psycopg.connect(uri) as connection:
        for file in (company / "data").glob("*.csv"):
            header, *lines = file.read_text().splitlines()
            columns = ", ".join(f"{name} TEXT" for name in header.split(","))
            connection.execute(f"CREATE TABLE {file.stem} ({columns})")  # type: ignore[arg-type]
            with connection.cursor().copy(f"COPY {file.stem} FROM STDIN WITH (FORMAT csv)") as copy:  # type: ignore[arg-type]
                copy.write("\n".join(lines) + "\n")
    toml = company / "company.toml"
    toml.write_text(toml.read_text().replace('kind = "files"\npath = "data"', 'kind = "postgresql"\nconnection = "shop"'))


def test_a_dag_run_reads_checks_and_stores_the_event(airflow: AirflowForks, tmp_path: Path, postgres_uri: str) -> None:
    deployment = Deployment.of(a_company(tmp_path), tmp_path)
    in_postgresql(deployment.company, postgres_uri)
    run = airflow.run_night(deployment, SEGMENTS_CONNECTION_SHOP=postgres_uri)
    assert run.returncode == 0, run.stderr
    require_stored(deployment)
    assert f"{CANARY}-m".encode() not in deployment.everything_airflow_kept()


def test_a_night_of_files_reads_checks_and_stores_the_event(tmp_path: Path) -> None:
    """Without Airflow: a night through it has the bytes of one without, whatever the source is."""
    deployment = Deployment.of(a_company(tmp_path), tmp_path)
    run_night(deployment.company, Lake(deployment.lake), date.fromisoformat(LAST_DAY))
    require_stored(deployment)


def require_stored(deployment: Deployment) -> None:
    lake = Lake(deployment.lake)
    rows = rows_known(lake, load_company(deployment.company).events["email"].table)
    assert [(row["event_day"], row["action"], row["score"], str(row["cost"]), row["is_mobile"], row["send_date"]) for row in rows] == [
        (date(2024, 3, 30), "sent", 0.5, "0.0125", True, date(2024, 3, 29)),
        (date(2024, 3, 31), "opened", 1.0, "None", False, date(2024, 3, 29)),
    ]
    assert (deployment.lake / "current" / "customer_segments.parquet").is_file()
