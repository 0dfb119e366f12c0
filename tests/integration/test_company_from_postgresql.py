"""The demo company read from a real PostgreSQL gives the same bytes as read from its files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest
from psycopg import sql
from support.nights import run_night, tree_bytes
from support.postgres import fresh_database

from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.lake.lake import Lake
from pipeline.operations.check import check_company

DEMO = PROJECT_ROOT / "examples" / "adventureworks"
POSTGRESQL_TYPES = {"UTINYINT": "SMALLINT", "DOUBLE": "DOUBLE PRECISION", "VARCHAR": "TEXT"}


def copy_into_postgresql(file: Path, connection: psycopg.Connection, scratch: Path) -> None:
    """Create the table named like the file and fill it with the file's rows."""
    columns = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(file)]).fetchall()
    typed = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(POSTGRESQL_TYPES.get(kind, kind))) for name, kind, *_ in columns]
    table = sql.Identifier(file.stem)
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(typed)))
    text = scratch / f"{file.stem}.csv"
    duckdb.execute(f"COPY (FROM read_parquet('{file}')) TO '{text}' (HEADER false)")
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(table)) as copy, text.open("rb") as rows:
        while block := rows.read(1 << 20):
            copy.write(block)


@pytest.fixture(scope="module")
def database(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URI of a database that holds the files of the demo company, for all tests: filling it takes longest."""
    scratch = tmp_path_factory.mktemp("csv")
    with fresh_database(postgres) as uri:
        with psycopg.connect(uri) as connection:
            for file in sorted((DEMO / "data").glob("*.parquet")):
                copy_into_postgresql(file, connection, scratch)
        yield uri


@pytest.fixture
def company_in_postgresql(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the demo company's folder with its files moved into a database, and its segments sent there."""
    folder = tmp_path / "company"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("data"))
    text = (folder / "company.toml").read_text().split("[source]")
    rest = text[1].split("\n[", 1)[1]
    settings = '[source]\nkind = "postgresql"\nconnection = "shop"\n\n[publish]\nkind = "postgresql"\nconnection = "shop"\n'
    (folder / "company.toml").write_text(f"{text[0]}{settings}\n[{rest}")
    monkeypatch.setenv("SEGMENTS_CONNECTION_SHOP", database)
    return folder


def test_files_and_postgresql_give_the_same_bytes_and_the_segments_arrive(
    company_in_postgresql: Path, database: str, demo_lake: Lake, tmp_path: Path
) -> None:
    day = load_company(DEMO).last_day
    assert day is not None
    lake = Lake(tmp_path / "lake")
    run_night(company_in_postgresql, lake, day)
    first, second = (tree_bytes(each, "tables", "publications", "models") for each in (demo_lake, lake))
    assert 150 < len(first) < 200
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    with psycopg.connect(database) as connection:
        counted = "SELECT COUNT(*), COUNT(DISTINCT scheme), COUNT(DISTINCT customer_id) FROM segments.customer_segments"
        counts = connection.execute(counted).fetchone()
    # Nine schemes are for everybody, five for people and four for the 701 firms.
    assert counts == (9 * 21_244 + 5 * 20_543 + 4 * 701, 18, 21_244)


def test_a_check_has_the_database_describe_each_query(company_in_postgresql: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_company(company_in_postgresql).problems == ()
    customers, lines = (company_in_postgresql / "sources" / f"{name}.sql" for name in ("customers", "order_lines"))
    customers.write_text(f"SELECT customer_id, '1' AS yearly_income FROM (\n{customers.read_text('utf-8')}\n) AS given", "utf-8")
    lines.write_text(lines.read_text("utf-8").replace("SELECT", "SELECT no_such_column,", 1), "utf-8")
    found = check_company(company_in_postgresql)
    assert found.exit_code == 5
    whats = [problem.what for problem in found.problems]
    assert any("customers.yearly_income is text, declared" in what for what in whats)
    assert any("no_such_column" in what for what in whats)
    monkeypatch.setenv("SEGMENTS_CONNECTION_SHOP", "postgresql://nobody@127.0.0.1:1/shop")
    [problem] = check_company(company_in_postgresql).problems
    assert (problem.exit_code, problem.what) == (7, "the database could not be reached")
