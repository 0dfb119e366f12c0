"""The night that every step works on.

A night has two dates: the day it describes, and the night whose knowledge counts. They differ for a restatement, which says of an
old day what is known by now (late rows, corrected ones) and is stored beside what was said then, never in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from pipeline.operations.deployment import Deployment

if TYPE_CHECKING:
    from pipeline.definitions.company import Company
    from pipeline.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Night:
    """One business day of a deployment as night `known_on` knows it: the day itself, or a later one where it is restated."""

    deployment: Deployment
    day: date
    known_on: date

    @classmethod
    def of(cls, deployment: Deployment, day: date, known_on: date | None = None) -> Night:
        """Return the night of `day`, as it knew it itself unless a night that knows it is named."""
        return cls(deployment, day, known_on or day)

    @property
    def lake(self) -> Lake:
        """The lake it is stored in."""
        return self.deployment.lake

    @property
    def is_restatement(self) -> bool:
        """Whether a later night says what it knows: then no source is read, no move is told and nothing is published."""
        return self.known_on != self.day


@contextmanager
def hold_night(night: Night, *, is_computed: bool = False) -> Iterator[Company]:
    """Hold the night for the time of the block, so that two runs of one day take turns, and yield the company as it was then.

    That is the company with the definitions by which the night is computed or, where it `is_computed` already, was computed.
    """
    from pipeline.definitions.history import company_as_computed, keep_company_on
    from pipeline.operations.erasure.erase import holding_off_erasures
    from pipeline.operations.erasure.stored_lists import text_without_erased

    without_erased = partial(text_without_erased, night.lake)
    definitions = company_as_computed if is_computed else partial(keep_company_on, without_erased=without_erased)
    # Locks are taken in this order everywhere, so that no two runs can wait for each other.
    with holding_off_erasures(night.lake), night.lake.lock(f"day={night.day}"):
        yield definitions(night.lake, night.deployment.company, night.day, night.known_on)
