"""A bucket answers as a folder does, whatever was done to both before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random

import pytest
from support.object_store import ObjectStore, reopened

from pipeline.lake.local_store import LocalStore
from pipeline.lake.store import Store

ADDRESSES = [
    *("top.txt", "models/x/1.json", "models/x/2.json", "models/xy/1.json", "publications/p/manifest.json", "publications/p/t.parquet"),
    *("tables/a/day=1/part", "tables/a/month=1/known=2/part", "tables/ab/day=1/part", "restated/a/day=1/known=2/part"),
]
PREFIXES = ["", "t", "tables", "tables/", "tables/a", "tables/a/", "tables/a/day=1/", "models/", "models/x", "restated/", "publications/"]
LINES, STATE, FILES = "notes/n.jsonl", "sync/c/state", "sync/c/files/"
PRIVATE = ("locks/", "staging/")


def write_within(block: AbstractContextManager[Path], name: str, content: bytes) -> None:
    with block as place:
        path = place / name if name else place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def hold_and_give_back(store: Store) -> None:
    with store.lock("x", timeout_seconds=0):
        pass


def next_change(random: Random, file: Path, stored: set[str]) -> Callable[[Store], None]:
    """Return a change that may be made where these addresses are `stored`."""
    address, prefix = random.choice(ADDRESSES), random.choice([each for each in PREFIXES if each.endswith("/")])
    content = random.choice([b"a", b"b", b"cc"])
    file.write_bytes(content)
    changes: list[Callable[[Store], None]] = [
        *[lambda store: store.write(address, content)] * 3,
        lambda store: write_within(store.stage(address), "", content),
        lambda store: store.put_file(file, address),
        lambda store: store.append(LINES, content),
        lambda store: write_within(store.edit(STATE), "", content),
        lambda store: write_within(store.edit(FILES), content.decode(), content),
        lambda store: write_within(store.transaction("x"), address, content),
        lambda store: store.delete(address),
        lambda store: store.delete_all(prefix),
        hold_and_give_back,
    ]
    if stored and (new := random.choice(ADDRESSES)) not in stored:
        old = random.choice(sorted(stored))
        changes += [lambda store: store.move(old, new), lambda store: store.link_or_copy(old, new)]
    return random.choice(changes)


def answers(store: Store, prefix: str) -> dict[str, object]:
    """Return what a store says of all that is below a prefix, and of whether something is at each address."""
    names = [name for name in store.list_addresses(prefix) if not name.startswith(PRIVATE)]
    contents = {name: (store.read(name), store.local(name).read_bytes(), store.size(name)) for name in names}
    return {**contents, "names": names, "exists": [store.exists(address) for address in ADDRESSES], "models": folders(store, "models/")}


def folders(store: Store, prefix: str) -> list[str]:
    """Return the folders below a prefix that hold something: a disk keeps empty ones."""
    return [name for name in store.list_folders(prefix) if store.list_addresses(f"{prefix}{name}/")]


@pytest.mark.parametrize("seed", range(2))
def test_a_bucket_answers_as_a_folder_does(object_store: ObjectStore, tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    (tmp_path / "lake").mkdir()
    folder, bucket = LocalStore(tmp_path / "lake"), object_store.new_store(tmp_path / "cache")
    for number in range(60):
        change = next_change(random, tmp_path / str(number), {each for each in ADDRESSES if folder.exists(each)})
        for store in (folder, bucket):
            change(store)
        prefix = random.choice(PREFIXES[1:])
        if number % 20 == 19:  # the same bucket, from another machine, and all of it
            bucket, prefix = reopened(bucket, tmp_path / f"cache-{number}"), ""
        assert answers(bucket, prefix) == answers(folder, prefix), f"after change {number}"
