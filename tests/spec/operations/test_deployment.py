"""A deployment is made once, from folders or from the environment, and says which variable is wrong."""

from __future__ import annotations

import pickle
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.nights import write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import ConfigError, LockTimeout, PipelineError, TransientError
from pipeline.lake.limits import WORKER_BYTES, cpu_count, memory_beside_workers, memory_bytes
from pipeline.operations.deployment import Deployment, company_of_environment, is_airflow_configured
from pipeline.operations.night import Night

SETTINGS = ("SEGMENTS_MEMORY_LIMIT", "SEGMENTS_LOCK_SECONDS", "SEGMENTS_WORKERS", "SEGMENTS_ENGINE", "SPARK_REMOTE")
NAMES = ("SEGMENTS_COMPANY", "SEGMENTS_LAKE", *SETTINGS)
DAY, LATER = date(2024, 3, 1), date(2024, 3, 2)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a company's folder, in an environment that names nothing."""
    for name in (*NAMES, "AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        monkeypatch.delenv(name, raising=False)
    return write_shop(tmp_path / "shop", [], customers=[])


def test_the_environment_names_company_and_lake(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTS_COMPANY", str(shop))
    assert company_of_environment().name == "Shop"
    monkeypatch.setenv("SEGMENTS_LAKE", str(tmp_path / "lake"))
    found = Deployment.from_environment(connections=lambda name: f"address of {name}")
    assert (found.company.folder, found.lake.root) == (shop, tmp_path / "lake")
    assert found.connections("shop") == "address of shop"


@pytest.mark.parametrize("missing", ["SEGMENTS_COMPANY", "SEGMENTS_LAKE"])
def test_a_variable_that_is_not_set_is_named(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name, folder in {"SEGMENTS_COMPANY": shop, "SEGMENTS_LAKE": tmp_path / "lake"}.items():
        monkeypatch.setenv(name, "" if name == missing else str(folder))
    with pytest.raises(ConfigError, match=f"^{missing} is not set"):
        Deployment.from_environment()


def test_memory_and_patience_are_as_set(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Deployment.of(shop, tmp_path / "lake").memory_limit == "3GB"
    monkeypatch.setenv("SEGMENTS_MEMORY_LIMIT", "500MB")
    monkeypatch.setenv("SEGMENTS_LOCK_SECONDS", "0")
    one, other = (Deployment.of(shop, tmp_path / "lake") for _ in range(2))
    assert one.memory_limit == "500MB"
    with one.lake.lock("day"), pytest.raises(LockTimeout), other.lake.lock("day"):
        pass
    monkeypatch.setenv("SEGMENTS_LOCK_SECONDS", "a while")
    with pytest.raises(ConfigError, match="SEGMENTS_LOCK_SECONDS is `a while`, which is no number of seconds"):
        Deployment.of(shop, tmp_path / "lake")


def test_workers_are_as_many_as_processors_and_memory_allow_or_as_set(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.operations.deployment.cpu_count", lambda: 64)
    assert Deployment.of(shop, tmp_path / "lake").worker_count == 4  # of 600 MiB each, within 3 GB
    monkeypatch.setenv("SEGMENTS_MEMORY_LIMIT", "100MB")
    assert Deployment.of(shop, tmp_path / "lake").worker_count == 1
    monkeypatch.setenv("SEGMENTS_WORKERS", "3")
    assert Deployment.of(shop, tmp_path / "lake").worker_count == 3
    for wrong in ("0", "-1", "two", "1025", ""):
        monkeypatch.setenv("SEGMENTS_WORKERS", wrong)
        with pytest.raises(ConfigError, match=r"^SEGMENTS_WORKERS is `?"):
            Deployment.of(shop, tmp_path / "lake")


@pytest.mark.parametrize(("size", "count"), [("3GB", 3_000_000_000), ("1.5 GiB", 1_610_612_736), ("800 mb", 800_000_000), ("7bytes", 7)])
def test_sizes_of_memory_are_counted_in_bytes(size: str, count: int) -> None:
    assert memory_bytes(size) == count
    assert 0 < memory_bytes("50%") < memory_bytes("100%")


def test_an_engine_beside_workers_takes_what_they_leave_but_no_less_than_half() -> None:
    assert memory_beside_workers("3GB", 1) == "3GB"
    assert memory_bytes(memory_beside_workers("3GB", 2)) <= 3_000_000_000 - 2 * WORKER_BYTES
    assert memory_bytes(memory_beside_workers("3GB", 64)) == pytest.approx(1_500_000_000, rel=0.001)


def test_processors_are_those_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr("pipeline.lake.limits.CPU_QUOTA", quota)
    bound = cpu_count()
    for text, count in {"100000 100000": 1, "50000 100000": 1, "max 100000": bound, "640000 10000": min(64, bound)}.items():
        quota.write_text(text)
        assert cpu_count() == count


def test_the_engine_is_duckdb_unless_the_environment_names_a_cluster(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Deployment.of(shop, tmp_path / "lake").spark_remote is None
    monkeypatch.setenv("SPARK_REMOTE", "sc://spark:15002")
    assert Deployment.of(shop, tmp_path / "lake").spark_remote is None
    monkeypatch.setenv("SEGMENTS_ENGINE", "spark")
    assert Deployment.of(shop, tmp_path / "lake").spark_remote == "sc://spark:15002"


@pytest.mark.parametrize(
    ("engine", "remote", "what", "todo"),
    [
        ("sparc", "sc://spark:15002", "SEGMENTS_ENGINE is `sparc`, which is no engine", "duckdb or spark"),
        ("spark", "", "SEGMENTS_ENGINE is spark, and SPARK_REMOTE is not set", "sc://host:15002"),
    ],
)
def test_an_engine_that_there_is_not_is_refused(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, remote: str, what: str, todo: str
) -> None:
    monkeypatch.setenv("SEGMENTS_ENGINE", engine)
    monkeypatch.setenv("SPARK_REMOTE", remote)
    with pytest.raises(ConfigError) as refused:
        Deployment.of(shop, tmp_path / "lake")
    assert refused.value.what == what
    assert todo in refused.value.todo


@pytest.mark.parametrize(
    ("remote", "kind", "what"),
    [
        ("spark:15002", ConfigError, "SPARK_REMOTE is no address of a Spark Connect server"),
        ("sc://127.0.0.1:99999", ConfigError, "SPARK_REMOTE is no address of a Spark Connect server"),
        # In the middle of a night it may be about to start again, and Airflow tries again.
        ("sc://127.0.0.1:9", TransientError, "no Spark Connect server answers at 127.0.0.1:9 (Connection refused)"),
    ],
)
def test_a_cluster_that_does_not_answer_is_named_at_once(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str, kind: type[PipelineError], what: str
) -> None:
    monkeypatch.setenv("SEGMENTS_ENGINE", "spark")
    monkeypatch.setenv("SPARK_REMOTE", remote)
    deployment = Deployment.of(shop, tmp_path / "lake")
    begun = time.monotonic()
    with pytest.raises(kind) as refused, deployment.engine():
        pass
    assert refused.value.what.startswith(what)
    assert refused.value.where == "environment variable SPARK_REMOTE"
    assert "sc://host:15002" in refused.value.todo or "make cluster" in refused.value.todo
    assert time.monotonic() - begun < 30  # the client by itself goes on for ten minutes


NOW = datetime(2024, 3, 5, 23, 30, tzinfo=UTC)  # after midnight in Berlin


def test_without_a_day_the_last_one_is_meant(shop: Path, tmp_path: Path) -> None:
    deployment = Deployment.of(shop, tmp_path / "lake")
    assert deployment.day_or_last(DAY, now=NOW) == DAY
    assert deployment.day_or_last(None, now=NOW) == date(2024, 3, 5)
    with pytest.raises(ConfigError, match="no night was run yet"):
        deployment.day_or_newest(None)
    file = shop / "company.toml"
    file.write_text(f"last_day = {LATER}\n{file.read_text('utf-8')}", "utf-8")
    deployment = Deployment.of(shop, tmp_path / "lake")
    assert deployment.day_or_last(None, now=NOW) == deployment.day_or_newest(None) == LATER


def test_a_run_and_a_summary_without_a_day_take_the_last_one(tmp_path: Path) -> None:
    yesterday = datetime.now(ZoneInfo("Europe/Berlin")).date() - timedelta(days=1)
    shop = write_shop(tmp_path / "shop", [f"A1,1,1,{yesterday} 10:00:00,1,10.00,x"], customers=["1"])
    options = ["--company", str(shop), "--lake", str(tmp_path / "lake")]
    for command in ("run", "summary"):
        shown = CliRunner().invoke(app, [command, *options])
        assert shown.exit_code == 0, shown.output
        assert f"{yesterday:%A %d %B %Y}" in shown.output


def test_a_night_is_restated_where_a_later_one_says_what_it_knows(shop: Path, tmp_path: Path) -> None:
    deployment = Deployment.of(shop, tmp_path / "lake")
    assert not Night.of(deployment, DAY).is_restatement
    assert not Night.of(deployment, DAY, DAY).is_restatement
    assert Night.of(deployment, DAY, LATER).is_restatement


def test_a_deployment_goes_to_another_process_as_it_is(shop: Path, tmp_path: Path) -> None:
    deployment = Deployment.of(shop, tmp_path / "lake")
    copy: Deployment = pickle.loads(pickle.dumps(deployment))  # noqa: S301 - our own bytes
    assert copy.company == deployment.company
    assert (copy.lake.root, copy.connections, copy.memory_limit) == (deployment.lake.root, deployment.connections, deployment.memory_limit)


@pytest.mark.parametrize("name", ["AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
def test_airflow_is_configured_where_the_environment_says_where_it_lives(shop: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert shop.is_dir()
    assert not is_airflow_configured()
    monkeypatch.setenv(name, "somewhere")
    assert is_airflow_configured()
