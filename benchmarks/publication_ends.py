"""What it costs that others than readers of files have what is published: rows in a PostgreSQL, files in an Iceberg catalogue."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import duckdb
import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from lakes import MEMORY_LIMIT
from measure import Result, compared, cost
from support.postgres import running_postgres

from pipeline.definitions.company import Company, load_company
from pipeline.definitions.company_sections import Target
from pipeline.definitions.iceberg_settings import IcebergSettings
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CLUSTER_PROFILES,
    CUSTOMER_FEATURES,
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_PREDICTIONS,
    CUSTOMER_SEGMENTS,
    SEGMENT_MOVES,
    SEGMENT_PROFILES,
    SEGMENT_STRATEGIES,
    Table,
)
from pipeline.publication.current import current_publication
from pipeline.publication.database_target import publish_to_target
from pipeline.publication.publish import publish

TARGET_BAR, REGISTER_BAR = 0.6, 1.0
MONDAY, TUESDAY = date(2025, 3, 3), date(2025, 3, 4)
COMPANY = 'name = "Shop"\ntime_zone = "Europe/Berlin"\ncurrency = "EUR"\nfirst_day = 2024-01-01\n'
SCHEMES = 10
# One customer in a hundred is in another segment of each scheme on Tuesday, and has another next action.
MOVED = "CASE WHEN $night = 2 AND n % 100 = 0 THEN 1 ELSE 0 END"
ID = "format('{:08d}', n) AS customer_id"
ROWS: dict[Table, str] = {
    CUSTOMER_FEATURES: f"""
        SELECT {ID}, DATE '2024-06-01' + CAST(n % 250 AS INTEGER) AS last_order_date FROM customers""",
    CUSTOMER_SEGMENTS: f"""
        SELECT {ID}, format('scheme_{{}}', s) AS scheme, format('segment_{{}}', (n + s + {MOVED}) % 7) AS segment,
        format('order_count={{}}', n % 90) AS evidence FROM customers, range({SCHEMES}) AS q(s)""",
    CUSTOMER_NEXT_ACTIONS: f"""
        SELECT {ID}, 'scheme_0' AS scheme, format('segment_{{}}', (n + {MOVED}) % 7) AS segment, 2 AS priority, 1 AS stake_amount,
        format('Loyal: buys often (lifetime_order_count={{}})', n % 90) AS reason FROM customers""",
    CUSTOMER_PREDICTIONS: f"SELECT {ID} FROM customers",  # nothing is predicted
    **dict.fromkeys((CLUSTER_PROFILES, SEGMENT_MOVES, SEGMENT_PROFILES, SEGMENT_STRATEGIES), "SELECT 1 AS customer_count LIMIT 0"),
}


def target_results(folder: Path, *, memberships: int, rounds: int) -> list[Result]:
    """Return what a night costs client and server by its differences, beside one of which every row is sent."""
    differences, whole = [], []
    with _two_nights(folder, memberships // SCHEMES) as root:
        for _ in range(rounds):
            differences.append(_target_cost(root, fewest=0))
            whole.append(_target_cost(root, fewest=memberships * 2))
    named = f"{memberships:,} memberships to PostgreSQL, 1 % changed: differences / every row"
    best = [min(costs, key=lambda each: each.client_seconds + each.server_seconds) for costs in (differences, whole)]
    both = Result(named, *(each.client_seconds + each.server_seconds for each in best), bar=TARGET_BAR)
    server = Result(f"{named}, in the server", *(each.server_seconds for each in best))
    return [both, server, Result(f"{named}, by the clock", *(each.wall_seconds for each in best), unit="s")]


def iceberg_results(folder: Path, *, memberships: int, rounds: int) -> list[Result]:
    """Return what registering a publication costs, beside writing it."""
    registered, written = [], []
    with _two_nights(folder, memberships // SCHEMES) as root:
        for _ in range(rounds):
            written.append(cost(partial(publish_night, root, TUESDAY)))
            for day in (MONDAY, TUESDAY):
                cost(partial(publish_night, root, day))
                registered.append(cost(partial(register_night, root), ready=partial(load_iceberg, root)))
    pairs = registered[1::2]  # the first makes tables
    return [
        compared(f"{memberships:,} memberships: registered in an Iceberg catalogue / published as files", pairs, written, bar=REGISTER_BAR)
    ]


@dataclass(frozen=True, slots=True)
class _TargetCost:
    client_seconds: float
    server_seconds: float
    wall_seconds: float


def _target_cost(root: Path, *, fewest: int) -> _TargetCost:
    with running_postgres() as uri:
        _leave_rows_alone(uri)
        cost(partial(publish_night, root, MONDAY))
        cost(partial(bring_to_target, root, uri, fewest))
        cost(partial(publish_night, root, TUESDAY))
        before, started = _server_seconds(uri), time.monotonic()
        client = cost(partial(bring_to_target, root, uri, fewest))
        # A backend that is gone takes its account along; the server waits for it, and inherits it.
        return _TargetCost(client.cpu_seconds, _server_seconds(uri) - before, time.monotonic() - started)


def _leave_rows_alone(uri: str) -> None:
    """Keep the server from tidying up what the first night wrote while the second is measured."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")


