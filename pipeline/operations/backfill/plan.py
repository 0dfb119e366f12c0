"""What a backfill will do: which nights, with whose knowledge, through which stages.

As known then, each night is run again as its own day knew it, and may be published. As of now, nights are restated with the
knowledge of the newest one and published never, so that nobody's history changes under them; the newest night itself is run as it
is. Stages rather than whole nights, since reading and publishing have to go day by day while the rest can go side by side.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Literal

from pipeline.calendar import days_between
from pipeline.definitions.company import Company
from pipeline.definitions.history import definitions_digest
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    AUDIENCE_TABLES,
    CLUSTER_PROFILES,
    CUSTOMER_FEATURES,
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_PREDICTIONS,
    CUSTOMER_SEGMENTS,
    EXTRACTIONS,
    SEGMENT_MOVES,
    SEGMENT_PROFILES,
    SEGMENT_STRATEGIES,
)
from pipeline.publication.publish import current_publication
from pipeline.spelling import did_you_mean

Stage = Literal["read", "features", "segments", "audit", "publish"]
STAGES: dict[Stage, tuple[str, ...]] = {
    "read": ("extract", "validate"),
    "features": ("features",),
    "segments": ("segment",),
    "audit": ("audit",),
    "publish": ("audit", "publish"),  # a night is judged against the one published before it
}
STAGE_OF_TABLE: dict[str, Stage] = {
    CUSTOMER_FEATURES.name: "features",
    CUSTOMER_SEGMENTS.name: "segments",
    SEGMENT_PROFILES.name: "segments",
    CLUSTER_PROFILES.name: "segments",
    SEGMENT_STRATEGIES.name: "segments",
    SEGMENT_MOVES.name: "segments",
    **dict.fromkeys((table.name for table in AUDIENCE_TABLES), "segments"),
    CUSTOMER_NEXT_ACTIONS.name: "segments",
    CUSTOMER_PREDICTIONS.name: "segments",
}


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """The operator's request: days `first` to `last`, both included.

    `is_as_of_now` takes what arrived since; `is_reread` reads the source again first. No `tables` means all.
    """

    first: date
    last: date
    is_as_of_now: bool = False
    is_reread: bool = False
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedNight:
    """One night of a backfill: the day, the night whose knowledge counts, and the stages it goes through.

    `since` is the first local day to read again from the source; `is_read` whether the night has read it before.
    """

    day: date
    known_on: date
    stages: tuple[Stage, ...]
    is_read: bool
    since: date | None = None

    @property
    def conf(self) -> dict[str, str]:
        """The same night as the configuration of a run of the nightly DAG."""
        facts = {"day": self.day, "known": self.known_on if self.known_on != self.day else None, "since": self.since}
        return {name: value.isoformat() for name, value in facts.items() if value}


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """The nights of one backfill in the order of their days; one that is read again comes first.

    `definitions` is a digest of the company's definitions: nights done by others do not count as done by these.
    """

    request: BackfillRequest
    definitions: str
    nights: tuple[PlannedNight, ...]

    @property
    def digest(self) -> str:
        """A short name that the same request gets again, as long as it goes by the same knowledge and definitions."""
        is_later = self.request.is_as_of_now or self.request.is_reread
        known = max(night.known_on for night in self.nights) if is_later else None
        # The names of the request's fields are part of the digest: renaming one would orphan every interrupted backfill.
        facts = {**asdict(self.request), "known": known, "definitions": self.definitions}
        return sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def plan_backfill(company: Company, lake: Lake, request: BackfillRequest, *, now: datetime) -> BackfillPlan:
    """Plan the backfill that is requested at the instant `now`.

    Raises ConfigError for a day before the company's first or not over yet, an unknown table, or nights that were never read.
    """
    if request.last < request.first:
        raise ConfigError(f"{request.first} lies after {request.last}", where="--from, --to", todo="Name the earlier day first.")
    for day in (request.first, request.last):
        company.require_day(day, now=now)
    days = list(days_between(request.first, request.last))
    nights, definitions = lake.nights(EXTRACTIONS), definitions_digest(company)
    if not (request.is_as_of_now or request.is_reread):
        return BackfillPlan(request, definitions, tuple(_night_as_known(lake, request, day, is_read=day in nights) for day in days))
    newest = _newest_night(nights, request.last)
    restated = [PlannedNight(day, newest, _chosen_stages(request), is_read=day in nights) for day in days if day != newest]
    own = _night_as_known(lake, request, newest, is_read=True, since=request.first if request.is_reread else None)
    if request.is_reread:
        # First the night that reads what all the others are to know.
        return BackfillPlan(request, definitions, (own, *restated))
    return BackfillPlan(request, definitions, (*restated, own) if request.last == newest else tuple(restated))


def _newest_night(nights: Sequence[date], last: date) -> date:
    """Return the newest night, which knows most; raises ConfigError where the range goes beyond it: nothing is known of that yet."""
    newest = max(nights, default=None)
    if newest is None or last > newest:
        known = f"the newest night that read the source is {newest}" if newest else "no night has read the source yet"
        raise ConfigError(f"nothing later is known of {last}: {known}", where="--to", todo="Run those nights --as-known first.")
    return newest


def _night_as_known(lake: Lake, request: BackfillRequest, day: date, *, is_read: bool, since: date | None = None) -> PlannedNight:
    stages = _chosen_stages(request)
    if "features" in stages:
        stages = ("read", *stages)
    current = current_publication(lake)
    # Older nights than the live one are audited only: what is published never goes back in time.
    if "audit" in stages and (current is None or day >= current.day):
        stages = (*stages[:-1], "publish")
    return PlannedNight(day, day, stages, is_read, since)


def _chosen_stages(request: BackfillRequest) -> tuple[Stage, ...]:
    """Return the stages that compute the requested tables; some tables alone are neither audited nor published."""
    for name in request.tables:
        if name not in STAGE_OF_TABLE:
            raise ConfigError(
                f"`{name}` is no table of a night{did_you_mean(name, STAGE_OF_TABLE)}",
                where="--tables",
                todo=f"Choose among {', '.join(STAGE_OF_TABLE)}.",
            )
    chosen = {STAGE_OF_TABLE[name] for name in request.tables}
    is_whole = not chosen or chosen == set(STAGE_OF_TABLE.values())
    return ("features", "segments", "audit") if is_whole else tuple(chosen)
