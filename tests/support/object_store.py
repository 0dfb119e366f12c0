"""An object store on loopback, and buckets in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from local import object_store
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.bucket.client import BucketClient
from pipeline.lake.bucket.settings import BucketSettings, Credentials

CREDENTIALS = Credentials(object_store.KEY, object_store.SECRET)


@dataclass(frozen=True)
class ObjectStore:
    """A running server, and new buckets in it."""

    endpoint: str
    numbers: count[int] = field(default_factory=lambda: count(1))

    def new_bucket(self, *, is_versioned: bool = False) -> str:
        name = f"bucket-{next(self.numbers)}"
        object_store.make_bucket(self.endpoint, name, is_versioned=is_versioned)
        return name

    def settings(self, bucket: str, cache: Path, prefix: str = "lakes/one") -> BucketSettings:
        return BucketSettings(bucket, prefix, cache, endpoint=self.endpoint, region=object_store.REGION)

    def new_store(self, cache: Path) -> BucketStore:
        return BucketStore(self.settings(self.new_bucket(), cache), CREDENTIALS)

    def environment(self) -> dict[str, str]:
        """Return what a process needs in its environment to use the server."""
        return object_store.variables(self.endpoint)


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    with object_store.running_object_store() as endpoint:
        yield ObjectStore(endpoint)


def copy_lake(server: ObjectStore, bucket: str, prefix: str, new: str, cache: Path) -> None:
    """Copy all objects below a prefix of a bucket below another one."""
    client = BucketClient(server.settings(bucket, cache, ""), CREDENTIALS)
    for address, _ in client.list_objects(f"{prefix}/"):
        client.copy(address, f"{new}/{address.removeprefix(f'{prefix}/')}")


def reopened(store: BucketStore, cache: Path) -> BucketStore:
    """Return the same bucket as another machine opens it, with a cache of its own."""
    return BucketStore(replace(store.settings(), cache=cache), CREDENTIALS)
