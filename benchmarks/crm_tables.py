"""What the tables of a CRM cost: finding who changed, writing all four, and bringing them into a PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import psycopg
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from lakes import MEMORY_LIMIT, engine, read_every_value
from measure import Result, compared, cost
from sqlglot import exp, parse_one
from support.postgres import running_postgres

from pipeline.definitions.company import Company, load_company
from pipeline.definitions.company_sections import Target
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CRM_MEMBERS,
    CRM_PROFILES,
    CUSTOMER_FEATURES,
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_PREDICTIONS,
    CUSTOMER_SEGMENTS,
    SEGMENT_STRATEGIES,
    Table,
)
from pipeline.publication.crm.crm_inputs import CrmInputs
from pipeline.publication.crm.seen_tables import SeenTables
from pipeline.publication.crm.staged_tables import EARLIER_PROFILES
from pipeline.publication.crm.writing import write_crm_tables
from pipeline.publication.targets.crm import CHANGES, PROFILES, merge_crm
from pipeline.publication.targets.postgresql import postgresql_session
from pipeline.publication.targets.postgresql_text import copy_text

DIFF_BAR, PUBLISH_BAR = 2.0, 1.5
MONDAY, TUESDAY = date(2025, 3, 3), date(2025, 3, 4)
COMPANY = 'name = "Shop"\ntime_zone = "Europe/Berlin"\ncurrency = "EUR"\nfirst_day = 2024-01-01\n[crm]\n'
SCHEMES = 8
TEXT = "Say how much you value them, and show what others like them have bought this month."
# One customer in a hundred is in another segment of each scheme on Tuesday, and has another next action.
MOVED = "CASE WHEN $night = 2 AND n % 100 = 0 THEN 1 ELSE 0 END"
ROWS: dict[Table, str] = {
    CUSTOMER_FEATURES.only(("customer_id", "first_order_date", "last_order_date")): """
        SELECT format('{:08d}', n) AS customer_id, DATE '2023-01-01' + CAST(n % 300 AS INTEGER) AS first_order_date,
        DATE '2024-06-01' + CAST(n % 250 AS INTEGER) AS last_order_date FROM range($count) AS r(n) ORDER BY n""",
    CUSTOMER_SEGMENTS: f"""
        SELECT format('{{:08d}}', n) AS customer_id, format('scheme_{{}}', s) AS scheme,
        format('segment_{{}}', (n + s + {MOVED}) % 7) AS segment,
        NULL AS evidence FROM range($count) AS r(n), range({SCHEMES}) AS q(s) ORDER BY n, s""",
    CUSTOMER_NEXT_ACTIONS: f"""
        SELECT format('{{:08d}}', n) AS customer_id, 'scheme_0' AS scheme, format('segment_{{}}', (n + {MOVED}) % 7) AS segment,
        2 AS priority,
        CAST(1 AS DECIMAL(18, 4)) AS stake_amount, format('Loyal: buys often (lifetime_order_count={{}})', n % 90) AS reason,
        DATE '2025-01-01' AS since_date FROM range($count) AS r(n) ORDER BY n""",
    CUSTOMER_PREDICTIONS: """
        SELECT format('{:08d}', n) AS customer_id, (n % 900) / 7 AS expected_spend_amount, 0.5 AS repeat_probability, 'model' AS evidence
        FROM range($count) AS r(n) ORDER BY n""",
    SEGMENT_STRATEGIES: f"""
        SELECT 'scheme_0' AS scheme, format('segment_{{}}', n) AS segment, 'en' AS language, 'Loyal' AS title, NULL AS description,
        '{TEXT}' AS message, '{TEXT}' AS promotion, '{TEXT}' AS product_offer, '{TEXT}' AS price, 'E-mail' AS channel, '{TEXT}' AS service,
        2 AS priority, 0.1 AS budget_share, NULL AS assumes, n AS card_order FROM range(7) AS r(n) ORDER BY n""",
}


def results(folder: Path, *, customers: int, rounds: int) -> list[Result]:
    """Return what a night of `customers` customers costs of whom one in a hundred changed."""
    whole, bare, diffs, reads = [], [], [], []
    with _two_nights(folder, customers) as root:
        for _ in range(rounds):
            whole.append(cost(partial(write_tables, root, "tuesday")))
            bare.append(cost(partial(read_and_write_again, root)))
            diffs.append(cost(partial(find_changes, root)))
            reads.append(cost(partial(read_both_sides, root)))
    named = f"{customers:,} customers, 1 % changed"
    return [
        compared(f"who changed, of {named} / DuckDB reading both sides", diffs, reads, bar=DIFF_BAR),
        compared(f"tables of a CRM, {named} / reading what they are made of, writing them again", whole, bare),
    ]


def publish_results(folder: Path, *, customers: int, rounds: int) -> list[Result]:
    """Return how long publishing `customers` profiles to an empty PostgreSQL takes, beside a COPY of the same bytes."""
    loads, copies = [], []
    with _two_nights(folder, customers) as root, running_postgres() as uri:
        cost(partial(write_tables, root, "tuesday"))
        for _ in range(rounds):
            loads.append(cost(partial(publish_profiles, root, uri)))
            copies.append(cost(partial(copy_bytes, root, uri), ready=partial(write_bytes, root)))
    named = f"{customers:,} profiles to PostgreSQL / a bare COPY of the same bytes"
    seconds = [min(each.wall_seconds for each in costs) for costs in (loads, copies)]
    return [Result(named, *seconds, unit="s", bar=PUBLISH_BAR, peak_bytes=max(each.peak_bytes for each in loads))]


@contextmanager
def _two_nights(folder: Path, customers: int) -> Iterator[Path]:
    """Yield a folder with what publications hold on two days, and on the first the tables of a CRM."""
    with TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch)
        _write_company(root)
        for place, night in enumerate(("monday", "tuesday"), 1):
            cost(partial(write_published, root, night, place, customers))  # apart, as this process lends its peak to those that it starts
        cost(partial(write_tables, root, "monday"))
        yield root


def write_published(root: Path, night: str, place: int, count: int) -> None:
    """Write the tables of a publication that those of a CRM are made of."""
    lake = Lake(root / "lake")
    with closing(duckdb.connect(config={"memory_limit": MEMORY_LIMIT})) as connection:
        for table, query in ROWS.items():
            given = {name: value for name, value in {"night": place, "count": count}.items() if f"${name}" in query}
            reader = connection.sql(query, params=given).to_arrow_reader(100_000)
            schema = _whole(table).schema
            lake.write_file(schema, (batch.cast(schema) for batch in reader), f"{night}/{table.name}.parquet", {})


def write_tables(root: Path, night: str) -> None:
    """Write the tables of a CRM of that night, as publication does."""
    company, lake = _company(root), Lake(root / "lake")
    seen = SeenTables() if night == "monday" else SeenTables(MONDAY, "monday/", last_seq=10**7)
    day = MONDAY if night == "monday" else TUESDAY
    write_crm_tables(CrmInputs(company, lake, day, root / "lake" / night, seen, MEMORY_LIMIT))


def read_and_write_again(root: Path) -> None:
    """Read all that the tables are made of, and write two of them again."""
    lake = Lake(root / "lake")
    with engine(lake) as opened:
        for night, tables in (("tuesday", list(ROWS)), ("monday", [CRM_PROFILES, CRM_MEMBERS])):
            for table in tables:
                whole = _whole(table)
                opened.register(whole, [f"{night}/{table.name}.parquet"])
                read_every_value(opened, whole.name, whole.column_names)
        for table in (CRM_PROFILES, CRM_MEMBERS):
            order = ", ".join(table.key)
            opened.register(table, [f"tuesday/{table.name}.parquet"])
            rows = opened.run(_select(f"SELECT * FROM {table.name} ORDER BY {order}"), {})
            lake.write_private_file(table.schema, rows, root / "again.parquet", {})


def find_changes(root: Path) -> None:
    """Find whose profile is another than on the day before, or is gone, as a sync does."""
    with engine(Lake(root / "lake")) as opened:
        _register_both(opened)
        opened.run(
            _select(
                "SELECT COALESCE(n.customer_id, e.customer_id) AS customer_id FROM crm_profiles AS n "
                "FULL JOIN earlier_profiles AS e ON e.customer_id = n.customer_id WHERE n.row_hash IS DISTINCT FROM e.row_hash"
            ),
            {},
        ).read_all()


def read_both_sides(root: Path) -> None:
    """Read every column of both days."""
    with engine(Lake(root / "lake")) as opened:
        _register_both(opened)
        for table in (CRM_PROFILES, EARLIER_PROFILES):
            read_every_value(opened, table.name, table.column_names)


def publish_profiles(root: Path, uri: str) -> None:
    """Bring Tuesday into an empty schema, as publication does; the lists are views and are not written."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS segments CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS segments_audiences CASCADE")
        connection.execute("CREATE SCHEMA segments")
        connection.execute("CREATE TABLE segments.audience_members (customer_id text, audience text)")
        connection.execute("CREATE TABLE segments.customer_segments (customer_id text, scheme text, segment text)")
    with postgresql_session(uri, Target("postgresql", "crm")) as session:
        merge_crm(session, root / "lake" / "tuesday", session.columns())


