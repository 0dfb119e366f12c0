"""Whether a bucket does what publishing relies on: a store that lets two writers both win is found out before anything is written.

Some servers that speak S3 know no conditions, and ignore them without a word: two nights could both publish, and one would be lost.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from pipeline.errors import ConfigError, PipelineError
from pipeline.lake.addresses import LOCKS
from pipeline.lake.bucket.client import BucketClient
from pipeline.lake.bucket.refusals import GUIDE

CHECKS = f"{LOCKS}startup-checks/"
REMEMBERED_SECONDS = 86_400


class StartupCheck:
    """Checks a bucket before this process changes anything in it; a check that succeeded is remembered for a day on this machine."""

    def __init__(self, client: BucketClient, note: Path, *, once_a_day: Callable[[], None]) -> None:
        self._client, self._note, self._once_a_day = client, note, once_a_day
        self._turn, self._is_done = Lock(), False

    def require(self) -> None:
        """Raise ConfigError where the bucket is not fit for a lake."""
        with self._turn:
            if not self._is_done and not is_remembered(self._note, now=time.time()):
                check_bucket(self._client)
                self._once_a_day()
                self._note.touch()
            self._is_done = True


def check_bucket(client: BucketClient) -> None:
    """Create an object twice and replace it by a stale tag; raises ConfigError where the store lets either through."""
    address = f"{CHECKS}{secrets.token_hex(8)}"
    try:
        _check_conditions(client, address)
    except ConfigError:
        with suppress(PipelineError):  # what is wrong is told; that it may not be removed either would hide it
            client.delete([address])
        raise
    client.delete([address])


def _check_conditions(client: BucketClient, address: str) -> None:
    first, second, third = (secrets.token_bytes(16) for _ in range(3))
    tag = client.put_where(address, first, expected=None)
    if tag is None or client.put_where(address, second, expected=None) is not None:
        raise _unfit(client, "If-None-Match", "creates an object that is there")
    fresh = client.put_where(address, second, expected=tag)
    if fresh is None or client.put_where(address, third, expected=tag) is not None:
        raise _unfit(client, "If-Match", "replaces an object that has changed since it was read")
    if client.read(address).content != second:
        raise _unfit(client, "If-Match", "answers otherwise than it writes")


def is_remembered(note: Path, *, now: float) -> bool:
    """Return whether a check succeeded less than a day before `now`, by when its note was written."""
    try:
        return 0 <= now - note.stat().st_mtime < REMEMBERED_SECONDS
    except OSError:
        return False


def _unfit(client: BucketClient, condition: str, what: str) -> ConfigError:
    return ConfigError(
        f"this object store cannot hold a lake: it ignores {condition}, and {what}. Two nights could both publish",
        where=client.where(),
        todo=f"Use one that knows If-Match and If-None-Match when it writes, such as Amazon S3: {GUIDE}. Or keep the lake in a folder.",
    )
