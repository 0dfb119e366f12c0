"""Locks in a bucket: leases that end by themselves, and that keep nobody from losing to a newer tag."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.object_store import CREDENTIALS, ObjectStore

from pipeline.errors import LockTimeout, TransientError
from pipeline.lake.bucket.client import BucketClient
from pipeline.lake.bucket.leases import Holder, Lease, Leases
from pipeline.lake.bucket.processes import this_process


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client(object_store: ObjectStore, tmp_path: Path) -> BucketClient:
    return BucketClient(object_store.settings(object_store.new_bucket(), tmp_path), CREDENTIALS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def stored_lease(client: BucketClient) -> Lease:
    return Lease.of(client.read("locks/publish.json").content)


def as_of_another_machine(client: BucketClient) -> None:
    """Make the holders of the lock processes that cannot be seen from here."""
    lease = stored_lease(client)
    client.put("locks/publish.json", replace(lease, holders=tuple(replace(each, process="") for each in lease.holders)).as_bytes())


def test_a_lock_is_renewed_for_as_long_as_it_is_held(client: BucketClient) -> None:
    mine, other = Leases(client, seconds=0.4), Leases(client, seconds=0.4)
    with mine.hold("publish", timeout_seconds=0):
        as_of_another_machine(client)
        with pytest.raises(LockTimeout, match="another run holds the lock"), other.hold("publish", timeout_seconds=1.2):
            pass
        mine.require_held()
    with other.hold("publish", timeout_seconds=0):
        pass


def test_a_lease_ends_by_itself_where_its_holder_died_elsewhere(client: BucketClient, clock: Clock) -> None:
    client.put("locks/publish.json", Lease().with_holder(Holder("elsewhere", clock.now + 60, is_shared=False)).as_bytes())
    leases = Leases(client, seconds=60, clock=clock)
    with pytest.raises(LockTimeout), leases.hold("publish", timeout_seconds=0):
        pass
    clock.now += 61
    with leases.hold("publish", timeout_seconds=0):
        assert len(stored_lease(client).holders) == 1


def test_what_was_killed_on_this_machine_holds_nothing(client: BucketClient, clock: Clock) -> None:
    child = subprocess.Popen(["sleep", "60"])
    started = Path(f"/proc/{child.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    process = f"{this_process().partition('/')[0]}/{child.pid}/{started}"
    client.put("locks/publish.json", Lease().with_holder(Holder("killed", clock.now + 60, is_shared=False, process=process)).as_bytes())
    leases = Leases(client, seconds=60, clock=clock)
    with pytest.raises(LockTimeout), leases.hold("publish", timeout_seconds=0):
        pass
    child.kill()
    child.wait()
    with leases.hold("publish", timeout_seconds=0):
        assert len(stored_lease(client).holders) == 1


def test_the_number_of_a_lock_only_grows(client: BucketClient) -> None:
    numbers = []
    for _ in range(3):
        with Leases(client, seconds=60).hold("publish", timeout_seconds=0):
            numbers.append(stored_lease(client).number)
        numbers.append(stored_lease(client).number)
    assert numbers == sorted(set(numbers))


def test_a_holder_that_slept_learns_that_another_took_over_before_it_removes_anything(client: BucketClient, clock: Clock) -> None:
    mine = Leases(client, seconds=60, clock=clock)
    with mine.hold("publish", timeout_seconds=0):
        as_of_another_machine(client)
        clock.now += 61  # asleep
        other = Leases(client, seconds=60, clock=clock).hold("publish", timeout_seconds=0)
        with other, pytest.raises(TransientError, match="another run took over the lock `publish`"):
            mine.require_held()
        assert stored_lease(client).holders == ()
    assert stored_lease(client).holders == ()


def test_a_holder_that_slept_goes_on_where_nobody_took_over(client: BucketClient, clock: Clock) -> None:
    mine = Leases(client, seconds=60, clock=clock)
    with mine.hold("publish", timeout_seconds=0):
        clock.now += 61
        mine.require_held()
        assert stored_lease(client).holders[0].until == clock.now + 60


def test_those_who_share_a_lock_keep_off_whoever_wants_it_alone(client: BucketClient) -> None:
    first, second, alone = (Leases(client, seconds=60) for _ in range(3))
    with first.hold("erasure", timeout_seconds=0, is_shared=True):
        with (
            second.hold("erasure", timeout_seconds=0, is_shared=True),
            pytest.raises(LockTimeout),
            alone.hold("erasure", timeout_seconds=0),
        ):
            pass
        with pytest.raises(LockTimeout), alone.hold("erasure", timeout_seconds=0):
            pass
    with alone.hold("erasure", timeout_seconds=0), pytest.raises(LockTimeout), first.hold("erasure", timeout_seconds=0, is_shared=True):
        pass


def test_waiting_for_a_lock_ends_when_it_is_given_back(client: BucketClient) -> None:
    begun = time.monotonic()
    waiting = Leases(client, seconds=60).hold("publish", timeout_seconds=20)
    with ThreadPoolExecutor(1) as threads:
        with Leases(client, seconds=60).hold("publish", timeout_seconds=0):
            taken = threads.submit(waiting.__enter__)
            time.sleep(0.3)
            assert not taken.done()
        taken.result()
    waiting.__exit__(None, None, None)
    assert 0.3 <= time.monotonic() - begun < 15
