"""An object store on loopback: moto in a process of its own, which speaks S3 with both conditions of writes."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import httpx

from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.bucket.client import BucketClient
from pipeline.lake.bucket.settings import BucketSettings, Credentials

CREDENTIALS = Credentials("a-key", "a-secret")
REGION = "us-east-1"
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class ObjectStore:
    """A running server, and new buckets in it."""

    endpoint: str
    process: subprocess.Popen[bytes]
    numbers: count[int]

    def new_bucket(self, *, is_versioned: bool = False) -> str:
        name = f"bucket-{next(self.numbers)}"
        self._send("PUT", name)
        if is_versioned:
            self._send("PUT", f"{name}?versioning", b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        return name

    def settings(self, bucket: str, cache: Path, prefix: str = "lakes/one") -> BucketSettings:
        return BucketSettings(bucket, prefix, cache, endpoint=self.endpoint, region=REGION)

    def new_store(self, cache: Path) -> BucketStore:
        return BucketStore(self.settings(self.new_bucket(), cache), CREDENTIALS)

    def environment(self) -> dict[str, str]:
        """Return what a process needs in its environment to use the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": CREDENTIALS.key,
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret,
        }

    def _send(self, method: str, path: str, body: bytes | None = None) -> None:
        httpx.request(method, f"{self.endpoint}/{path}", content=body).raise_for_status()


def copy_lake(server: ObjectStore, bucket: str, prefix: str, new: str, cache: Path) -> None:
    """Copy all objects below a prefix of a bucket below another one."""
    client = BucketClient(server.settings(bucket, cache, ""), CREDENTIALS)
    for address, _ in client.list_objects(f"{prefix}/"):
        client.copy(address, f"{new}/{address.removeprefix(f'{prefix}/')}")


def reopened(store: BucketStore, cache: Path) -> BucketStore:
    """Return the same bucket as another machine opens it, with a cache of its own."""
    return BucketStore(replace(store.settings(), cache=cache), CREDENTIALS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    port = free_port()
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        await_answer(endpoint, process)
        yield ObjectStore(endpoint, process, count(1))
    finally:
        process.kill()
        process.wait()


def await_answer(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server does not answer"
        try:
            httpx.get(endpoint, timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
