"""What a program changes in its own way is put back as a whole, or left as it was."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from support.object_store import ObjectStore, reopened

from pipeline.errors import TransientError
from pipeline.lake.bucket.bucket_store import BucketStore

STATE, FILES = "sync/crm/state.duckdb", "sync/crm/files/"


@pytest.fixture
def store(object_store: ObjectStore, tmp_path: Path) -> BucketStore:
    return object_store.new_store(tmp_path / "cache")


def test_what_is_there_after_the_block_is_stored_however_it_ends(store: BucketStore, tmp_path: Path) -> None:
    with store.edit(STATE) as path:
        assert not path.exists()
        path.write_bytes(b"one")

    def add_and_fail() -> None:
        with store.edit(STATE) as path:
            path.write_bytes(path.read_bytes() + b" two")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    assert reopened(store, tmp_path / "other").read(STATE) == b"one two"
    with store.edit(STATE) as path:
        path.unlink()
    assert not store.exists(STATE)


def test_a_folder_is_put_back_with_what_was_added_changed_and_removed(store: BucketStore, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        store.write(f"{FILES}{name}", name.encode())
    with reopened(store, tmp_path / "other").edit(FILES) as folder:
        (folder / "a").write_bytes(b"changed")
        (folder / "b").unlink()
        (folder / "new").mkdir()
        (folder / "new" / "d").write_bytes(b"d")
    with store.lock("x", timeout_seconds=0):
        found = {address.removeprefix(FILES): store.read(address) for address in store.list_addresses(FILES)}
    assert found == {"a": b"changed", "c": b"c", "new/d": b"d"}


def test_a_private_copy_is_changed_and_no_pinned_one(store: BucketStore, tmp_path: Path) -> None:
    store.write(STATE, b"one")
    store.link_to(STATE, tmp_path / "cache" / "pinned")
    with store.edit(STATE) as path:
        path.write_bytes(b"two")
    assert (tmp_path / "cache" / "pinned").read_bytes() == b"one"
    assert store.local(STATE).read_bytes() == b"two"


def test_what_another_run_wrote_meanwhile_stays(store: BucketStore, tmp_path: Path) -> None:
    store.write(STATE, b"one")
    with contextlib.ExitStack() as stack:
        stack.enter_context(store.edit(STATE)).write_bytes(b"ours")
        reopened(store, tmp_path / "other").write(STATE, b"theirs")
        with pytest.raises(TransientError, match="another run wrote this file meanwhile"):
            stack.close()
    assert store.read(STATE) == b"theirs"