def _server_seconds(uri: str) -> float:
    """Return the CPU seconds of the server and of its processes, of those that ended, too."""
    with psycopg.connect(uri, autocommit=True) as connection:
        found = connection.execute("SELECT pg_backend_pid()").fetchone()
        server = psutil.Process(found[0]).parent() if found else None
    times = [each.cpu_times() for each in (server, *server.children())] if server else []
    return sum(each.user + each.system for each in times) + (times[0].children_user + times[0].children_system if times else 0)


@contextmanager
def _two_nights(folder: Path, customers: int) -> Iterator[Path]:
    """Yield a folder with a company and a lake of two nights that can be published."""
    with TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch)
        (root / "company" / "sources").mkdir(parents=True)
        (root / "company" / "company.toml").write_text(COMPANY)
        (root / "company" / "sources" / "customers.sql").write_text("SELECT 1")
        for place, day in enumerate((MONDAY, TUESDAY), 1):
            cost(partial(write_tables, root, day, place, customers))
        yield root


def write_tables(root: Path, day: date, place: int, count: int) -> None:
    """Write the tables of a night that are published; columns that nothing is said of are filled with one value."""
    lake = Lake(root / "lake")
    with closing(duckdb.connect(config={"memory_limit": MEMORY_LIMIT})) as connection:
        connection.execute(f"CREATE TABLE customers AS SELECT n FROM range({count}) AS r(n)")
        for table, query in ROWS.items():
            said = connection.sql(query, params={"night": place} if "$night" in query else None)
            filled = [each.name if each.name in said.columns else f"{_filling(each)} AS {each.name}" for each in table.columns]
            rows = said.query("said", f"SELECT {', '.join(filled)} FROM said ORDER BY {', '.join(table.key)}").to_arrow_reader(100_000)
            lake.write(table, (batch.cast(table.schema) for batch in rows), day=day)


def _filling(column: object) -> str:
    kinds = {"VARCHAR": "'x'", "DATE": "DATE '2024-01-01'", "BOOLEAN": "false"}
    return kinds.get(column.kind.sql, "1") if column.required else f"CAST(NULL AS {column.kind.sql})"  # type: ignore[attr-defined]


def publish_night(root: Path, day: date) -> None:
    """Publish a night to files; Monday as if nothing had been published before."""
    if day == MONDAY:
        (root / "lake" / "current").unlink(missing_ok=True)
    with patch("pipeline.publication.publish.publish_to_target"):
        publish(_company(root), Lake(root / "lake"), day, connections=str)


def bring_to_target(root: Path, uri: str, fewest: int) -> None:
    """Bring the database to what is live, by differences where it holds `fewest` memberships at least."""
    lake = Lake(root / "lake")
    company = replace(_company(root), target=Target("postgresql", "crm"))
    with patch("pipeline.publication.targets.target_state.FEWEST_ROWS", fewest):
        publish_to_target(company, lake, current_publication(lake), lambda _: uri)  # type: ignore[arg-type]


def load_iceberg(_root: Path) -> None:
    """Load what the catalogue needs."""
    import pyiceberg.catalog.sql
    import pyiceberg.table  # noqa: F401


def register_night(root: Path) -> None:
    """Register what is live."""
    from pipeline.publication.iceberg import register_live

    company = replace(_company(root), iceberg=IcebergSettings("warehouse"))
    register_live(company, Lake(root / "lake"), catalogs=lambda _: {"uri": f"sqlite:///{root}/catalog.db"})


def _company(root: Path) -> Company:
    return load_company(root / "company")
