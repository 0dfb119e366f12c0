"""A lake that no night, backfill or erasure works on: what changes it as a whole needs one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import LockTimeout
from pipeline.lake.lake import Lake

WAIT_SECONDS = 5  # for a step that is about to end


@contextmanager
def quiet_lake(lake: Lake) -> Iterator[None]:
    """Hold off nights, backfills and erasures for the time of the block; raises LockTimeout where one is under way."""
    from pipeline.operations.erasure.erase import holding_off_nights

    try:
        with holding_off_nights(lake, wait_seconds=WAIT_SECONDS):
            yield
    except LockTimeout as error:
        todo = "Wait until it has ended, or stop it; then try again."
        raise LockTimeout("a night, a backfill or an erasure is under way", where=error.where, todo=todo) from None
