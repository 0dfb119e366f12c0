"""The check of a deployment's own engine and store says what holds, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import DataError
from pipeline.lake.local_store import LocalStore
from pipeline.operations.conformance import check_conformance, conformance, operations


def test_it_says_what_holds_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "BACKFILLED_DAYS", 1)
    (tmp_path / "lake" / "tables").mkdir(parents=True)
    done = CliRunner().invoke(app, ["conformance", "--thorough", "--lake", str(tmp_path / "lake")])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "engine               DuckDB, in this process"
    nights = ["night of 2024-03-30", "night of 2024-03-31", "files"]
    assert [line.split("  ")[0] for line in lines] == ["engine", "store", *nights, "backfill", "plan and apply", "erasure", "rollback"]
    assert lines[4].endswith("have the bytes that DuckDB gives them in a folder")
    assert all(line.endswith("files are the same") for line in lines[5:])
    assert [path.name for path in (tmp_path / "lake").rglob("*")] == ["tables"]


def test_a_file_with_other_bytes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = LocalStore.read

    def flipping(store: LocalStore, address: str) -> bytes:
        content = read(store, address)
        is_theirs = "conformance" in str(store.local("")) and address.startswith("tables/customer_features/")
        return content[:-1] + bytes([content[-1] ^ 1]) if is_theirs else content

    monkeypatch.setattr(LocalStore, "read", flipping)
    monkeypatch.setattr(conformance, "NIGHTS", conformance.NIGHTS[:1])
    with pytest.raises(DataError) as refused:
        list(check_conformance(str(tmp_path / "lake")))
    assert refused.value.what.startswith("1 of ")
    assert "tables/customer_features/day=2024-03-30/part-0.parquet" in refused.value.what
    assert not (tmp_path / "lake" / "conformance").exists()
