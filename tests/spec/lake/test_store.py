"""What a store promises, whether it is a folder or a bucket."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.errors import LockTimeout, TransientError
from pipeline.lake import transaction
from pipeline.lake.bucket.journal import Journal
from pipeline.lake.local_store import LocalStore
from pipeline.lake.parquet import write_parquet
from pipeline.lake.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> LocalStore:
    root = tmp_path / "lake"
    root.mkdir()
    return LocalStore(root)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return request.getfixturevalue("folder")
    return request.getfixturevalue("object_store").new_store(tmp_path / "cache")


def a_folder(path: Path, **texts: str) -> Path:
    path.mkdir()
    for name, text in texts.items():
        (path / name).write_text(text)
    return path


def test_what_is_written_is_read_and_listed_in_order(store: Store) -> None:
    for address in ("models/b/2024-01-02.json", "models/a/2.json", "models/a/10.json", "models/a/note.txt", "current.txt", "models.json"):
        store.write(address, address.encode())
    assert store.read("models/a/2.json") == b"models/a/2.json"
    assert store.list_addresses("models/a/", suffix=".json") == ["models/a/10.json", "models/a/2.json"]
    assert store.list_addresses("models/a/1") == ["models/a/10.json"]
    assert store.list_addresses("models") == sorted(
        ["models.json", "models/a/10.json", "models/a/2.json", "models/a/note.txt", "models/b/2024-01-02.json"]
    )
    assert store.list_addresses("", suffix=".txt") == ["current.txt", "models/a/note.txt"]
    assert store.list_folders("models/") == ["a", "b"]
    assert store.list_folders("models/a/") == []
    assert [store.exists(address) for address in ("models/a/2.json", "models/a", "models/a/3.json")] == [True, False, False]


@pytest.mark.parametrize("prefix", ["", "tables", "tables/", "tables/a", "tables/a/", "tables/a/day=2024-01-01/", "restated/", "models/"])
def test_a_listing_shows_what_was_written_and_removed_since_the_last_one(store: Store, prefix: str) -> None:
    addresses = ["models/a/1.json", "restated/a/1.parquet", "tables/a/day=2024-01-01/part-0.parquet", "top.txt"]
    below = [each for each in addresses if each.startswith(prefix)]
    assert store.list_addresses(prefix) == []
    for address in addresses:
        store.write(address, b"")
    assert store.list_addresses(prefix) == below
    assert bool(store.list_folders(f"{prefix.rpartition('/')[0]}/".lstrip("/"))) == (not prefix.endswith("2024-01-01/"))
    for address in addresses:
        store.delete(address)
    assert store.list_addresses(prefix) == []


def test_nothing_is_no_error_to_list_and_to_delete_but_to_read(store: Store) -> None:
    assert (store.list_addresses("models/"), store.list_folders("models/"), store.read_pointer("current")) == ([], [], None)
    store.delete("models/a.json")
    store.delete_all("models/")
    with pytest.raises(FileNotFoundError):
        store.read("models/a.json")


def test_the_same_bytes_again_leave_what_is_there_as_it_is(store: Store) -> None:
    store.write("a/b.txt", b"one")
    written, file = store.written_at("a/b.txt"), store.local("a/b.txt").stat()
    store.write("a/b.txt", b"one")
    assert store.written_at("a/b.txt") == written
    assert (store.local("a/b.txt").stat().st_ino, store.local("a/b.txt").stat().st_mtime_ns) == (file.st_ino, file.st_mtime_ns)
    store.write("a/b.txt", b"two")
    assert store.read("a/b.txt") == b"two"


def test_what_cannot_be_written_is_told_by_its_place_and_leaves_the_old(folder: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("a/b.txt", b"one")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TransientError, match="could not write: No space left on device") as refused:
        folder.write("a/b.txt", b"two")
    assert (refused.value.where, refused.value.todo) == (folder.where("a/b.txt"), "Free space or mend the disk, then run again.")
    assert folder.read("a/b.txt") == b"one"
    assert folder.list_addresses("staging/") == []


def test_a_secret_stays_as_it_was_created(store: Store) -> None:
    assert store.create_secret("erasures/key", b"one")
    assert not store.create_secret("erasures/key", b"two")
    assert store.read("erasures/key") == b"one"


def test_a_secret_in_a_folder_is_for_its_owners_eyes(folder: LocalStore) -> None:
    assert folder.create_secret("erasures/key", b"one")
    modes = [stat.S_IMODE(folder.local(each).stat().st_mode) for each in ("erasures", "erasures/key")]
    assert modes == [0o700, 0o600]


def test_lines_are_added_at_the_end(store: Store) -> None:
    for line in (b"one\n", b"two\n"):
        store.append("backfills/x/done.jsonl", line)
    assert store.read("backfills/x/done.jsonl") == b"one\ntwo\n"


def test_what_is_moved_is_in_its_new_place_alone(store: Store) -> None:
    store.write("pending/1.json", b"one")
    store.move("pending/1.json", "receipts/1.json")
    assert store.list_addresses("pending/") + store.list_addresses("receipts/") == ["receipts/1.json"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_twin_outlives_what_it_was_made_of(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool) -> None:
    if not has_links:
        monkeypatch.setattr(Path, "hardlink_to", refused_link)
    private = tmp_path / "private"
    private.write_bytes(b"kept")
    store.write("a.txt", b"one")
    store.link_or_copy("a.txt", "before/a.txt")
    store.link_to("a.txt", tmp_path / "held")
    store.put_file(private, "states/a.txt")
    store.write("a.txt", b"two")
    store.delete("a.txt")
    private.unlink()
    assert store.read("before/a.txt") == (tmp_path / "held").read_bytes() == b"one"
    assert store.read("states/a.txt") == b"kept"
    with pytest.raises(FileNotFoundError):
        store.link_to("a.txt", tmp_path / "another")


def test_it_is_known_when_something_was_written_and_that_nothing_is_there(store: Store) -> None:
    before = time.time_ns()
    store.write("a.txt", b"")
    # Disks and object stores note the time by their own clocks, which are coarser.
    assert before - 2_000_000_000 <= store.written_at("a.txt") <= time.time_ns() + 2_000_000_000
    assert store.written_at("b.txt") == 0


def test_what_was_written_last_is_known(folder: LocalStore) -> None:
    for seconds, address in enumerate(("a.txt", "b.txt")):
        folder.write(address, b"")
        os.utime(folder.local(address), (seconds + 1, seconds + 1))
    assert [folder.written_at(address) for address in ("a.txt", "b.txt", "c.txt")] == [1_000_000_000, 2_000_000_000, 0]


def refused_link(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_folder_appears_with_its_manifest_and_heals_what_is_there(store: Store, tmp_path: Path) -> None:
    store.install_folder("publications/x/", a_folder(tmp_path / "one", a="1", b="2"), "said")
    assert {each: store.read(f"publications/x/{each}") for each in ("a", "b", "manifest.json")} == {
        "a": b"1",
        "b": b"2",
        "manifest.json": b"said",
    }
    store.write("publications/x/a", b"damaged")
    store.delete("publications/x/b")
    store.install_folder("publications/x/", a_folder(tmp_path / "two", a="1", b="2"), "said")
    assert (store.read("publications/x/a"), store.read("publications/x/b")) == (b"1", b"2")
    store.remove_folders(["publications/x/"])
    assert store.list_folders("publications/") == []


def test_the_pointer_moves_only_from_where_it_was_seen(store: Store, tmp_path: Path) -> None:
    for name in ("x", "y"):
        store.install_folder(f"publications/{name}/", a_folder(tmp_path / name, a=name), name)
    assert store.swap_pointer("current", "publications/x/", expected=None)
    assert not store.swap_pointer("current", "publications/y/", expected=None)
    assert store.read_pointer("current") == "publications/x/"
    assert store.swap_pointer("current", "publications/y/", expected="publications/x/")
    assert store.read_pointer("current") == "publications/y/"
    assert store.read("current/a") == b"y"


def test_a_pointer_that_was_removed_leads_nowhere_and_can_be_laid_again(store: Store, tmp_path: Path) -> None:
    store.install_folder("publications/x/", a_folder(tmp_path / "x", a="x"), "x")
    store.remove_pointer("current")  # one that is not there is no error
    assert store.swap_pointer("current", "publications/x/", expected=None)
    store.remove_pointer("current")
    assert store.read_pointer("current") is None
    assert store.swap_pointer("current", "publications/x/", expected=None)
    assert store.read_pointer("current") == "publications/x/"


def test_a_pointer_that_a_person_laid_is_as_good(folder: LocalStore, tmp_path: Path) -> None:
    folder.install_folder("publications/x/", a_folder(tmp_path / "x", a="1"), "said")
    folder.local("current").symlink_to(folder.local("publications/x").absolute())
    assert folder.read_pointer("current") == "publications/x/"


def test_a_copy_that_has_the_folder_in_the_pointers_place_can_be_read(folder: LocalStore, tmp_path: Path) -> None:
    folder.install_folder("publications/x/", a_folder(tmp_path / "x", a="1"), "said")
    folder.swap_pointer("current", "publications/x/", expected=None)
    copy = LocalStore(Path(shutil.copytree(folder.local(""), tmp_path / "copy")))
    assert copy.read_pointer("current") == "current/"
    assert copy.read("current/manifest.json") == b"said"


def test_sizes_are_bytes_by_the_first_part(store: Store, tmp_path: Path) -> None:
    store.write("models/a/1.json", b"123")
    store.write("models/2.json", b"4")
    store.write("top.txt", b"12345")
    store.install_folder("publications/x/", a_folder(tmp_path / "x", a="12"), "said")
    store.swap_pointer("current", "publications/x/", expected=None)
    sizes = {folder: size for folder, size in store.folder_sizes().items() if size}
    assert sizes == {"models": 4, "publications": 6}


def test_a_lock_is_held_by_one_or_shared_by_many_and_told_by_its_name(store: Store) -> None:
    with store.lock("publish", timeout_seconds=0), pytest.raises(LockTimeout) as refused, store.lock("publish", timeout_seconds=0):
        pass
    assert refused.value.where == store.where("locks/publish")
    with store.lock("erasure", timeout_seconds=0, is_shared=True), store.lock("erasure", timeout_seconds=0, is_shared=True):
        pass
    assert store.lock_names() == ["erasure", "publish"]


class Interrupted(Exception):
    """What ends a block before its end."""


@contextmanager
def interrupted() -> Iterator[None]:
    """Expect that the block is interrupted."""
    ended = False
    try:
        yield
        ended = True
    except Interrupted:
        pass
    assert not ended


def test_a_staged_file_appears_whole_or_not_at_all(store: Store) -> None:
    store.write("tables/a.parquet", b"one")
    with interrupted(), store.stage("tables/a.parquet") as new:
        new.write_bytes(b"half")
        raise Interrupted
    assert store.read("tables/a.parquet") == b"one"
    with store.stage("tables/a.parquet") as new:
        new.write_bytes(b"two!")
        assert store.read("tables/a.parquet") == b"one"
    assert store.read("tables/a.parquet") == b"two!"


def test_the_size_is_that_of_what_is_there(store: Store) -> None:
    store.write("tables/a.txt", b"two!")
    assert store.size("tables/a.txt") == 4
    with pytest.raises(FileNotFoundError):
        store.size("tables/b.txt")


def test_files_of_a_transaction_appear_all_or_none(store: Store) -> None:
    store.write("tables/a/1.txt", b"old")
    with interrupted(), store.transaction("a") as folder:
        (folder / "tables" / "a").mkdir(parents=True)
        (folder / "tables" / "a" / "1.txt").write_bytes(b"new")
        raise Interrupted
    store.finish_transaction("a")
    assert store.read("tables/a/1.txt") == b"old"
    with store.transaction("a") as folder:
        (folder / "tables" / "a").mkdir(parents=True)
        for name in ("1.txt", "2.txt"):
            (folder / "tables" / "a" / name).write_bytes(b"new")
        assert store.list_addresses("tables/a/") == ["tables/a/1.txt"]
    assert {each: store.read(each) for each in store.list_addresses("tables/a/")} == {"tables/a/1.txt": b"new", "tables/a/2.txt": b"new"}


def test_a_program_that_writes_files_in_its_own_way_finds_them_again(store: Store) -> None:
    with store.edit("sync/crm/state.duckdb") as path:
        assert not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"one")
    # Whatever ends it: what a sink has acknowledged must be known.
    with interrupted(), store.edit("sync/crm/state.duckdb") as path:
        assert path.read_bytes() == b"one"
        path.write_bytes(b"two")
        raise Interrupted
    assert store.read("sync/crm/state.duckdb") == b"two"


def test_a_program_that_writes_a_folder_in_its_own_way_finds_it_again(store: Store) -> None:
    for names in (["list/1.csv", "list/2.csv"], ["list/2.csv", "other/3.csv"]):
        with store.edit("sync/files/files/") as place:
            for path in list(place.rglob("*.csv")):
                path.unlink()
            for name in names:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text(name)
        assert store.list_addresses("sync/files/files/") == [f"sync/files/files/{name}" for name in names]
    assert store.read("sync/files/files/other/3.csv") == b"other/3.csv"


def test_what_an_interrupted_transaction_left_to_do_is_done_by_the_next_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("tables/a/1.txt", b"old")
    # Killed once it has committed, before the first file is in its place.
    with monkeypatch.context() as killed, interrupted(), store.transaction("a") as folder:
        (folder / "tables" / "a").mkdir(parents=True)
        for name in ("1.txt", "2.txt"):
            (folder / "tables" / "a" / name).write_bytes(b"new")
        killed.setattr(transaction, "finish_transaction", interrupt)
        killed.setattr(Journal, "finish", interrupt)
    assert store.read("tables/a/1.txt") == b"old"
    for _ in range(2):
        store.finish_transaction("a")
        found = {each: store.read(each) for each in store.list_addresses("tables/a/")}
        assert found == {"tables/a/1.txt": b"new", "tables/a/2.txt": b"new"}
        assert store.list_addresses("pending/") == []


def interrupt(*_: object) -> None:
    raise Interrupted


def test_folders_are_removed_whole_and_others_stay(store: Store, tmp_path: Path) -> None:
    for name in ("x", "xy", "z"):
        store.install_folder(f"publications/{name}/", a_folder(tmp_path / name, a=name), name)
        store.write(f"states/{name}/a.txt", b"")
    store.remove_folders(["publications/x/", "publications/z/"])
    store.delete_all("states/x/")
    assert store.list_folders("publications/") == ["xy"]
    assert store.list_addresses("publications/") == ["publications/xy/a", "publications/xy/manifest.json"]
    assert store.list_addresses("states/") == ["states/xy/a.txt", "states/z/a.txt"]


def test_a_sealed_file_is_known_by_its_end_and_told_from_the_one_that_replaces_it(store: Store) -> None:
    address = "tables/a/day=2024-01-01/part-0.parquet"
    with pytest.raises(FileNotFoundError):
        store.sealed(address)
    found = []
    for value in ("1", "22"):
        rows = pa.table({"customer_id": pa.array([value])})
        with store.stage(address) as new:
            write_parquet(rows.schema, rows.to_batches(), new, {"value": value})
        store.fetch_seals([address, "tables/nothing.parquet"])
        found.append(store.sealed(address))
        assert json.loads(found[-1].read().manifest)["value"] == value
        assert store.sealed(address) == found[-1]
    assert found[0] != found[1]


def test_a_private_folder_is_gone_afterwards_and_lists_nowhere(store: Store) -> None:
    with store.private_folder() as folder, store.private_folder() as other:
        assert folder != other
        (folder / "a.txt").write_bytes(b"private")
    assert not folder.exists()
    assert store.list_addresses("staging/") == []


def test_a_place_is_named_with_the_address(store: Store) -> None:
    for said in (store.where, store.uri):
        assert said("tables/a.txt") == f"{said().rstrip('/')}/tables/a.txt"
    assert store.uri().partition("://")[0] in {"file", "s3"}
    assert not store.keeps_versions()
    store.flush()


def test_what_is_fetched_is_read_from_this_machine(store: Store) -> None:
    store.write("tables/a.txt", b"one")
    store.fetch(["tables/a.txt", "tables/nothing.txt"])
    assert store.local("tables/a.txt").read_bytes() == b"one"
