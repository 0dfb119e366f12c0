"""Locks in a bucket: leases, which end by themselves where their holder died, and which decide nothing.

    locks/<name>.json     a number that only grows, and who holds the lock until when

A lease keeps runs from working in vain. What decides whether a write counts is the tag that it expects: a holder that was stopped for
longer than its lease, and goes on beside the next one, finds another tag than it read. Before a write that expects none it looks whether
the lease is its own still.
"""

from __future__ import annotations

import json
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from threading import Event, Lock, Thread
from typing import NamedTuple

from pipeline.errors import LockTimeout, PipelineError, TransientError
from pipeline.lake.addresses import LOCKS
from pipeline.lake.bucket.client import BucketClient
from pipeline.lake.bucket.processes import is_dead, this_process

log = logging.getLogger("pipeline.lake.bucket")
# Renewed so often within its time, so that one or two lost requests do not end it.
RENEWALS = 4
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, by a random token, until when (seconds since 1970), and whether others may hold it too."""

    token: str
    until: float
    is_shared: bool
    process: str = ""

    def is_alive(self, now: float) -> bool:
        """Return whether its time has not ended, and it is not known to have died before."""
        return self.until > now and not is_dead(self.process)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lock as the bucket has it; `number` grows with every change, so that no two states are alike."""

    number: int = 0
    holders: tuple[Holder, ...] = ()

    @classmethod
    def of(cls, content: bytes) -> Lease:
        """Return the lease that was stored; what cannot be read is nobody's."""
        try:
            stored = json.loads(content)
            holders = tuple(
                Holder(str(each["token"]), float(each["until"]), bool(each["is_shared"]), str(each["process"]))
                for each in stored["holders"]
            )
            return cls(int(stored["number"]), holders)
        except (ValueError, KeyError, TypeError):
            return cls()

    def as_bytes(self) -> bytes:
        """Return the lease as it is stored."""
        return json.dumps(asdict(self)).encode()

    def alive(self, now: float) -> Lease:
        """Return it with those holders alone that are alive."""
        return replace(self, holders=tuple(holder for holder in self.holders if holder.is_alive(now)))

    def admits(self, *, is_shared: bool) -> bool:
        """Return whether another may hold it too, all of its holders being alive."""
        return not self.holders or (is_shared and all(holder.is_shared for holder in self.holders))

    def with_holder(self, holder: Holder) -> Lease:
        """Return the next state, in which `holder` holds it, and until when it says."""
        others = tuple(each for each in self.holders if each.token != holder.token)
        return Lease(self.number + 1, (*others, holder))

    def without(self, token: str) -> Lease:
        """Return the next state, in which that holder has gone."""
        return Lease(self.number + 1, tuple(each for each in self.holders if each.token != token))

    def holder(self, token: str) -> Holder | None:
        """Return the holder with that token."""
        return next((each for each in self.holders if each.token == token), None)


@dataclass(slots=True)
class HeldLease:
    """A lock that this process all_held: its name, its token, until when, and whether another took it over."""

    name: str
    token: str
    is_shared: bool
    until: float
    turn: Lock = field(default_factory=Lock)
    is_lost: bool = False
    ended: Event = field(default_factory=Event)

    def holder(self, until: float) -> Holder:
        """Return what the lock says of this process."""
        return Holder(self.token, until, self.is_shared, this_process())


class StoredLease(NamedTuple):
    """A lock as it was read or written, and its tag there; None where it is not there."""

    lease: Lease
    tag: str | None


