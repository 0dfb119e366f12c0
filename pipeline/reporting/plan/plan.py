"""The plan: the live night's customers segmented by the definitions as they are now, beside what is live."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from typing import Any

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on, definitions_digest
from pipeline.definitions.schemes import (
    Scheme,
    UnprovenSegment,
    load_cluster_schemes,
    referenced_clusters,
    unproven_segments,
    without_unknown,
)
from pipeline.errors import DataError
from pipeline.features import features_as_declared, with_stored_attributes
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Table
from pipeline.models.refits.model_store import with_clusters_of
from pipeline.publication.current import Publication, current_publication, read_published_manifest
from pipeline.reporting.plan.changes import DefinitionChanges, changes_between, reworded_clusters
from pipeline.reporting.plan.columns_read import columns_read
from pipeline.reporting.plan.left_out import LeftOut, UnknownMembers, find_left_out, find_unknown
from pipeline.reporting.plan.moves import LiveTables, moves_between
from pipeline.reporting.plan.scheme_plan import SchemePlan, scheme_plan
from pipeline.segmentation import NightFeatures, schemes_and_audiences, with_clusters_now

# They change what is known of customers: the plan goes by the features that are there, so that only a night shows what these do.
NIGHT_SETTINGS = ("window_days", "zone", "currency", "attributes")


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """What the definitions as they are now would change in the live night; `plan_id` names exactly that.

    `unmet` are segments of the planned schemes that no proof shows to be possible, and that no customer of the live night would be in;
    `left_out` whom rules leave out because a value is not known, changed or not;
    `applied_by` is the command that makes the plan true, where it is not `segments apply`; `not_computed` says of each scheme, or
    `scheme.segment`, that the new definitions have and nobody can be in, what it needs.
    """

    plan_id: str
    day: date
    publication_id: str
    changes: DefinitionChanges
    schemes: tuple[SchemePlan, ...]
    settings_changed: tuple[str, ...]
    unmet: tuple[UnprovenSegment, ...]
    left_out: tuple[LeftOut | UnknownMembers, ...] = ()
    applied_by: str = ""
    not_computed: Mapping[str, str] = field(default_factory=dict)

    @property
    def write_count(self) -> int:
        """How many rows of customer_segments a CRM would be sent."""
        return sum(flow.write_count for scheme in self.schemes for flow in scheme.flows)


def plan_change(company: Company, lake: Lake, *, memory_limit: str = MEMORY_LIMIT) -> SegmentPlan:
    """Plan the live night by the definitions of `company` as its files are now.

    Raises DataError where nothing is live or the live night was computed again without being published, ConfigError for a wrong file.
    """
    live, facts = live_night(lake)
    valid = company_on(lake, company, live.day)
    features, memberships = (addresses.partition(table, day=live.day) for table in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS))
    now = with_stored_attributes(company, lake, live.day)
    table = with_stored_attributes(valid, lake, live.day).table(CUSTOMER_FEATURES)
    engine = open_engine(lake, memory_limit=memory_limit, remembers_footers=True)
    with closing(engine), features_as_declared(now, lake, engine, live.day, table) as night:
        before = with_clusters_of(lake, valid, live.day, schemes_and_audiences(valid, lake, live.day).schemes)
        planned = without_unknown(schemes_and_audiences(now, lake, live.day), night.unknown)
        stored = NightFeatures([now, valid], lake, engine, live.day, since=night.features)
        after = _with_clusters_now(stored, now, planned.schemes, night.table)
        changes = changes_between(before, after)
        reworded = reworded_clusters(load_cluster_schemes(valid), load_cluster_schemes(now))
        changes = replace(changes, worded_otherwise=(*changes.worded_otherwise, *reworded))
        names = sorted({*changes.decided_otherwise, *changes.added, *changes.removed})
        # Only what statements name: a Parquet file is read by column, and others are not touched.
        read = columns_read(names, before, after)
        if night.features:
            night.features.work_out(read)
        table = night.table.only(read)
        with stored.defined([*before, *planned.schemes], table) as known:
            if known != table:
                # Joined once for all statements, each of which would join anew.
                engine.materialize(known, exp.select(*(exp.column(name, quoted=True) for name in known.column_names)).from_(known.name))
            schemes = _scheme_plans(engine, LiveTables(lake, live.day, features, facts, night.since), names, changes, before, after)
            counted = {feature.name for feature in now.features if feature.is_counted}
            left_out: tuple[LeftOut | UnknownMembers, ...] = (*find_left_out(engine, after), *find_unknown(engine, after, counted=counted))
    return SegmentPlan(
        plan_id=plan_identity(live.publication_id, *map(lake.content_digest, (features, memberships)), definitions_digest(company)),
        day=live.day,
        publication_id=live.publication_id,
        changes=changes,
        schemes=schemes,
        settings_changed=tuple(name for name in NIGHT_SETTINGS if getattr(valid, name) != getattr(company, name)),
        unmet=_unmet_segments(after, schemes),
        left_out=left_out,
        not_computed=planned.not_computed,
    )


def _with_clusters_now(stored: NightFeatures, company: Company, schemes: Sequence[Scheme], features: Table) -> tuple[Scheme, ...]:
    if not referenced_clusters(schemes):
        return tuple(schemes)
    with stored.defined((), features):
        return with_clusters_now(stored.lake, stored.engine, company, stored.day, schemes)


def plan_identity(*identity: str) -> str:
    """Name the plan that these digests make up: 12 hexadecimal digits, others once anything that it depends on changes.

    `segments apply` takes this name, so that nothing comes true that nobody has looked at.
    """
    return sha256(json.dumps(identity).encode()).hexdigest()[:12]


def _unmet_segments(schemes: Sequence[Scheme], plans: Sequence[SchemePlan]) -> tuple[UnprovenSegment, ...]:
    """Return the segments of the planned schemes that only customers can prove to be possible, and none would."""
    # Of schemes that nothing changes nobody was counted, so that a count of nought would be a guess.
    planned = {plan.scheme for plan in plans}
    counts = {(plan.scheme, segment): 0 for plan in plans for segment in plan.segments}
    for plan in plans:
        for flow in plan.flows:
            if flow.to_segment is not None:
                counts[plan.scheme, flow.to_segment] += flow.customer_count
    return unproven_segments((scheme for scheme in schemes if scheme.name in planned), counts)


def live_night(lake: Lake) -> tuple[Publication, Mapping[str, Any]]:
    """Read what is live, and what the footer of its memberships says.

    Raises DataError where nothing is live, or where its night was segmented anew since.
    """
    live = current_publication(lake)
    if live is None:
        raise DataError("nothing is published yet, so nobody can move", where=lake.where(), todo="Run a night first: segments run.")
    published = read_published_manifest(lake, live.publication_id)["schemes"]
    computed = addresses.partition(CUSTOMER_SEGMENTS, day=live.day)
    facts = lake.manifest(computed)
    # A night that was computed again and refused left other memberships in the lake than those that readers see.
    if facts.get("schemes") != published:
        what = f"{live.day} was segmented anew since it was published, so its segments are not those that are live"
        todo = f"See why it is held back (segments status), or run it: segments run --day {live.day}."
        raise DataError(what, where=lake.where(computed), todo=todo)
    return live, facts


def _scheme_plans(  # noqa: PLR0913, PLR0917 - both versions, and what differs
    engine: Engine, live: LiveTables, names: Sequence[str], changes: DefinitionChanges, before: Sequence[Scheme], after: Sequence[Scheme]
) -> tuple[SchemePlan, ...]:
    if not names:
        return ()
    old, new = ({scheme.name: scheme for scheme in schemes} for schemes in (before, after))
    flows = moves_between(engine, live, names, old, new)
    return tuple(scheme_plan(old.get(name), new.get(name), flows, changes.downstream.get(name, ())) for name in names)
