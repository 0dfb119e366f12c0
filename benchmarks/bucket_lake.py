"""What a lake in a bucket costs beside one in a folder, on this machine: the object store's own work is not counted."""

from __future__ import annotations

import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from unittest import mock

from generate import LAST_DAY
from lakes import company, engine, linked_lake
from measure import Cost, Result, compared, cost

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from local.object_store import make_bucket, running_object_store, variables
from pipeline.features import compute_features
from pipeline.lake.addresses import CACHES, partitions
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.bucket.settings import BucketSettings
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.segmentation import write_memberships

WARM_BAR, COLD_BAR, CHECK_BAR_SECONDS, RACES = 1.3, 2.0, 1.0, 1_000


def results(lake: Lake, scratch: Path, *, rounds: int) -> list[Result]:
    """Return what features and segments cost with the lake in a bucket, how long its check takes, and what races of publishers gave."""
    with TemporaryDirectory(dir=scratch) as name, running_object_store() as endpoint, mock.patch.dict(os.environ, variables(endpoint)):
        folder = Path(name)
        make_bucket(endpoint, "lake")
        plain = linked_lake(lake, folder / "plain")
        settings = BucketSettings("lake", "one", folder / "cache", endpoint=endpoint)
        upload(plain, settings)
        for place in (plain, settings):  # models are fitted once, and stay
            cost(partial(compute_from_nothing, place))
        in_folder, warm, cold = [], [], []
        for _ in range(rounds):
            in_folder.append(cost(partial(compute_from_nothing, plain)))
            shutil.rmtree(settings.cache)
            cold.append(cost(partial(compute_from_nothing, settings)))
            warm.append(cost(partial(compute_from_nothing, settings)))
        return [
            compared("features and segments, lake in a bucket, copies at hand / in a folder", warm, in_folder, bar=WARM_BAR),
            compared("the same without any copy / in a folder", cold, in_folder, bar=COLD_BAR),
            compared_by_clock("the same without any copy / in a folder, by the clock", cold, in_folder),
            Result("the check of a bucket before its first change", check_seconds(endpoint, folder), CHECK_BAR_SECONDS, "s", bar=1),
            Result(f"races of two publishers without one winner, of {RACES:,}", undecided_races(endpoint, folder), RACES, "races", bar=0),
        ]


def compute_from_nothing(place: Lake | BucketSettings) -> None:
    """Compute the last day's features and segments, with nothing kept of an earlier time."""
    lake = place if isinstance(place, Lake) else Lake(BucketStore(place))
    for prefix in (CACHES, *(partitions(table) for table in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS))):
        lake.store.delete_all(prefix)
    with engine(lake) as opened:
        compute_features(company(), lake, opened, LAST_DAY)
        write_memberships(company(), lake, opened, LAST_DAY)


def compared_by_clock(name: str, ours: list[Cost], reference: list[Cost]) -> Result:
    return Result(name, min(each.wall_seconds for each in ours), min(each.wall_seconds for each in reference), "s")


def upload(lake: Lake, settings: BucketSettings) -> None:
    """Put all that is in the folder into the bucket."""
    store = BucketStore(settings)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda address: store.put_file(lake.local(address), address), lake.list_addresses("tables/")))


def check_seconds(endpoint: str, folder: Path) -> float:
    """Return how long the first write to a new bucket takes, in seconds: the check and one object."""
    make_bucket(endpoint, "checked")
    store = BucketStore(BucketSettings("checked", "one", folder / "checked", endpoint=endpoint))
    begun = time.monotonic()
    store.write("a", b"1")
    return time.monotonic() - begun


def undecided_races(endpoint: str, folder: Path) -> int:
    """Return how many of the races for the pointer were not won by exactly one of two publishers."""
    make_bucket(endpoint, "raced")
    stores = [BucketStore(BucketSettings("raced", "one", folder / f"racer-{number}", endpoint=endpoint)) for number in range(2)]
    for number in range(2):
        stores[0].write(f"publications/{number}/manifest.json", b"{}")
    barrier, undecided = Barrier(2), 0

    def publish(number: int, expected: str | None) -> bool:
        barrier.wait()
        return stores[number].swap_pointer("current", f"publications/{number}/", expected=expected)

    with ThreadPoolExecutor(2) as threads:
        for _ in range(RACES):
            for store in stores:
                with store.lock("publish", timeout_seconds=60):  # a step begins
                    live = store.read_pointer("current")
            won = list(threads.map(partial(publish, expected=live), range(2)))
            undecided += sum(won) != 1 or stores[0].read_pointer("current") != f"publications/{won.index(True)}/"
    return undecided
