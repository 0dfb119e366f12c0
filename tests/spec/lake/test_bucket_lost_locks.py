"""A run that stood still for longer than its lock lasts, and whose lock another one took over, changes nothing any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from support.object_store import CREDENTIALS, ObjectStore, reopened

from pipeline.errors import TransientError
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.bucket.leases import Leases

FILE, FOLDER = "sync/crm/a", "sync/crm/"


def write_within(block: AbstractContextManager[Path], name: str, content: bytes = b"ours") -> None:
    with block as place:
        (place / name if name else place).write_bytes(content)


def install(store: BucketStore) -> None:
    (folder := store.local("").parent / "new").mkdir()
    (folder / "a").write_bytes(b"ours")
    store.install_folder(FOLDER, folder, "ours")


def put(store: BucketStore) -> None:
    (file := store.local("").parent / "new").write_bytes(b"ours")
    store.put_file(file, FILE)


CHANGES: dict[str, Callable[[BucketStore], object]] = {
    "write": lambda store: store.write(FILE, b"ours"),
    "append": lambda store: store.append(FILE, b"ours"),
    "create": lambda store: store.create_secret(f"{FILE}-new", b"ours"),
    "stage": lambda store: write_within(store.stage(FILE), ""),
    "edit": lambda store: write_within(store.edit(FILE), ""),
    "edit a folder": lambda store: write_within(store.edit(FOLDER), "a"),
    "transaction": lambda store: write_within(store.transaction("x"), "a"),
    "install a folder": install,
    "put a file": put,
    "copy": lambda store: store.link_or_copy(FILE, f"{FILE}-new"),
    "move": lambda store: store.move(FILE, f"{FILE}-new"),
    "delete": lambda store: store.delete(FILE),
    "delete all": lambda store: store.delete_all(FOLDER),
    "remove folders": lambda store: store.remove_folders([FOLDER]),
    "remove the pointer": lambda store: store.remove_pointer("current"),
}


@pytest.fixture(scope="module")
def awake(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> BucketStore:
    store = object_store.new_store(tmp_path_factory.mktemp("awake"))
    store.write(FILE, b"theirs")
    store.write("publications/x/manifest.json", b"{}")
    store.swap_pointer("current", "publications/x/", expected=None)
    return store


def objects(store: BucketStore) -> dict[str, bytes]:
    with store.lock("look", timeout_seconds=0):
        return {each: store.read(each) for each in store.list_addresses("") if not each.startswith("locks/")}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_who_lost_its_lock_changes_nothing(
    awake: BucketStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[BucketStore], object]
) -> None:
    monkeypatch.setattr(Leases, "_keep_renewing", lambda *_: None)
    asleep = BucketStore(replace(reopened(awake, tmp_path).settings(), lease_seconds=0.05), CREDENTIALS)
    before = objects(awake)
    with asleep.lock("x", timeout_seconds=0):
        time.sleep(0.06)
        with awake.lock("x", timeout_seconds=0), pytest.raises(TransientError, match=r"^another run took over the lock `x`"):
            change(asleep)
    assert objects(awake) == before


def test_a_transaction_never_takes_the_place_of_one_that_another_run_has_committed(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = object_store.new_store(tmp_path / "asleep")
    awake = reopened(asleep, tmp_path / "awake")
    # Killed once it has committed: whoever comes next is to finish it.
    monkeypatch.setattr(awake._objects, "put_where", killed)
    with ExitStack() as stack:
        (stack.enter_context(asleep.transaction("x")) / "a").write_bytes(b"ours")
        with pytest.raises(ZeroDivisionError):
            write_within(awake.transaction("x"), "b", b"theirs")
        with pytest.raises(TransientError, match="another run changes the same files"):
            stack.close()
    asleep.finish_transaction("x")
    assert asleep.read("b") == b"theirs"
    assert asleep.list_addresses("pending/") == []


def killed(*_: object, **__: object) -> None:
    raise ZeroDivisionError
