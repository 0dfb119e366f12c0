"""Requests to one bucket: whole objects by their addresses in the lake, and the two conditions by which writers take turns.

A write whose answer was lost is repeated, and may be refused because of itself. So what was to be written tells who won: contents
of conditional writes are unlike any other's, by a random token or by what they say.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from pipeline.errors import TransientError
from pipeline.lake.bucket.refusals import refusals
from pipeline.lake.bucket.settings import BucketSettings, Credentials
from pipeline.lake.file_stamps import FileReplacedError

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config

THREADS = 16
# The client's own patience is three minutes for each request; a night rather ends, and is run again.
RETRIES: RetryConfig = {
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}
CONNECT_TIMEOUT, READ_TIMEOUT, REQUEST_TIMEOUT = timedelta(seconds=5), timedelta(seconds=60), timedelta(minutes=15)
# Larger ones are uploaded in parts; they appear whole all the same.
SINGLE_PUT_BYTES = 1 << 26
PART_BYTES = 1 << 24
CHUNK_BYTES = 1 << 20
# How often a condition is tried again that the store could not decide, and how long that waits at most.
CONDITION_TRIES, CONDITION_SECONDS = 12, 0.5


@dataclass(frozen=True, slots=True)
class ObjectMetadata:
    """What a store says of an object: its bytes, the tag that changes with its content, when it was written (nanoseconds since 1970)."""

    size: int
    tag: str
    written_at: int


@dataclass(frozen=True, slots=True)
class ObjectContent:
    """The content of an object, and its tag."""

    content: bytes
    tag: str


class BucketClient:
    """Sends requests; every refusal is a ConfigError or TransientError with its next step, and names no credentials."""

    def __init__(self, settings: BucketSettings, credentials: Credentials) -> None:
        self.settings = settings
        self._store = S3Store(
            settings.bucket,
            prefix=settings.prefix or None,
            config=_config(settings, credentials),
            client_options=_client_options(settings),
            retry_config=RETRIES,
        )

    def where(self, address: str = "") -> str:
        """Return the place of an object, as messages name it."""
        return f"{self.settings.url}{address}"

    def read(self, address: str) -> ObjectContent:
        """Return an object; raises FileNotFoundError."""
        with refusals(self.where(address)):
            answer = obstore.get(self._store, address)
            return ObjectContent(bytes(answer.bytes()), answer.meta["e_tag"] or "")

    def find(self, address: str) -> ObjectContent | None:
        """Return an object, None where there is none."""
        try:
            return self.read(address)
        except FileNotFoundError:
            return None

    def look_up(self, address: str) -> ObjectMetadata | None:
        """Return what the store says of an object, None where there is none."""
        try:
            with refusals(self.where(address)):
                return _stored(obstore.head(self._store, address))
        except FileNotFoundError:
            return None

    def download(self, address: str, path: Path) -> str:
        """Write an object into a new private file and return its tag; raises FileNotFoundError, OSError where the disk refuses."""
        with refusals(self.where(address)):
            answer = obstore.get(self._store, address)
            if answer.meta["size"] <= CHUNK_BYTES:
                path.write_bytes(answer.bytes())
            else:
                with path.open("wb") as file:
                    for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                        file.write(chunk)
            return answer.meta["e_tag"] or ""

    def read_before(self, address: str, end: int, count: int, *, tag: str) -> bytes:
        """Return the `count` bytes of an object that end at `end`; raises FileReplacedError where its tag is no more `tag`."""
        try:
            with refusals(self.where(address)):
                return bytes(obstore.get(self._store, address, options={"range": (end - count, end), "if_match": tag}).bytes())
        except (PreconditionError, FileNotFoundError):
            raise FileReplacedError from None

    def list_objects(self, prefix: str) -> Iterator[tuple[str, ObjectMetadata]]:
        """Yield the addresses that begin with `prefix`, in order, and what the store says of each."""
        # The client lists by whole parts of names only.
        folder = prefix.rpartition("/")[0]
        with refusals(self.where(prefix)):
            found = [meta for page in obstore.list(self._store, folder or None) for meta in page]
        yield from sorted((meta["path"], _stored(meta)) for meta in found if meta["path"].startswith(prefix))

    def list_top(self) -> tuple[list[tuple[str, ObjectMetadata]], list[str]]:
        """Return the objects and the names of the folders directly below the lake's prefix, in order."""
        with refusals(self.where()):
            found = obstore.list_with_delimiter(self._store)
        objects = sorted((meta["path"], _stored(meta)) for meta in found["objects"])
        return objects, sorted(name.rstrip("/") for name in found["common_prefixes"])

    def put(self, address: str, content: bytes | Path) -> str:
        """Write an object, whole or not at all, whatever is there, and return its tag."""
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        with refusals(self.where(address)):
            answer = obstore.put(self._store, address, content, use_multipart=size > SINGLE_PUT_BYTES, chunk_size=PART_BYTES)
        return answer["e_tag"] or ""

    def put_where(self, address: str, content: bytes, *, expected: str | None) -> str | None:
        """Write an object where its tag is `expected`, or where nothing is for None; return its tag, None where another was first.

        `content` is like nobody else's: found there it is ours, whatever became of the answer.
        """
        for attempt in range(CONDITION_TRIES):
            try:
                with refusals(self.where(address)):
                    answer = obstore.put(
                        self._store, address, content, mode="create" if expected is None else {"e_tag": expected}, use_multipart=False
                    )
                return answer["e_tag"] or ""
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                found = self.find(address)
                if found is not None and found.content == content:
                    return found.tag
                if (found.tag if found else None) != expected:
                    return None
                # As it was: the store could not decide, as two wrote at once (409 ConditionalRequestConflict). Ask again.
                time.sleep(random.uniform(0, CONDITION_SECONDS * (attempt + 1) / CONDITION_TRIES))  # noqa: S311
        raise TransientError("the object store could not decide who writes", where=self.where(address), todo="Run again.")

    def keeps_versions(self, address: str) -> bool:
        """Return whether the bucket keeps what an object was before, by writing one and removing it."""
        with refusals(self.where(address)):
            answer = obstore.put(self._store, address, b"", use_multipart=False)
        self.delete([address])
        # "null" is what a bucket answers in which versioning was suspended: what is written from then on replaces itself.
        return answer["version"] not in (None, "", "null")

    def copy(self, address: str, new: str) -> None:
        """Copy an object within the bucket, whatever is at `new`; raises FileNotFoundError."""
        with refusals(self.where(address)):
            obstore.copy(self._store, address, new)

    def delete(self, addresses: Sequence[str]) -> None:
        """Remove objects, if they are there."""
        if addresses:
            with refusals(self.where(addresses[0])):
                obstore.delete(self._store, list(addresses))

    def threads(self) -> ThreadPoolExecutor:
        """Return threads that wait for many answers at once, to be closed by the caller."""
        return ThreadPoolExecutor(THREADS, thread_name_prefix="bucket")


def _config(settings: BucketSettings, credentials: Credentials) -> S3Config:
    config: S3Config = {}
    if settings.endpoint:
        config["endpoint"] = settings.endpoint
    if settings.region:
        config["region"] = settings.region
    if credentials.key:
        config["access_key_id"], config["secret_access_key"] = credentials.key, credentials.secret
    if credentials.token:
        config["session_token"] = credentials.token
    return config


def _client_options(settings: BucketSettings) -> ClientConfig:
    is_plain = settings.endpoint.startswith("http://")
    return {"allow_http": is_plain, "connect_timeout": CONNECT_TIMEOUT, "read_timeout": READ_TIMEOUT, "timeout": REQUEST_TIMEOUT}


def _stored(meta: ObjectMeta) -> ObjectMetadata:
    return ObjectMetadata(meta["size"], meta["e_tag"] or "", round(meta["last_modified"].timestamp() * 1_000_000_000))
