"""Whom to write to: the customers of a segment who entered it since a night and may be written to."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_ARMS, SEGMENT_MOVES
from pipeline.publication.left_out import known_left_out_customers
from pipeline.segmentation.history import night_as_known, scheme_names_on, segment_members, segment_sizes
from pipeline.segmentation.insights.flows import entered_statement, moves_table


@dataclass(frozen=True, slots=True)
class EnteredMembers:
    """The ids of customers in a segment on night `day`, in order; `since` is the night after which they entered, None for all.

    `left_out_count` are those who are not among them, as they must not be written to, are left alone in a campaign,
    or departed.
    """

    scheme: str
    segment: str
    day: date
    since: date | None
    customer_ids: pa.Array
    left_out_count: int


def read_entered_members(  # noqa: PLR0913 - what is asked, and where
    company: Company, lake: Lake, scheme: str, segment: str, since: date | None, *, are_own: bool, memory_limit: str
) -> EnteredMembers:
    """Read who is in the segment called `segment` on the newest night, and was not on the newest stored night by `since`.

    `are_own` leaves out whom nothing of their own took there, such as the ranks of others. Raises ConfigError where no scheme or
    segment has that name, no night is stored by `since`, or that is not given with `are_own`.
    """
    if are_own and since is None:
        todo = "Add --entered-since and the day from which on they came."
        raise ConfigError("it needs a day to compare with", where="--by-themselves", todo=todo)
    names = scheme_names_on(lake, None, None)
    scheme = names.scheme_named(scheme)
    segment, day = names.segment_named(scheme, segment), names.night.day
    before = night_as_known(lake, since).day if since else None
    with closing(open_engine(lake, memory_limit=memory_limit)) as engine:
        if before is None:
            count = segment_sizes(engine, names.night).get((scheme, segment), 0)
            rows = segment_members(engine, names.night, scheme, segment, count).read_all()
        else:
            nights = [night for night in lake.nights(SEGMENT_MOVES) if before < night <= day]
            if not nights:
                raise ConfigError(f"no night lies after {before}", where="--entered-since", todo=f"Choose a day before {day}.")
            for night in nights:
                engine.register(replace(SEGMENT_MOVES, name=moves_table(night)), [addresses.partition(SEGMENT_MOVES, day=night)])
            query = entered_statement(before, nights, are_own=are_own)
            rows = engine.run(query, {"scheme": scheme, "segment": segment}).read_all()
    ids = rows["customer_id"].combine_chunks()
    left_out = known_left_out_customers(company, lake, day).ids
    left_alone = _left_alone(lake, day, f"{scheme}.{segment}")
    kept = ids.filter(pc.invert(pc.is_in(ids, left_alone if left_out is None else pa.concat_arrays([left_out, left_alone]))))
    return EnteredMembers(scheme, segment, day, before, kept, len(ids) - len(kept))


def _left_alone(lake: Lake, day: date, list_name: str) -> pa.Array:
    """Return the control of the campaign that is for the list, and of a holdout: whoever wrote to them would spoil what these tell."""
    if not lake.has(CAMPAIGN_ARMS, day=day):
        return pa.array([], pa.string())
    is_its = (pc.field("list_name") == list_name) | pc.field("is_holdout")
    held = lake.read(CAMPAIGN_ARMS, day=day).filter(pc.field("is_control") & pc.coalesce(is_its, pc.field("is_holdout")))
    return held["customer_id"].combine_chunks()
