"""Who was in which segment on a day, as known then or later: the customers of a segment, the sizes of all, one customer's intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.segmentation import NightAsKnown, SchemeNames, customer_intervals, scheme_names_on, segment_members, segment_sizes


@dataclass(frozen=True, slots=True)
class SegmentMembers:
    """The customers of one segment: how many, and the ids in order, read as they are asked for."""

    night: NightAsKnown
    scheme: str
    segment: str
    customer_count: int
    customer_ids: Iterator[str]


@dataclass(frozen=True, slots=True)
class SegmentSize:
    """How many customers a segment had."""

    scheme: str
    segment: str
    title: str
    customer_count: int


@dataclass(frozen=True, slots=True)
class SegmentSizes:
    """The sizes of segments, empty ones included, in the order of their definitions."""

    night: NightAsKnown
    sizes: Sequence[SegmentSize]


@dataclass(frozen=True, slots=True)
class CustomerIntervals:
    """From when until when a customer was in which segment: rows of CUSTOMER_SEGMENT_INTERVALS."""

    customer_id: str
    intervals: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class History:
    """The stored night that describes a day, and the `scheme` it is asked about; all schemes where it is empty."""

    names: SchemeNames
    scheme: str
    memory_limit: str

    @contextmanager
    def members(self, segment: str, *, limit: int | None = None) -> Iterator[SegmentMembers]:
        """Yield the customers of the segment with the id or title `segment`, at most `limit` ids; they are read within the block.

        Raises ConfigError where no scheme was asked about, or it has no such segment.
        """
        night, segment_id = self.names.night, self.names.segment_named(self.scheme, segment)
        with closing(open_engine(night.lake, memory_limit=self.memory_limit)) as engine:
            count = segment_sizes(engine, night).get((self.scheme, segment_id), 0)
            batches = segment_members(engine, night, self.scheme, segment_id, count if limit is None else limit)
            # Read as they are printed: a segment may hold millions of customers.
            ids = (customer_id for batch in batches for customer_id in batch["customer_id"].to_pylist())
            yield SegmentMembers(night, self.scheme, segment_id, count, ids)

    def sizes(self) -> SegmentSizes:
        """Return how many customers each segment had."""
        night = self.names.night
        with closing(open_engine(night.lake, memory_limit=self.memory_limit)) as engine:
            counts = segment_sizes(engine, night)
        sizes = [
            SegmentSize(scheme, segment, title, counts.get((scheme, segment), 0))
            for scheme, segments in self.names.titles.items()
            if self.scheme in ("", scheme)
            for segment, title in segments.items()
        ]
        return SegmentSizes(night, sizes)

    def intervals(self, customer_id: str) -> CustomerIntervals:
        """Return all intervals of one customer, of whatever day and knowledge."""
        lake = self.names.night.lake
        with closing(open_engine(lake, memory_limit=self.memory_limit)) as engine:
            rows = customer_intervals(lake, engine, customer_id)
        return CustomerIntervals(customer_id, [row for row in rows if self.scheme in ("", row["scheme"])])


def read_history(lake: Lake, *, day: date | None, known_on: date | None, scheme: str = "", memory_limit: str = MEMORY_LIMIT) -> History:
    """Return the history of `day`, by default the last night's, as known on the day `known_on`, by default now.

    Raises ConfigError where no stored night describes that day, it was not over yet on `known_on`, or it has no such scheme.
    """
    names = scheme_names_on(lake, day, known_on)
    return History(names, names.scheme_named(scheme) if scheme else "", memory_limit)
