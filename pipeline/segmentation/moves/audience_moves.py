"""Moves into and out of audiences: told as those of schemes are, among members and no segment, and stored in their own words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from pipeline.definitions.audiences import has_expired, load_audiences, memberships_on_features
from pipeline.definitions.schemes import Scheme
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import as_schema
from pipeline.lake.remote_rows import RemoteRows
from pipeline.lake.row_spool import RowSpool
from pipeline.lake.tables import AUDIENCE_MEMBERS, AUDIENCE_MOVES, SEGMENT_MOVES
from pipeline.segmentation.audiences import audience_digest
from pipeline.segmentation.moves.move_comparison import MoveComparison
from pipeline.segmentation.night_schemes import schemes_beside


def tells_of_audiences(comparison: MoveComparison) -> bool:
    """Whether either night has audiences."""
    return any(comparison.lake.has(AUDIENCE_MEMBERS, day=night) for night in (comparison.before, comparison.day))


def audience_facts(comparison: MoveComparison) -> list[dict[str, Any]]:
    """Return what the footers of the members of the night before and of tonight say; nothing of a night without audiences."""
    places = (addresses.partition(AUDIENCE_MEMBERS, day=night) for night in (comparison.before, comparison.day))
    return [comparison.lake.manifest(place) if comparison.lake.exists(place) else {} for place in places]


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


def audience_decisions(
    comparison: MoveComparison, names: Collection[str], changed: Collection[str], *, moved: str
) -> Iterator[tuple[tuple[str, ...], exp.Query]]:
    """Yield the statements of what tonight's rules say of those who moved, with the names of the audiences that each decides.

    Those whose rules are in `changed` are decided apart: all of them are tried, of others few.
    """
    audiences = [audience for audience in comparison.audiences if audience.name in names]
    by_name = schemes_beside(comparison.company, comparison.lake, comparison.day, audiences)
    # Those that look at the same schemes and scores are decided by one statement: what it names holds for all of them.
    alike: dict[tuple[bool, tuple[str, ...]], list[Scheme]] = defaultdict(list)
    for audience in audiences:
        alike[audience.name in changed, (*audience.clusters, *audience.references, *audience.scores)].append(by_name[audience.name])
    for group in alike.values():
        yield tuple(each.name for each in group), memberships_on_features(group, by_name, moved=moved)


def write_moves_apart(comparison: MoveComparison, query: exp.Query, manifest: Mapping[str, Any]) -> int:
    """Write the moves that `query` tells, those of schemes and those of audiences each into their own table; return how many."""
    lake, day = comparison.lake, comparison.day
    names = sorted({name for facts in audience_facts(comparison) for name in facts.get("audiences", {})})
    rows = comparison.engine.run(query, {})
    if isinstance(rows, RemoteRows):
        return _write_remote_moves(comparison, query, names, manifest)
    with lake.row_spool(SEGMENT_MOVES.schema) as of_schemes:
        of_audiences = _rows_of_audiences(rows, names, of_schemes)
        count = lake.write(AUDIENCE_MOVES, of_audiences, day=day, manifest=manifest)
        return count + lake.write(SEGMENT_MOVES, of_schemes.batches(), day=day, manifest=manifest)


def _write_remote_moves(comparison: MoveComparison, query: exp.Query, names: Sequence[str], manifest: Mapping[str, Any]) -> int:
    """Have the engine write both tables of moves, out of rows that are worked out once."""
    lake, engine, day = comparison.lake, comparison.engine, comparison.day
    moves = replace(SEGMENT_MOVES, name="moves_of_all")
    engine.materialize(moves, query)
    is_audience = exp.In(this=exp.column("scheme"), expressions=[exp.Literal.string(name) for name in names]) if names else exp.false()
    move = exp.Case().when(exp.column("to_segment").is_(exp.null()), exp.Literal.string("left")).else_(exp.Literal.string("entered"))
    columns: list[str | exp.Expr] = ["customer_id", exp.alias_(exp.column("scheme"), "audience"), exp.alias_(move, "move"), "reason"]
    of_audiences = exp.select(*columns).from_(moves.name).where(is_audience).order_by("customer_id", "audience")
    of_schemes = exp.select(*SEGMENT_MOVES.column_names).from_(moves.name).where(exp.not_(is_audience)).order_by(*SEGMENT_MOVES.key)
    return sum(
        lake.write(table, engine.run(each, {}), day=day, manifest=manifest)
        for table, each in ((AUDIENCE_MOVES, of_audiences), (SEGMENT_MOVES, of_schemes))
    )


def _rows_of_audiences(moves: Iterable[pa.RecordBatch], names: Sequence[str], of_schemes: RowSpool) -> Iterator[pa.RecordBatch]:
    """Yield the rows of AUDIENCE_MOVES, and set those of schemes aside; both in the order in which they come."""
    audiences = pa.array(names, pa.string())
    for batch in moves:
        is_audience = pc.is_in(batch["scheme"], value_set=audiences)
        of_schemes.append(as_schema(batch.filter(pc.invert(is_audience)), SEGMENT_MOVES.schema).to_batches())
        rows = batch.filter(is_audience)
        move = pc.if_else(rows["to_segment"].is_null(), "left", "entered")
        yield pa.RecordBatch.from_arrays([rows["customer_id"], rows["scheme"], move, rows["reason"]], AUDIENCE_MOVES.column_names)


def remove_audience_moves(lake: Lake, day: date) -> None:
    """Remove what an earlier run of the night told of audiences, when there were any."""
    if lake.has(AUDIENCE_MOVES, day=day):
        lake.delete(addresses.partition(AUDIENCE_MOVES, day=day))
