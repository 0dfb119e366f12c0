"""Which past a night belongs to. Every rollback begins a new epoch; what was begun in an earlier one is not published.

An attempt that slept while a person took a night back must not undo what they decided meanwhile. So a night is stamped with the
epoch when it begins, and what the gates say of it with that of its audit. Whoever wants it all the same runs it again, and stamps
it anew. `unfinished.txt` is no such stamp: it names what may have reached the database target though readers never saw it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Literal

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.errors import GateClosed
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.publication.rollback_log import read_rollbacks

_RUN_AGAIN = {"begun": "run the night again from its beginning", "audited": "run the night again"}


def current_epoch(lake: Lake) -> int:
    """Return how many rollbacks there were; raises DataError where their record cannot be read."""
    return len(read_rollbacks(lake))


def stamp_epoch(lake: Lake, day: date) -> None:
    """Stamp night `day` with the current epoch, for a run of it begins; in the first epoch there is nothing to write."""
    epoch = current_epoch(lake)
    if epoch > epoch_when_begun(lake, day):
        lake.write_text(addresses.epoch(day), f"{epoch}\n")


def epoch_when_begun(lake: Lake, day: date) -> int:
    """Return the epoch in which the newest run of night `day` began: the first one, 0, where there is no stamp."""
    with suppress(OSError, ValueError):
        return int(lake.read_text(addresses.epoch(day)))
    return 0


def is_withdrawn(lake: Lake, day: date) -> bool:
    """Return whether night `day` was withdrawn since its newest run began: then it counts as never run."""
    missed = read_rollbacks(lake)[epoch_when_begun(lake, day) :]
    return any(each.withdrawn_since and each.takes_back(day) for each in missed)


def require_current_epoch(company: Company, lake: Lake, day: date, epoch: int, *, since: Literal["begun", "audited"]) -> None:
    """Raise GateClosed where a rollback came after night `day` was begun, or audited, in `epoch`."""
    missed = read_rollbacks(lake)[epoch:]
    if missed:
        last = missed[-1]
        gone = f"all since {last.withdrawn_since} was withdrawn" if last.withdrawn_since else f"{last.from_id} was taken back"
        raise GateClosed(
            f"{day} is not published: since it was {since}, {gone}",
            where=lake.where(addresses.ROLLBACKS),
            todo=f"To publish it all the same, {_RUN_AGAIN[since]}: segments run --day {day}{command_options(company, lake)}",
        )
