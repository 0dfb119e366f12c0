"""The check of a deployment's own engine and store says what holds, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError, DataError
from pipeline.lake.local_store import LocalStore
from pipeline.operations.conformance import OwnNight, check_conformance, operations, workload
from pipeline.operations.conformance.made_up_company import NIGHTS, write_made_up_company


def test_it_says_what_holds_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "RESTATED_DAYS", 1)
    (tmp_path / "lake" / "tables").mkdir(parents=True)
    done = CliRunner().invoke(app, ["conformance", "--thorough", "--lake", str(tmp_path / "lake")])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "engine               DuckDB, in this process"
    nights = ["night of 2024-03-30", "night of 2024-03-31", "files"]
    assert [line.split("  ")[0] for line in lines] == [
        "engine",
        "store",
        *nights,
        "earlier night",
        "restatement",
        "plan and apply",
        "erasure",
        "rollback",
    ]
    assert lines[4].endswith("have the bytes that DuckDB gives them in a folder")
    assert all(line.endswith("files are the same") for line in lines[5:])
    assert [path.name for path in (tmp_path / "lake").rglob("*")] == ["tables"]


def test_a_company_of_ones_own_is_run_without_reaching_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is done in another way to it than to the made-up company: backfills of both are the same.
    chosen = {name: operations.OPERATIONS[name] for name in ("plan and apply", "erasure")}
    monkeypatch.setattr(operations, "OPERATIONS", chosen)
    company = write_made_up_company(tmp_path / "company")
    with (company / "company.toml").open("a") as file:
        file.write('[publish]\nkind = "postgresql"\nconnection = "nowhere"\n')
        file.write('[notify.team]\nkind = "webhook"\nconnection = "nowhere"\non = ["published"]\n')
    (company / "sinks").mkdir()
    (company / "sinks" / "nowhere.toml").write_text('kind = "webhook"\nconnection = "nowhere"\n', "utf-8")
    before = {path: path.read_bytes() for path in company.rglob("*") if path.is_file()}
    options = ["--company", str(company), "--day", str(NIGHTS[-1]), "--lake", str(tmp_path / "lake"), "--thorough"]
    done = CliRunner().invoke(app, ["conformance", *options])
    assert done.exit_code == 0, done.output
    lines = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    assert [*lines][-2:] == [*chosen]
    assert "2 customers were erased" in lines["erasure"]
    assert {path: path.read_bytes() for path in company.rglob("*") if path.is_file()} == before


def test_a_day_needs_a_company(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["conformance", "--day", "2024-03-31", "--lake", str(tmp_path / "lake")])
    assert isinstance(done.exception, ConfigError)
    assert "Give --company too" in done.exception.todo


def test_a_source_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    folder = write_made_up_company(tmp_path / "company")
    query = folder / "sources" / "order_lines.sql"
    query.write_text(query.read_text("utf-8").replace("CAST(paid AS", "CAST(round(random(), 2) AS"), "utf-8")
    with pytest.raises(DataError) as refused:
        list(check_conformance(str(tmp_path / "lake"), OwnNight(load_company(folder), NIGHTS[-1])))
    assert "tables/raw_order_lines/" in refused.value.what
    assert "Where the source changed meanwhile" in refused.value.todo


def test_a_file_with_other_bytes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = LocalStore.read

    def flipping(store: LocalStore, address: str) -> bytes:
        content = read(store, address)
        is_theirs = "conformance" in str(store.local("")) and address.startswith("tables/customer_features/")
        return content[:-1] + bytes([content[-1] ^ 1]) if is_theirs else content

    monkeypatch.setattr(LocalStore, "read", flipping)
    monkeypatch.setattr(workload, "NIGHTS", NIGHTS[:1])
    with pytest.raises(DataError) as refused:
        list(check_conformance(str(tmp_path / "lake")))
    assert refused.value.what.startswith("1 of ")
    assert "tables/customer_features/day=2024-03-30/part-0.parquet" in refused.value.what
    assert not (tmp_path / "lake" / "conformance").exists()
