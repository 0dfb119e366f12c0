"""A lake of an older version: what `segments upgrade` says, does and refuses, in a folder and in a bucket."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from support.nights import tree_bytes
from support.object_store import ObjectStore
from support.stored_lakes import places, unpack
from typer.testing import CliRunner, Result

from pipeline import __version__
from pipeline.cli import app
from pipeline.definitions.lake_claim import FORMAT, LakeClaim, read_claim, write_claim
from pipeline.errors import ConfigError, DataError, LockTimeout
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ORDER_LINES, RAW_ORDER_LINES
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import holding_off_erasures
from pipeline.operations.migrations import MIGRATIONS, Migration, MigrationStep
from pipeline.operations.upgrade import plan_upgrade, upgrade_lake

FIRST = "0.1.0"
LAST_NIGHT = "2024-04-01"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the shop and the lake of the first release."""
    unpack(FIRST, tmp_path)
    return tmp_path


@pytest.fixture
def lake(folder: Path) -> Lake:
    return Lake(folder / "lake")


@pytest.fixture(params=["folder", "bucket"])
def claimed(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """Return a lake in a store of each kind that a night of the first format has claimed, and nothing else."""
    server: ObjectStore | None = request.getfixturevalue("object_store") if request.param == "bucket" else None
    lake = Lake(server.new_store(tmp_path / "cache") if server else tmp_path / "lake")
    write_claim(lake, LakeClaim("Shop", "EUR", "Europe/Berlin", format=1, program=""))
    return lake


def segments(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env=places(folder))


def test_formats_follow_each_other_up_to_the_one_that_is_read() -> None:
    assert [each.after - each.before for each in MIGRATIONS] == [1] * len(MIGRATIONS)
    assert all(earlier.after == later.before for earlier, later in pairwise(MIGRATIONS))
    assert (MIGRATIONS[0].before, MIGRATIONS[-1].after) == (1, FORMAT)


def test_until_it_is_upgraded_a_lake_is_refused_and_the_command_in_the_message_upgrades_it(folder: Path, lake: Lake) -> None:
    before = tree_bytes(lake, ".")
    with pytest.raises(ConfigError) as refused:
        Deployment.of(folder / "shop", folder / "lake")
    assert tree_bytes(lake, ".") == before
    command = refused.value.todo.partition("segments ")[2].partition(". ")[0]
    assert command == f"upgrade --lake {lake.root}"
    assert CliRunner().invoke(app, command.split()).exit_code == 0
    Deployment.of(folder / "shop", folder / "lake")


def test_a_lake_is_backed_up_before_it_is_upgraded_and_restored_as_it_was(folder: Path, lake: Lake) -> None:
    lasting = ("company.json", "tables", "publications", "definitions", "models", "refits", "erasures", "sync")
    before = tree_bytes(lake, *lasting)
    assert segments(folder, "backup", str(folder / "before.tar")).exit_code == 0
    assert segments(folder, "upgrade").exit_code == 0
    lake.root.rename(folder / "upgraded")
    assert segments(folder, "restore", str(folder / "before.tar")).exit_code == 0
    assert tree_bytes(lake, *lasting) == before
    assert plan_upgrade(lake).migrations == [*MIGRATIONS]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(folder: Path, lake: Lake) -> None:
    before = tree_bytes(lake, ".")
    said = segments(folder, "upgrade", "--dry-run").stdout
    assert f"is of format 1; {__version__} reads format {FORMAT}" in said
    assert all(step.description in said for each in MIGRATIONS for step in each.steps)
    assert said.endswith("Nothing was done. Do it without --dry-run.\n")
    assert tree_bytes(lake, ".") == before


def test_an_upgrade_says_each_step_and_a_second_one_does_nothing(folder: Path, lake: Lake) -> None:
    tables = tree_bytes(lake, "tables", "publications")
    said = segments(folder, "upgrade").stdout
    assert said.endswith(f"done, the lake is of format {FORMAT}\n")
    assert tree_bytes(lake, "tables", "publications") == tables
    after = tree_bytes(lake, ".")
    assert "there is nothing to upgrade" in segments(folder, "upgrade").stdout
    assert tree_bytes(lake, ".") == after


def test_a_store_of_each_kind_is_upgraded_and_names_the_program(claimed: Lake) -> None:
    upgrade_lake(claimed)
    assert read_claim(claimed) == LakeClaim("Shop", "EUR", "Europe/Berlin", FORMAT, __version__)
    assert not plan_upgrade(claimed).migrations


def test_a_place_without_a_night_has_nothing_to_upgrade(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["upgrade", "--lake", str(tmp_path / "none")])
    assert (said.exit_code, said.stdout) == (0, f"{tmp_path / 'none'}: no night was run there, so there is nothing to upgrade.\n")
    assert not (tmp_path / "none").exists()


def test_a_newer_lake_is_refused_and_the_version_that_wrote_it_named(claimed: Lake) -> None:
    newer = LakeClaim("Shop", "EUR", "Europe/Berlin", FORMAT + 1, "7.1.0")
    write_claim(claimed, newer)
    with pytest.raises(ConfigError, match=r"written by a newer version of this program, 7\.1\.0") as refused:
        upgrade_lake(claimed)
    assert "Install customer-segments 7.1.0, or a newer one" in refused.value.todo
    assert read_claim(claimed) == newer


def test_a_lake_from_before_the_first_release_keeps_its_format_and_its_files(lake: Lake) -> None:
    for path in sorted((lake.root / "tables" / RAW_ORDER_LINES.name).glob("month=*")):
        path.rename(path.with_name(f"day={path.name.partition('=')[2]}-01"))
    before = tree_bytes(lake, "tables")
    with pytest.raises(DataError, match="a file per event day"):
        upgrade_lake(lake)
    claim = read_claim(lake)
    assert claim is not None
    assert claim.format == 1
    assert tree_bytes(lake, "tables") == before


def test_a_damaged_file_keeps_no_lake_from_its_upgrade(lake: Lake) -> None:
    address = next(iter(lake.list_addresses(addresses.partitions(ORDER_LINES), suffix=".parquet")))
    lake.store.write(address, lake.store.read(address)[:-9])
    upgrade_lake(lake)
    assert not plan_upgrade(lake).migrations


def test_while_a_night_runs_an_upgrade_waits_in_vain_and_changes_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.operations.quiet_lake.WAIT_SECONDS", 0)
    with holding_off_erasures(lake), pytest.raises(LockTimeout, match="a night, a backfill or an erasure is under way"):
        upgrade_lake(Lake(lake.root, lock_seconds=0))
    assert plan_upgrade(lake).migrations == [*MIGRATIONS]


def migrations(*later: Callable[[Lake], None]) -> tuple[Migration, ...]:
    """Return our migrations and, for each function, one that follows."""
    return (*MIGRATIONS, *(Migration(FORMAT + n, FORMAT + n + 1, "a test", (MigrationStep("try", run),)) for n, run in enumerate(later)))


def test_a_migration_that_fails_leaves_the_format_before_it_and_is_begun_anew(claimed: Lake) -> None:
    done: list[str] = []

    def fail(_lake: Lake) -> None:
        raise DataError("no")

    chain = (lambda _: done.append("first"), fail, lambda _: done.append("third"))
    with pytest.raises(DataError):
        upgrade_lake(claimed, migrations(*chain))
    claim = read_claim(claimed)
    assert claim is not None
    assert (claim.format, done) == (FORMAT + 1, ["first"])
    upgrade_lake(claimed, migrations(chain[0], lambda _: done.append("second"), chain[2]))
    assert done == ["first", "second", "third"]
