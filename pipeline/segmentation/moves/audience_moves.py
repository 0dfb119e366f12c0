"""Moves into and out of audiences: told as those of schemes are, among members and no segment, and stored in their own words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
from sqlglot import exp, parse_one

from pipeline.definitions.audiences import has_expired, load_audiences, memberships_on_features
from pipeline.definitions.schemes import Scheme
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCE_MEMBERS, AUDIENCE_MOVES, SEGMENT_MOVES
from pipeline.segmentation.audiences import audience_digest
from pipeline.segmentation.moves.move_comparison import MoveComparison
from pipeline.segmentation.night_schemes import schemes_beside

ALL_MOVES = replace(SEGMENT_MOVES, name="all_moves")
_ARE_OF_SCHEMES = "scheme NOT IN (SELECT audience FROM told_audiences)"
_OF_SCHEMES = parse_one(
    f"SELECT customer_id, scheme, from_segment, to_segment, reason FROM all_moves WHERE {_ARE_OF_SCHEMES} ORDER BY customer_id, scheme",  # noqa: S608
    into=exp.Select,
    read="duckdb",
)
_OF_AUDIENCES = parse_one(
    """
SELECT customer_id, scheme AS audience, CASE WHEN to_segment IS NULL THEN 'left' ELSE 'entered' END AS move, reason
FROM all_moves WHERE scheme IN (SELECT audience FROM told_audiences) ORDER BY customer_id, audience
""",
    into=exp.Select,
    read="duckdb",
)
_TOLD_AUDIENCES = replace(AUDIENCE_MEMBERS, name="told_audiences", columns=AUDIENCE_MEMBERS.columns[1:], key=("audience",))


def tells_of_audiences(comparison: MoveComparison) -> bool:
    """Whether either night has audiences."""
    return any(comparison.lake.has(AUDIENCE_MEMBERS, day=night) for night in (comparison.before, comparison.day))


def audience_facts(comparison: MoveComparison) -> list[dict[str, Any]]:
    """Return what the footers of the members of the night before and of tonight say; nothing of a night without audiences."""
    paths = (comparison.lake.path(AUDIENCE_MEMBERS, day=night) for night in (comparison.before, comparison.day))
    return [comparison.lake.manifest(path) if path.exists() else {} for path in paths]


def expired_audiences(comparison: MoveComparison) -> set[str]:
    """Return the names of the audiences that are over by tonight."""
    return {each.name for each in load_audiences(comparison.company).schemes if has_expired(each, comparison.day)}


def refitted_audiences(
    comparison: MoveComparison, refitted: Collection[str], before: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[str]:
    """Yield the audiences whose rule did not change, but a cluster model behind it; `before` and `now` are digests of all schemes."""
    mixed = {**now, **{name: before[name] for name in refitted if name in before}}
    for audience in comparison.audiences:
        if audience.clusters and before.get(audience.name) == audience_digest(audience, mixed):
            yield audience.name


def audience_decisions(comparison: MoveComparison, names: Collection[str], *, moved: str) -> Iterator[tuple[tuple[str, ...], exp.Query]]:
    """Yield the statements of what tonight's rules say of those who moved, with the names of the audiences that each decides."""
    audiences = [audience for audience in comparison.audiences if audience.name in names]
    by_name = schemes_beside(comparison.company, comparison.lake, comparison.day, audiences)
    # Those that look at the same schemes are decided by one statement: what it names holds for all of them.
    alike: dict[tuple[str, ...], list[Scheme]] = defaultdict(list)
    for audience in audiences:
        alike[*audience.clusters, *audience.references].append(by_name[audience.name])
    for group in alike.values():
        yield tuple(each.name for each in group), memberships_on_features(group, by_name, moved=moved)


def write_moves_apart(comparison: MoveComparison, query: exp.Query, manifest: Mapping[str, Any]) -> int:
    """Write the moves that `query` tells, those of schemes and those of audiences each into their own table; return how many."""
    lake, engine = comparison.lake, comparison.engine
    comparison.store_table(ALL_MOVES, engine.run(query, {}))
    names = sorted({name for facts in audience_facts(comparison) for name in facts.get("audiences", {})})
    told = pa.table({"audience": pa.array(names, pa.string())})
    comparison.store_table(_TOLD_AUDIENCES, pa.RecordBatchReader.from_batches(told.schema, told.to_batches()))
    count = lake.write(SEGMENT_MOVES, engine.run(_OF_SCHEMES, {}), day=comparison.day, manifest=manifest)
    return count + lake.write(AUDIENCE_MOVES, engine.run(_OF_AUDIENCES, {}), day=comparison.day, manifest=manifest)


def remove_audience_moves(lake: Lake, day: date) -> None:
    """Remove what an earlier run of the night told of audiences, when there were any."""
    if lake.has(AUDIENCE_MOVES, day=day):
        lake.delete(addresses.partition(AUDIENCE_MOVES, day=day))
