"""A company whose data lie in a lakehouse: its queries run there, in Spark SQL, over a real Spark Connect server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.builders import a_company
from support.nights import CUSTOMERS_SQL, NO_GATES, night_environment, run_night, tree_bytes, write_shop
from typer.testing import CliRunner

from pipeline.calendar import days_window
from pipeline.cli import app
from pipeline.definitions.company_sections import Source
from pipeline.errors import ConfigError, DataError, PipelineError, SchemaDrift, TransientError
from pipeline.ingestion.sources import authored_query
from pipeline.ingestion.sources.spark import open_spark_source
from pipeline.lake.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

    from local.spark_cluster import SparkCluster
    from pipeline.ingestion.sources import SourceQuery
    from pipeline.ingestion.sources.relayed import RelayedSnapshot

DAY, NEXT = date(2024, 3, 1), date(2024, 3, 2)
CUSTOMERS = [f"c{number}" for number in range(5)]
ORDERS = [
    *(f"o{n},1,c{n % 5},2024-02-{n % 28 + 1:02} 10:00:00,1,{n}.25,{'tea' if n % 3 else 'çay'}" for n in range(40)),
    "p1,1,c1,2024-03-02 00:30:00,1,5.1234,tea",
]
SPARK_ORDER_LINES = """
-- The shop's own Spark SQL; its table has times without a zone.
SELECT order_id, line AS line_number, customer AS customer_id, sold_at AS ordered_at, pieces AS quantity, paid AS net_amount, category
FROM shop.orders
WHERE sold_at >= $day_start AND sold_at < $day_end
"""


@pytest.fixture(scope="module")
def shop(spark_session: SparkSession, cluster: SparkCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of a company whose tables are in the catalogue of a cluster."""
    folder = tmp_path_factory.mktemp("spark-source")
    rows = ", ".join("({}, {}, {}, TIMESTAMP_NTZ {}, {}, {}, {})".format(*_literals(order)) for order in ORDERS)
    spark_session.sql("CREATE DATABASE IF NOT EXISTS shop").collect()
    ids = ", ".join(f"('{customer}')" for customer in CUSTOMERS)
    spark_session.sql(f"CREATE TABLE shop.customers USING parquet AS SELECT id FROM VALUES {ids} AS given(id)").collect()
    names = "order_id, line, customer, sold_at, pieces, paid, category"
    spark_session.sql(f"CREATE TABLE shop.orders USING parquet AS SELECT * FROM VALUES {rows} AS given({names})").collect()
    settings = '[source]\nkind = "spark"\nconnection = "lakehouse"\ntime_zone = "Europe/Berlin"\n' + NO_GATES
    company = write_shop(folder / "shop", [], customers=[], settings=settings)
    (company / "sources" / "customers.sql").write_text("SELECT id AS customer_id FROM shop.customers", "utf-8")
    (company / "sources" / "order_lines.sql").write_text(SPARK_ORDER_LINES, "utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SEGMENTS_CONNECTION_LAKEHOUSE", cluster.remote)
        yield company
    for statement in ("DROP TABLE shop.orders", "DROP TABLE shop.customers", "DROP DATABASE shop"):
        spark_session.sql(statement).collect()


def _literals(order: str) -> list[str]:
    number, line, customer, sold_at, pieces, paid, category = order.split(",")
    money = [f"CAST({value} AS DECIMAL(18, 4))" for value in (pieces, paid)]
    return [f"'{number}'", line, f"'{customer}'", f"'{sold_at}'", *money, f"'{category}'"]


@pytest.fixture(scope="module")
def snapshot(cluster: SparkCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayedSnapshot]:
    with opened(cluster.remote, tmp_path_factory.mktemp("staging")) as snapshot:
        yield snapshot


@contextmanager
def opened(remote: str, staging: Path, zone: str = "") -> Iterator[RelayedSnapshot]:
    with open_spark_source(Source("spark", connection="lakehouse", zone=zone), remote, staging, memory_limit="1GB") as snapshot:
        yield snapshot


def query(folder: Path, text: str) -> SourceQuery:
    file = folder / "order_lines.sql"
    file.write_text(text, "utf-8")
    return authored_query("order_lines", file, "spark", days_window(DAY, DAY, a_company(folder).zone))


def values(snapshot: RelayedSnapshot, folder: Path, text: str) -> list[dict[str, Any]]:
    return [row for batch in snapshot.rows(query(folder, text)) for row in batch.to_pylist()]


def test_nights_have_the_bytes_of_those_from_files(shop: Path, tmp_path: Path) -> None:
    files = write_shop(tmp_path / "shop", ORDERS, customers=CUSTOMERS, settings=NO_GATES)
    lakes = {name: Lake(tmp_path / name) for name in ("files", "spark")}
    for day in (DAY, NEXT):
        for name, company in (("files", files), ("spark", shop)):
            run_night(company, lakes[name], day, until="validate")
    raw, clean = (f"tables/{name}" for name in ("raw_order_lines", "order_lines"))
    found = tree_bytes(lakes["spark"], raw, clean, "tables/customers")
    assert found == tree_bytes(lakes["files"], raw, clean, "tables/customers")
    assert len(found) > 4


def test_check_reads_the_columns_of_every_query(shop: Path, lake: Lake) -> None:
    with night_environment(shop, lake):
        done = CliRunner().invoke(app, ["check"])
    assert done.exit_code == 0, done.output


