"""`segments backup` and `segments restore`: a lake in one file while nights go on, and the same lake from that file, or nothing."""

from __future__ import annotations

import io
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from support.builders import a_company
from support.deployments import a_small_company
from support.disk_states import contents
from support.killing import Killer
from support.object_store import ObjectStore
from support.published_nights import no_connections, write_night

from pipeline.definitions.company import Company, load_company
from pipeline.definitions.owner import claim_lake
from pipeline.errors import ConfigError, DataError, LockTimeout
from pipeline.ingestion.erased import Ledger
from pipeline.lake.archive import ArchiveWriter
from pipeline.lake.lake import Lake
from pipeline.operations.backup.restoration import restore, restore_from
from pipeline.operations.backup.snapshot import back_up, back_up_to
from pipeline.operations.backup.unfinished import finish_restore
from pipeline.operations.erasure.erase import holding_off_erasures
from pipeline.publication.current import current_publication
from pipeline.publication.publish import publish

FIRST, SECOND = date(2024, 1, 1), date(2024, 1, 2)
PRIVATE = ("locks", "staging", "pending", "states")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path)


def publish_night(company: Company, lake: Lake, day: date, segment: str) -> None:
    claim_lake(lake, company)
    write_night(lake, company, day, {"c1": segment})
    publish(company, lake, day, connections=no_connections)


@pytest.fixture
def used(company: Company, lake: Lake) -> Lake:
    """Return a lake with two nights, an erasure and a cache."""
    for day, segment in ((FIRST, "loyal"), (SECOND, "lost")):
        publish_night(company, lake, day, segment)
    Ledger(lake).record_request(["c9"])
    lake.write_text("notifications/2024-01-02.jsonl", "told\n")
    lake.write_text("states/customer_days/some.parquet", "a cache")
    return lake


def kept(lake: Lake) -> list[tuple[str, str]]:
    """Return what a backup must hold of a lake: every path but those that are private to running processes."""
    return [(name, content) for name, content in contents(lake.root) if name.split("/")[0] not in PRIVATE]


def backup_of(lake: Lake) -> bytes:
    file = io.BytesIO()
    back_up(lake, file)
    return file.getvalue()


def restored(content: bytes, company: Company, folder: Path) -> Lake:
    lake = Lake(folder)
    restore(lake, company, io.BytesIO(content), where="lake.tar")
    return lake


def test_a_restored_lake_is_the_same_but_for_what_is_private_or_made_again(used: Lake, company: Company, tmp_path: Path) -> None:
    again = restored(backup_of(used), company, tmp_path / "again")
    assert kept(again) == kept(used)
    assert not again.exists("states/customer_days/some.parquet")
    assert current_publication(again) == current_publication(used)
    publish_night(company, again, date(2024, 1, 3), "loyal")


def test_the_key_of_erasures_is_its_owners_alone_again(used: Lake, company: Company, tmp_path: Path) -> None:
    again = restored(backup_of(used), company, tmp_path / "again")
    assert stat.S_IMODE(again.local("erasures/key").stat().st_mode) == 0o600


def test_the_same_lake_gives_the_same_backup(used: Lake) -> None:
    assert backup_of(used) == backup_of(used)


def test_a_backup_in_a_file_is_its_owners_alone_and_takes_the_place_of_the_one_before(used: Lake, tmp_path: Path) -> None:
    path = tmp_path / "lake.tar"
    path.write_text("an older one")
    done = back_up_to(used, path)
    assert path.read_bytes() == backup_of(used)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.glob(".lake*")] == []
    assert done.file_count == len(used.list_addresses("")) - len(used.list_addresses("states/"))


def test_a_backup_is_of_one_moment_whatever_nights_write_while_it_is_written(used: Lake, company: Company, tmp_path: Path) -> None:
    before = kept(used)

    class Pipe(io.BytesIO):
        """Publishes another night when the first bytes come through."""

        is_first = True

        def write(self, content: object, /) -> int:
            if self.is_first:
                self.is_first = False
                used.store.append("notifications/2024-01-02.jsonl", b"told again\n")
                publish_night(company, used, SECOND, "loyal")
            return super().write(content)  # type: ignore[arg-type]

    pipe = Pipe()
    back_up(used, pipe)
    assert kept(used) != before
    assert kept(restored(pipe.getvalue(), company, tmp_path / "again")) == before


def test_a_backup_waits_for_a_step_of_a_night_and_says_what_it_waited_for(used: Lake) -> None:
    with _in_another_thread(used), pytest.raises(LockTimeout, match="a night or another run is under way"):
        back_up(used, io.BytesIO(), wait_seconds=0.2)


@contextmanager
def _in_another_thread(lake: Lake) -> Iterator[None]:
    """Hold the lock of a step for the time of the block, as another run does."""
    held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with holding_off_erasures(lake):
            held.set()
            is_over.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    yield
    is_over.set()
    thread.join()


