"""The record of rollbacks: what was taken back, in order."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import date

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.publication.current import day_of_publication


@dataclass(frozen=True, slots=True)
class Rollback:
    """One step back, from one publication to another, and what the operator said of it.

    Of a withdrawal `withdrawn_since` is the first of the days that were withdrawn, as ISO text; there may have been no publication
    before it, or none live. Then ids are empty.
    """

    from_id: str
    to_id: str
    reason: str
    withdrawn_since: str = ""

    def takes_back(self, day: date) -> bool:
        """Return whether the night of `day` was live, or would be by its turn, and is not any more."""
        if self.withdrawn_since:
            return day >= date.fromisoformat(self.withdrawn_since)
        first, last = day_of_publication(self.to_id), day_of_publication(self.from_id)
        return day == last or first < day <= last


def read_rollbacks(lake: Lake) -> list[Rollback]:
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


def record_rollback(lake: Lake, done: Rollback, *, audited_in: int | None) -> None:
    """Record a rollback just before it is seen; a retry of one that broke off there is the same rollback.

    `audited_in` is the epoch in which the night taken back was audited: in the current one it was published again since the
    last rollback, and this is another.
    """
    before = read_rollbacks(lake)
    is_another = audited_in is not None and audited_in >= len(before)
    if before and not is_another and replace(before[-1], reason=done.reason) == done:
        before.pop()
    lake.write_text(addresses.ROLLBACKS, json.dumps([_entry_of(each) for each in (*before, done)], indent=2) + "\n")


def _entry_of(done: Rollback) -> dict[str, str]:
    return {name: value for name, value in asdict(done).items() if value or name != "withdrawn_since"}
