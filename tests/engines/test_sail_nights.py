"""Nights on Sail, which shares no code with Apache Spark, leave the very files that DuckDB leaves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.sail_server import PROGRAM, REPO, SailServer, running_sail
from pipeline.errors import ConfigError
from pipeline.lake.engines.spark_executors import OURSELVES
from pipeline.lake.engines.spark_session import connect, disconnect
from pipeline.operations.conformance import check_conformance
from pipeline.operations.conformance.made_up_company import NIGHTS

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="Sail is not installed: make .venv-sail/.installed")


@pytest.fixture(scope="module")
def sail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SailServer]:
    with running_sail(tmp_path_factory.mktemp("sail")) as server:
        yield server
        disconnect(server.remote)


def test_every_file_of_two_nights_has_the_bytes_that_duckdb_gives_it(
    sail: SailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGMENTS_ENGINE", "spark")
    monkeypatch.setenv("SPARK_REMOTE", sail.remote)
    found = {part.name: part.finding for part in check_conformance(str(tmp_path / "lake"))}
    assert list(found) == ["engine", "validation, erasure", "store", *(f"night of {night}" for night in NIGHTS), "files"]
    assert ", as a server of version 0.7." in found["engine"]
    assert found["validation, erasure"] == "in executors, where tables are large"
    assert found["files"].endswith("have the bytes that DuckDB gives them in a folder")


def test_it_takes_no_code_keeps_no_order_of_rows_and_misses_the_nearest_double(sail: SailServer) -> None:
    """Else what we do in its place would be of no use any more."""
    connection = connect(sail.remote)
    assert not connection.sorts_rows
    assert not connection.casts_to_nearest
    assert not connection.executor["code"].endswith(".zip")
    connection.close()


def write_no_code(_folder: Path) -> None:
    """Leave a server without the program."""


def write_other_code(folder: Path) -> None:
    shutil.copytree(REPO / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "pipeline" / "calendar.py").open("a") as module:
        module.write("# changed since\n")


@pytest.mark.parametrize(
    ("write_code", "what"),
    [
        (write_no_code, "the server takes no code from a session, and does not have this program"),
        (write_other_code, "executors run another version of this program, which lies in {folder}"),
    ],
)
def test_a_server_without_this_very_code_is_refused(tmp_path: Path, write_code: Callable[[Path], None], what: str) -> None:
    write_code(tmp_path)
    with running_sail(tmp_path, code=tmp_path) as server, pytest.raises(ConfigError) as refused:
        connect(server.remote)
    assert refused.value.what == what.format(folder=tmp_path)
    assert refused.value.todo == f"Install what runs nights here, {OURSELVES}, into the Python of the server, and start it again."
