"""Sending what waits in the outbox, in batches: read back, write only what differs, acknowledge.

A batch may be sent again at any time, because it is read back first. So a call of which nobody knows how it ended is simply repeated;
one that is refused as a whole is divided until the customer who is refused stands alone.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from pipeline.activation.changes import change_between
from pipeline.activation.outbox import Outbox, OutboxRow
from pipeline.activation.sinks.sink import Ambiguous, Customer, Outcome, Refused, Remote, RowResult, Sink, Throttled
from pipeline.errors import DataError, TransientError

log = logging.getLogger("pipeline.activation")
T = TypeVar("T")

ATTEMPTS, ATTEMPTS_OF_PARTS = 8, 2
LONGEST_WAIT_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 900.0
"""Longer than this a sync does not wait on request: it ends, and the next one goes on."""
MOST_FAILURES_IN_A_ROW = 20
_BACKOFF = wait_exponential_jitter(initial=1, max=LONGEST_WAIT_SECONDS, jitter=1)


@dataclass(slots=True)
class Delivered:
    """What was done so far, in customers; refusals by the sink's own codes."""

    written_count: int = 0
    unchanged_count: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """Customers that are done with."""
        return self.written_count + self.unchanged_count + self.refused.total()


class Delivery:
    """Sends the outbox of one sink; `sleep` waits for seconds, `clock` tells the instant of an acknowledgement."""

    def __init__(self, outbox: Outbox, sink: Sink, *, sleep: Callable[[float], None], clock: Callable[[], datetime]) -> None:
        self._outbox, self._sink, self._sleep, self._clock = outbox, sink, sleep, clock
        self._failures_in_a_row = 0
        self.done = Delivered()

    def send_all(self, progress: Callable[[int], None]) -> Delivered:
        """Send every batch; calls `progress` with the number of customers of each.

        Raises TransientError where the sink is out of reach or asks to wait for too long: what was sent is acknowledged.
        """
        last = ""
        while batch := self._outbox.pending(last, self._sink.batch_rows):
            results = self._send(batch, attempts=ATTEMPTS)
            self._outbox.acknowledge(batch, results, now=self._clock())
            last = batch[-1].desired.customer_id
            progress(len(batch))
        return self.done

    def resolve(self, customers: Sequence[Customer]) -> dict[str, Remote]:
        """Return what the sink holds of customers, as it says itself."""
        return self.retry(lambda: self._sink.resolve(customers))

    def retry(self, call: Callable[[], T], *, attempts: int = ATTEMPTS) -> T:
        """Return what `call` returns, trying again where nobody knows how it ended, and waiting where the sink asks for it."""
        retrying = Retrying(
            sleep=self._sleep,
            wait=_seconds_to_wait,
            stop=lambda state: _is_over(state, attempts),
            retry=retry_if_exception_type((Ambiguous, Throttled)),
            reraise=True,
        )
        return retrying(call)

    def _send(self, batch: Sequence[OutboxRow], *, attempts: int, is_last: bool = False) -> list[RowResult]:
        counts = Delivered()

        def attempt() -> list[RowResult]:
            nonlocal counts
            counts, results = self._send_once(batch)
            return results

        try:
            results = self.retry(attempt, attempts=attempts)
        except Refused as refused:
            # A call of a client that died may be carried out only now, and get in the way of this one: read back, and see.
            if len(batch) == 1 and not is_last:
                return self._send(batch, attempts=attempts, is_last=True)
            return self._divide(batch, refused.code, refused.message)
        except Ambiguous as failed:
            # A server that answers with a failure may do so because of one customer; one that does not answer is out of reach.
            if not failed.status or self._is_out_of_order():
                raise
            return self._divide(batch, f"HTTP {failed.status}", failed.what)
        self._failures_in_a_row = 0
        self._note(counts)
        return results

    def _send_once(self, batch: Sequence[OutboxRow]) -> tuple[Delivered, list[RowResult]]:
        known = {row.desired.customer_id: row.acknowledged for row in batch if row.acknowledged is not None}
        if self._sink.is_readable:
            remotes = self._sink.resolve([_customer_of(row) for row in batch])
        else:
            remotes = {name: Remote(each.remote_id or name, each.lists, each.fields) for name, each in known.items()}
        changes, results = [], []
        for row in batch:
            customer = row.desired.customer_id
            remote = remotes.get(customer)
            change = change_between(row.desired, remote, version=known[customer].version if customer in known else 0)
            if change is None or change.is_empty:
                results.append(RowResult(customer, Outcome.WRITTEN, remote.remote_id if remote else None))
            else:
                changes.append(change)
        unchanged = len(results)
        if changes:
            results += _require_all(self._sink.apply(changes), [change.customer_id for change in changes], self._sink)
        refused = Counter(result.code for result in results if result.outcome is Outcome.REFUSED)
        return Delivered(len(results) - unchanged - refused.total(), unchanged, refused), results

    def _divide(self, batch: Sequence[OutboxRow], code: str, message: str) -> list[RowResult]:
        """Return the results of a batch that was not taken as a whole, by sending its halves."""
        if len(batch) == 1:
            self._failures_in_a_row += code.startswith("HTTP 5")
            self._note(Delivered(refused=Counter([code])))
            return [RowResult(batch[0].desired.customer_id, Outcome.REFUSED, code=code, message=message)]
        middle = len(batch) // 2
        return [result for part in (batch[:middle], batch[middle:]) for result in self._send(part, attempts=ATTEMPTS_OF_PARTS)]

    def _is_out_of_order(self) -> bool:
        return self._failures_in_a_row >= MOST_FAILURES_IN_A_ROW

    def _note(self, counts: Delivered) -> None:
        self.done.written_count += counts.written_count
        self.done.unchanged_count += counts.unchanged_count
        self.done.refused.update(counts.refused)


def _customer_of(row: OutboxRow) -> Customer:
    known = row.acknowledged
    return Customer(row.desired.customer_id, known.remote_id if known else None, row.desired.contacts)


def _require_all(results: list[RowResult], customers: Sequence[str], sink: Sink) -> list[RowResult]:
    """Return the results if there is one for each customer; raises DataError where a sink lost some."""
    if sorted(result.customer_id for result in results) != sorted(customers):
        what = f"{type(sink).__name__}.apply returned {len(results)} results for {len(customers)} customers, or for others"
        raise DataError(what, where=sink.definition.where, todo="Let it return one for each change.")
    return results


def _seconds_to_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Throttled) and error.retry_after is not None:
        log.info("the sink asks to wait for %.0f seconds", error.retry_after)
        # One that asks for no time at all, or for a time that is over by our clock, would be asked again and again without a pause.
        return max(error.retry_after, _BACKOFF(state))
    return _BACKOFF(state)


def _is_over(state: RetryCallState, attempts: int) -> bool:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Throttled):
        return state.idle_for + max(error.retry_after or 0, LONGEST_WAIT_SECONDS) > LONGEST_PAUSE_SECONDS
    if isinstance(error, TransientError):
        log.info("%s; trying again", error.what)
    return state.attempt_number >= attempts