class Leases:
    """Takes locks, renews them from threads, and knows whether this process still holds those that it took."""

    def __init__(self, client: BucketClient, *, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._client, self._seconds, self._clock = client, seconds, clock
        self._held: list[HeldLease] = []
        self._written: dict[str, StoredLease] = {}
        self._lock = Lock()

    @contextmanager
    def hold(self, name: str, *, timeout_seconds: float, is_shared: bool = False) -> Iterator[None]:
        """Hold the lock for the time of the block; raises LockTimeout where another run holds it for longer than `timeout_seconds`."""
        held = self._acquire(name, timeout_seconds, is_shared=is_shared)
        renewing = Thread(target=self._keep_renewing, args=(held,), name=f"lease-{name}", daemon=True)
        renewing.start()
        with self._lock:
            self._held.append(held)
        try:
            yield
        finally:
            held.ended.set()
            renewing.join()
            with self._lock:
                self._held.remove(held)
            self._release(held)

    def is_held_alone(self) -> bool:
        """Return whether this process holds a lock that it shares with nobody, as far as it knows."""
        return any(not held.is_shared for held in list(self._held))

    def require_held(self) -> None:
        """Raise TransientError where another run took over a lock that this process holds alone.

        A process that was stopped for a while learns it here; what it was about to remove may be another run's by now.
        """
        with self._lock:
            all_held = [held for held in self._held if not held.is_shared]
        for held in all_held:
            if not held.is_lost and held.until <= self._clock():
                self._renew(held)
            if held.is_lost:
                what = f"another run took over the lock `{held.name}` while this one stood still"
                raise TransientError(what, where=self._client.where(f"{LOCKS}{held.name}"), todo="Wait for it, then run again.")

    def names(self) -> list[str]:
        """Return the names of all locks that were ever held, in order."""
        return [address[len(LOCKS) : -len(".json")] for address, _ in self._client.list_objects(LOCKS) if address.endswith(".json")]

    def _acquire(self, name: str, timeout_seconds: float, *, is_shared: bool) -> HeldLease:
        deadline, wait = time.monotonic() + timeout_seconds, FIRST_WAIT
        state = self._known_or_read(name)
        while True:
            now = self._clock()
            alive = state.lease.alive(now)
            held = HeldLease(name, secrets.token_hex(8), is_shared, now + self._seconds)
            if alive.admits(is_shared=is_shared):
                if self._write(name, alive.with_holder(held.holder(held.until)), state):
                    return held
            elif time.monotonic() >= deadline:
                todo = f"Wait for it, or end it, then run again. A killed run's ends in {self._seconds:.0f} seconds."
                raise LockTimeout("another run holds the lock", where=self._client.where(f"{LOCKS}{name}"), todo=todo)
            else:
                seconds = min(random.uniform(wait / 2, wait), max(deadline - time.monotonic(), 0.0))  # noqa: S311 - not all at once
                time.sleep(seconds)
                wait = min(wait * 2, LONGEST_WAIT)
            state = self._read(name)

    def _read(self, name: str) -> StoredLease:
        found = self._client.find(_address(name))
        return StoredLease(Lease.of(found.content), found.tag) if found else StoredLease(Lease(), None)

    def _known_or_read(self, name: str) -> StoredLease:
        """Return the lock as this process wrote it last: where that is outdated nothing can be written over it. Half of all requests."""
        with self._lock:
            known = self._written.pop(name, None)
        return known or self._read(name)

    def _write(self, name: str, lease: Lease, state: StoredLease) -> bool:
        """Write the next state of a lock, where it is still the one that is known."""
        tag = self._client.put_where(_address(name), lease.as_bytes(), expected=state.tag)
        if tag is not None:
            with self._lock:
                self._written[name] = StoredLease(lease, tag)
        return tag is not None

    def _keep_renewing(self, held: HeldLease) -> None:
        while not held.ended.wait(self._seconds / RENEWALS) and not held.is_lost:
            try:
                self._renew(held)
            except PipelineError as error:  # tried again until its time is over, and by whoever requires it
                log.warning("the lock %s could not be renewed: %s", held.name, error.what)

    def _renew(self, held: HeldLease) -> None:
        """Hold it for longer; note where another run has taken it over."""
        with held.turn:
            while not held.is_lost:
                state, now = self._read(held.name), self._clock()
                # Its time may be over: as long as nobody took it over, it is ours still. Others may have begun to share it since.
                is_ours = state.lease.holder(held.token) is not None
                if not is_ours and not (held.is_shared and state.lease.alive(now).admits(is_shared=True)):
                    held.is_lost = True
                elif self._write(held.name, state.lease.alive(now).with_holder(held.holder(now + self._seconds)), state):
                    held.until = now + self._seconds
                    return

    def _release(self, held: HeldLease) -> None:
        # Where the store cannot be reached the lease ends by itself; that must not hide what ended the block.
        with suppress(PipelineError):
            state = self._known_or_read(held.name)
            while state.lease.holder(held.token) is not None:
                if self._write(held.name, state.lease.without(held.token), state):
                    return
                state = self._read(held.name)


def _address(name: str) -> str:
    return f"{LOCKS}{name}.json"
