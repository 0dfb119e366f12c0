"""Work that workers are given in tests, in a module that loads little: each of their processes loads it anew."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import TYPE_CHECKING

from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.lake.lake import Lake

log = logging.getLogger("pipeline.test")


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def after_a_while(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def refuse_odd(number: int) -> int:
    if number == 3:
        time.sleep(0.3)  # the other one fails first
    if number % 2:
        raise DataError(f"{number} is odd", where="here", todo="Take an even one.")
    return number


def divide(number: int) -> float:
    return 1 / number


def refuse_strangely(_: int) -> None:
    class LocalError(Exception):
        pass

    raise LocalError


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL if number == 2 else signal.SIGCONT)


def warn(number: int) -> None:
    log.warning("%s is told", number)


def hold_folder(lake: Lake, seconds: float) -> None:
    with lake.private_folder() as folder:
        (folder / "half").touch()
        time.sleep(seconds)


class UnreadableItem:
    """An item that can be sent, but not taken in, as a lake may be that cannot be opened there."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return refuse_odd, (5,)


def key_of(lake: Lake) -> tuple[str, str]:
    from pipeline.lake.bucket.bucket_store import BucketStore

    store = lake.store
    assert isinstance(store, BucketStore)
    return store.settings().bucket, store._credentials.key
