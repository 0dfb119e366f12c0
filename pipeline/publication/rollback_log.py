"""The record of rollbacks: what was taken back, in order. A night begun before the last of them belongs to another past."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Rollback:
    """One step back, from one publication to another, and what the operator said of it."""

    from_id: str
    to_id: str
    reason: str


def rollbacks(lake: Lake) -> list[Rollback]:
    """Return every rollback of this lake, the last one last; raises DataError where the record cannot be read."""
    try:
        return [Rollback(**entry) for entry in json.loads(lake.read_text(addresses.ROLLBACKS))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError):
        raise DataError(
            "the record of rollbacks cannot be read",
            where=lake.where(addresses.ROLLBACKS),
            todo="Put the file back from a copy, or remove it: then a night that was taken back may be published again.",
        ) from None


def record_rollback(lake: Lake, done: Rollback, *, audited_after: int | None) -> None:
    """Record a rollback just before it is seen; a retry of one that broke off there is the same rollback.

    `audited_after` is the number of rollbacks that there were when the night taken back was audited: had there been all of
    these, it was published again since the last one, and this is another.
    """
    before = rollbacks(lake)
    is_another = audited_after is not None and audited_after >= len(before)
    if before and not is_another and (before[-1].from_id, before[-1].to_id) == (done.from_id, done.to_id):
        before.pop()
    lake.write_text(addresses.ROLLBACKS, json.dumps([asdict(each) for each in (*before, done)], indent=2) + "\n")


def note_begin(lake: Lake, day: date) -> None:
    """Note that a run of night `day` begins, after as many rollbacks as there are now; before the first there is nothing to note."""
    count = len(rollbacks(lake))
    if count > begun_after(lake, day):
        lake.write_text(addresses.begun(day), f"{count}\n")


def begun_after(lake: Lake, day: date) -> int:
    """Return how many rollbacks there were when the newest run of night `day` began."""
    with suppress(OSError, ValueError):
        return int(lake.read_text(addresses.begun(day)))
    return 0