def test_an_empty_lake_is_not_backed_up_and_leaves_no_file(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is nothing to back up"):
        back_up_to(lake, tmp_path / "lake.tar")
    assert list(tmp_path.glob("*lake.tar*")) == []


def test_a_lake_where_something_is_stays_as_it_is(used: Lake, company: Company, tmp_path: Path) -> None:
    content, other = backup_of(used), Lake(tmp_path / "other")
    publish_night(company, other, FIRST, "loyal")
    before = kept(other)
    with pytest.raises(ConfigError, match="something is in the lake already"):
        restored(content, company, tmp_path / "other")
    assert kept(other) == before


def test_a_backup_of_another_company_is_refused(used: Lake, tmp_path: Path) -> None:
    other = a_company(tmp_path, name="Another shop")
    with pytest.raises(ConfigError, match=r"is another company's: `.*`, not `Another shop`"):
        restored(backup_of(used), other, tmp_path / "again")
    assert kept(Lake(tmp_path / "again")) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_of_a_backup_that_ends_too_early_nothing_is_restored(used: Lake, company: Company, tmp_path: Path, share: float) -> None:
    content = backup_of(used)
    with pytest.raises(DataError, match="this is no backup") as caught:
        restored(content[: int(len(content) * share)], company, tmp_path / "again")
    assert caught.value.where == "lake.tar"
    assert kept(Lake(tmp_path / "again")) == []


def test_of_a_backup_with_a_flipped_bit_nothing_is_restored(used: Lake, company: Company, tmp_path: Path) -> None:
    content = bytearray(backup_of(used))
    content[content.index(b"PAR1") + 10] ^= 1
    with pytest.raises(DataError, match="the backup is damaged: 1 of its files, lake/"):
        restored(bytes(content), company, tmp_path / "again")
    assert kept(Lake(tmp_path / "again")) == []


@pytest.mark.parametrize("name", ["../outside", "/outside", "lake/../../outside", "lake/link"])
def test_nothing_is_written_outside_of_the_lake(company: Company, tmp_path: Path, name: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = (tarfile.SYMTYPE, "/etc/passwd") if name.endswith("link") else (tarfile.REGTYPE, "")
        tar.addfile(member, io.BytesIO())
    with pytest.raises(DataError, match="this is no backup"):
        restored(file.getvalue(), company, tmp_path / "again")
    assert not (tmp_path / "outside").exists()


def test_a_file_that_the_backup_does_not_name_is_refused(company: Company, tmp_path: Path) -> None:
    file = io.BytesIO()
    archive = ArchiveWriter(file)
    archive.add_text("lake/tables/more.parquet", "more")
    archive.add_text("backup.json", '{"format": 1, "company": "", "current": null, "files": {}}')
    archive.close()
    with pytest.raises(DataError, match=r"1 of its files, lake/tables/more\.parquet first"):
        restored(file.getvalue(), company, tmp_path / "again")


def test_wherever_a_restore_is_killed_nothing_of_it_is_there_or_the_next_night_completes_it(
    used: Lake, company: Company, tmp_path: Path, killing: Killer
) -> None:
    path, root = tmp_path / "lake.tar", tmp_path / "killed"
    back_up_to(used, path)
    root.mkdir()
    ends = []
    for folder in killing.killed_everywhere(partial(_restore, company=company, path=path), root):
        lake = Lake(folder)
        finish_restore(lake)
        ends.append(kept(lake))
    assert [] in ends
    assert kept(used) in ends
    assert all(end in ([], kept(used)) for end in ends)


def _restore(folder: Path, company: Company, path: Path) -> None:
    restore_from(Lake(folder), company, path)


def test_a_backup_goes_through_pipes(lake: Lake, tmp_path: Path) -> None:
    folder = a_small_company(tmp_path / "company")
    publish_night(load_company(folder), lake, FIRST, "loyal")
    backup = _segments("backup", "-", company=folder, lake=lake.root)
    assert backup.stdout == backup_of(lake)
    done = _segments("restore", "-", company=folder, lake=tmp_path / "again", content=backup.stdout)
    assert b"live: 2024-01-01-" in done.stderr
    assert kept(Lake(tmp_path / "again")) == kept(lake)


def _segments(*words: str, company: Path, lake: Path, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", *words, "--company", str(company), "--lake", str(lake)]
    return subprocess.run(command, input=content, capture_output=True, check=True)


def test_a_lake_in_a_bucket_is_left_to_the_bucket(company: Company, used: Lake, tmp_path: Path, object_store: ObjectStore) -> None:
    bucket = Lake(object_store.new_store(tmp_path / "cache"))
    with pytest.raises(ConfigError, match="a lake in a bucket is not backed up"):
        back_up(bucket, io.BytesIO())
    with pytest.raises(ConfigError, match="a lake in a bucket is not backed up"):
        restore(bucket, company, io.BytesIO(backup_of(used)), where="lake.tar")
