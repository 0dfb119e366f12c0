"""Whether a bucket does what publishing relies on: a store that lets two writers both win is found out before anything is written.

Some servers that speak S3 know no conditions, and ignore them without a word: two nights could both publish, and one would be lost.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from pathlib import Path

from pipeline.errors import ConfigError, PipelineError
from pipeline.lake.addresses import LOCKS
from pipeline.lake.bucket.client import BucketClient
from pipeline.lake.bucket.refusals import GUIDE

CHECKS = f"{LOCKS}startup-checks/"
REMEMBERED_SECONDS = 86_400


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


def is_remembered(note: Path, *, now: float | None = None) -> bool:
    """Return whether the check succeeded less than a day ago, by the note that `remember` wrote."""
    try:
        age = (time.time() if now is None else now) - note.stat().st_mtime
    except OSError:
        return False
    return 0 <= age < REMEMBERED_SECONDS


def remember(note: Path) -> None:
    """Note that the check succeeded."""
    note.touch()


def _unfit(client: BucketClient, condition: str, what: str) -> ConfigError:
    return ConfigError(
        f"this object store cannot hold a lake: it ignores {condition}, and {what}. Two nights could both publish",
        where=client.where(),
        todo=f"Use one that knows If-Match and If-None-Match when it writes, such as Amazon S3: {GUIDE}. Or keep the lake in a folder.",
    )
