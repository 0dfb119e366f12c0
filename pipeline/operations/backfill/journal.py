"""The journal of one backfill: what is done, so that the same request goes on where it stopped.

A line is appended when a stage of a night is done. A process that dies while it writes leaves a torn last line, which is ignored:
that stage is run once more, and running twice is running once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.operations.backfill.differences import NightDifference
from pipeline.operations.backfill.night import StageResult
from pipeline.operations.backfill.plan import PlannedNight, Stage


class BackfillJournal:
    """The finished stages of a backfill, a line of JSON each."""

    def __init__(self, lake: Lake, digest: str) -> None:
        self._lake, self.digest = lake, digest
        self.results = list(_stored_results(lake, addresses.journal(digest)))
        self._done = {(each.day, each.known_on, each.stage) for each in self.results}

    def has(self, night: PlannedNight, stage: Stage) -> bool:
        """Return whether that stage of the night is done."""
        return (night.day, night.known_on, stage) in self._done

    def add(self, result: StageResult) -> None:
        """Append the result of a finished stage."""
        self.results.append(result)
        self._done.add((result.day, result.known_on, result.stage))
        self._lake.store.append(addresses.journal(self.digest), f"{json.dumps(asdict(result), default=str)}\n".encode())

    def remove(self) -> None:
        """Forget the backfill: nothing is left to resume."""
        self._lake.store.delete_all(addresses.backfill(self.digest))


@contextmanager
def open_journal(lake: Lake, digest: str) -> Iterator[BackfillJournal]:
    """Yield the journal of the backfill `digest`; raises LockTimeout where that very backfill is running."""
    with lake.lock(f"backfill-{digest}", timeout_seconds=0):
        yield BackfillJournal(lake, digest)


def _stored_results(lake: Lake, address: str) -> Iterator[StageResult]:
    if lake.exists(address):
        for line in lake.read_text(address).splitlines():
            with suppress(json.JSONDecodeError):
                yield _result_from_json(json.loads(line))


def _result_from_json(facts: dict[str, Any]) -> StageResult:
    differences = {
        against: NightDifference(**{**stored, "spend_amount": Decimal(stored["spend_amount"])})
        for against, stored in (facts["differences"] or {}).items()
    }
    days = {name: date.fromisoformat(facts[name]) for name in ("day", "known_on")}
    return StageResult(**{**facts, **days, "differences": differences or None})