def write_bytes(root: Path) -> None:
    """Write the rows of profiles and changes as COPY takes them."""
    for table in (PROFILES, CHANGES):
        with (root / f"{table.name}.txt").open("wb") as file:
            rows = pq.ParquetFile(root / "lake" / "tuesday" / f"{table.name}.parquet")
            for batch in rows.iter_batches(65_536, columns=table.column_names):
                file.write(copy_text(batch))


def copy_bytes(root: Path, uri: str) -> None:
    """COPY them into empty tables with the same columns and keys."""
    with psycopg.connect(uri) as connection:
        for table in (PROFILES, CHANGES):
            connection.execute(f"DROP TABLE IF EXISTS segments.copied_{table.name}")
            connection.execute(f"CREATE TABLE segments.copied_{table.name} (LIKE segments.{table.name} INCLUDING INDEXES)")
            statement = f"COPY segments.copied_{table.name} FROM STDIN"
            with (root / f"{table.name}.txt").open("rb") as file, connection.cursor().copy(statement) as copy:
                while block := file.read(1 << 20):
                    copy.write(block)
        connection.commit()
        for table in (PROFILES, CHANGES):
            connection.execute(f"DROP TABLE segments.copied_{table.name}")


def _register_both(opened: DuckDBEngine) -> None:
    opened.register(CRM_PROFILES, ["tuesday/crm_profiles.parquet"])
    opened.register(EARLIER_PROFILES, ["monday/crm_profiles.parquet"])


def _whole(table: Table) -> Table:
    """Return `table` as publications have it."""
    return replace(table, columns=(*table.columns, *table.published_columns))


def _select(query: str) -> exp.Select:
    return parse_one(query, into=exp.Select, read="duckdb")


def _write_company(root: Path) -> None:
    (root / "shop" / "sources").mkdir(parents=True)
    (root / "shop" / "company.toml").write_text(COMPANY)
    for source in ("customers", "order_lines"):
        (root / "shop" / "sources" / f"{source}.sql").write_text("SELECT 1")


def _company(root: Path) -> Company:
    return load_company(root / "shop")