def test_check_names_the_line_of_a_column_that_is_gone(shop: Path, lake: Lake) -> None:
    file = shop / "sources" / "order_lines.sql"
    try:
        file.write_text(SPARK_ORDER_LINES.replace("paid AS", "payed AS"), "utf-8")
        with night_environment(shop, lake):
            done = CliRunner().invoke(app, ["check"])
    finally:
        file.write_text(SPARK_ORDER_LINES, "utf-8")
    assert done.exit_code == 5
    said = " ".join(done.output.split())
    assert "`payed`" in said
    assert "order_lines.sql:3" in said.replace(" ", "")


def test_types_are_those_of_other_databases(snapshot: RelayedSnapshot, tmp_path: Path) -> None:
    text = """SELECT CAST(7 AS TINYINT) AS tiny, CAST(12345678901 AS DECIMAL(38, 0)) AS whole, CAST('1.2500000' AS DECIMAL(20, 7)) AS money,
        1.5D AS number, DATE '2024-03-01' AS day, TIMESTAMP '2024-03-01 10:00:00+02:00' AS at, TIMESTAMP_NTZ '2024-03-01 10:00:00' AS local,
        true AS flag, 'çay' AS text, CAST(NULL AS STRING) AS nothing"""
    assert {field.name: str(field.type) for field in snapshot.schema(query(tmp_path, text))} == {
        "tiny": "int8",
        "whole": "int64",
        "money": "decimal128(38, 4)",
        "number": "double",
        "day": "date32[day]",
        "at": "timestamp[us, tz=UTC]",
        "local": "timestamp[us]",
        "flag": "bool",
        "text": "string",
        "nothing": "string",
    }
    [row] = values(snapshot, tmp_path, text)
    assert (row["whole"], row["money"], row["at"]) == (12345678901, Decimal("1.25"), datetime(2024, 3, 1, 8, tzinfo=UTC))
    assert (row["local"], row["text"], row["nothing"]) == (datetime(2024, 3, 1, 10), "çay", None)  # noqa: DTZ001


def test_times_without_a_zone_are_those_of_the_declared_one(cluster: SparkCluster, tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    with opened(cluster.remote, tmp_path / "staging", "Europe/Berlin") as snapshot:
        [row] = values(snapshot, tmp_path, "SELECT TIMESTAMP_NTZ '2024-03-01 10:00:00' AS local, $day_start AS first, $day_end AS last")
    assert row["local"] == datetime(2024, 3, 1, 9, tzinfo=UTC)
    assert (row["first"], row["last"]) == (datetime(2024, 2, 29, 23, tzinfo=UTC), datetime(2024, 3, 1, 23, tzinfo=UTC))


def test_all_queries_of_a_night_read_as_of_one_instant(snapshot: RelayedSnapshot, tmp_path: Path) -> None:
    first, second = (values(snapshot, tmp_path, f"SELECT $read_at AS at, {n} AS n")[0]["at"] for n in (1, 2))
    assert first == second
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=30)


def test_the_instant_belongs_to_spark_alone(tmp_path: Path) -> None:
    (tmp_path / "customers.sql").write_text(CUSTOMERS_SQL + " WHERE $read_at", "utf-8")
    with pytest.raises(ConfigError, match="`\\$read_at` is not a parameter"):
        authored_query("customers", tmp_path / "customers.sql", "duckdb", days_window(DAY, DAY, a_company(tmp_path).zone))


def test_rows_come_in_batches_of_bounded_size(snapshot: RelayedSnapshot, tmp_path: Path) -> None:
    sizes = [batch.num_rows for batch in snapshot.rows(query(tmp_path, "SELECT id, repeat('x', 100) AS text FROM range(200000)"))]
    assert sum(sizes) == 200_000
    assert max(sizes) <= 65_536


@pytest.mark.parametrize(
    ("text", "kind", "words", "line"),
    [
        ("SELECT 1 AS a,\n  nothing AS b", SchemaDrift, "`nothing`", 2),
        ("SELECT a\nFROM shop.absent", ConfigError, "`shop`.`absent`", 2),
        ("SELECT a\nFROM\nWHERE 1 = 1)", ConfigError, "Syntax error", 3),
        ("SELECT *\nFROM VALUES (1, 'secret') AS t(a, b)\nWHERE CAST(b AS INT) = 1", DataError, "CAST_INVALID_INPUT", 0),
        ("SELECT CAST(10 AS DECIMAL(38, 0)) * 1e20BD AS a", DataError, "too large", 0),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_never_with_a_value(
    snapshot: RelayedSnapshot, tmp_path: Path, text: str, kind: type[PipelineError], words: str, line: int
) -> None:
    with pytest.raises(PipelineError) as caught:
        values(snapshot, tmp_path, text)
    assert type(caught.value) is kind
    assert words in caught.value.what
    assert caught.value.where == str(tmp_path / "order_lines.sql") + (f":{line}" if line else "")
    assert "secret" not in str(caught.value)


def test_a_server_that_nobody_answers_for_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        remote = f"sc://127.0.0.1:{held.getsockname()[1]}/;token=s3cret"
        with pytest.raises(TransientError, match="no Spark Connect server answers") as caught, opened(remote, tmp_path):
            pass
    assert caught.value.where == "connection `lakehouse`"
    assert "s3cret" not in str(caught.value)
