"""Races of publishers for the pointer of a bucket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from pipeline.lake.bucket.bucket_store import BucketStore


def winners_of_races(first: BucketStore, second: BucketStore, races: int) -> list[list[str]]:
    """Let both stores swap the pointer that both have read, `races` times; return who won each race, after checking that it shows."""
    barrier = Barrier(2)
    for name in ("first", "second"):
        first.write(f"publications/{name}/manifest.json", b"{}")

    def publish(name: str, store: BucketStore) -> bool:
        live = store.read_pointer("current")
        barrier.wait()
        return store.swap_pointer("current", f"publications/{name}/", expected=live)

    winners = []
    with ThreadPoolExecutor(2) as threads:
        for _ in range(races):
            for store in (first, second):
                store._pointer.forget()  # as the lock of publishing does
            swapped = {name: threads.submit(publish, name, store) for name, store in (("first", first), ("second", second))}
            won = [name for name, answer in swapped.items() if answer.result()]
            assert [first.read_pointer("current")] == [f"publications/{name}/" for name in won]
            winners.append(won)
    return winners
