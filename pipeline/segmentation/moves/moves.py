"""Who moved since the previous night, kept for every stored night.

A night is compared with the newest stored night before it. Whoever writes a night's memberships also tells the moves of the
night after it anew, so that the table says the same in whatever order nights came, and however often.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_valid
from pipeline.definitions.schemes import Scheme, load_schemes, membership_statement
from pipeline.errors import DataError
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, Version, reading
from pipeline.lake.statements import digest, statement
from pipeline.lake.tables import (
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    SEGMENT_MOVES,
    VISITS,
    Table,
)
from pipeline.models.clusters import assignment_statement
from pipeline.models.refits.model_store import models_of_night, with_clusters_of
from pipeline.segmentation.moves.reasons import (
    BEFORE,
    NOW,
    PAIRS,
    TRIALS,
    SchemeChange,
    looked_at,
    moved_statement,
    moves_statement,
    pair_columns,
    pairs_statement,
    trial_features,
    trial_name,
)

log = logging.getLogger("pipeline.segmentation.moves")
# A company that counts otherwise than yesterday moves customers who did nothing.
SETTINGS = ("states", "time_zone", "currency", "window_days")
MOVED = replace(SEGMENT_MOVES, name="moved", columns=tuple(column for column in SEGMENT_MOVES.columns if column.name != "reason"))


@dataclass(frozen=True, slots=True)
class _Desk:
    """A night whose moves are told, the night before it, and a private folder for what is worked on."""

    company: Company
    lake: Lake
    engine: Engine
    before: date
    day: date
    folder: Path

    def keep(self, table: Table, rows: pa.RecordBatchReader) -> Path:
        """Write `rows` privately, make them readable as `table`, and return where they are."""
        path = self.folder / f"{table.name}.parquet"
        self.lake.write_file(table.schema, rows, path, {})
        self.engine.register(table, [path])
        return path


def keep_moves(company: Company, lake: Lake, engine: Engine, day: date) -> None:
    """Write who moved on night `day`, and on the stored night after it, each with one reason.

    The first night of all has no moves. Raises DataError where the night before cannot be read; a later night that cannot
    be is left alone, as it has to be run again anyway.
    """
    with lake.lock("moves"):
        nights = lake.nights(CUSTOMER_SEGMENTS)
        _tell(company, lake, engine, day, nights)
        for later in [night for night in nights if night > day][:1]:
            try:
                _tell(company_valid(lake, company, later), lake, engine, later, nights)
            except DataError as error:
                log.warning("%s of %s are not told anew: %s", SEGMENT_MOVES.name, later, error)


def _tell(company: Company, lake: Lake, engine: Engine, day: date, nights: Sequence[date]) -> None:
    before = max((night for night in nights if night < day), default=None)
    if before is None:
        lake.write(SEGMENT_MOVES, [], day=day, manifest={"previous": None})
        return
    with lake.private_folder() as folder:
        query = _prepared(_Desk(company, lake, engine, before, day, folder))
        manifest = {"previous": before, "statement": digest(statement(SEGMENT_MOVES.name))}
        count = lake.write(SEGMENT_MOVES, engine.run(query, {}), day=day, manifest=manifest)
    log.info("%s: %s since %s", SEGMENT_MOVES.name, f"{count:,}", before)


def _prepared(at: _Desk) -> exp.Query:
    """Make readable what the statement of the night's moves reads, and return it."""
    for name, night in (("memberships_before", at.before), ("memberships_now", at.day)):
        at.engine.register(replace(CUSTOMER_SEGMENTS, name=name), [at.lake.path(CUSTOMER_SEGMENTS, day=night)])
    moved = at.keep(MOVED, at.engine.run(moved_statement(), {}))
    memberships = dict(_memberships(at, _moved_within(moved)))
    table = looked_at(at.company.table(CUSTOMER_FEATURES), memberships.values())
    _register_features(at, table, BEFORE, at.before)
    _register_features(at, table, NOW, at.day)
    _register_rollups(at)
    pairs = replace(table, name=PAIRS, columns=pair_columns(table))
    at.keep(pairs, at.engine.run(pairs_statement(table), {}))
    for trial in TRIALS:
        at.engine.define(replace(table, name=trial_name(trial)), trial_features(trial, table))
    return moves_statement(memberships, list(_changes(at)), table)


def _moved_within(moved: Path) -> set[str]:
    """Return the schemes in which somebody went from one segment to another."""
    rows = pq.read_table(moved, columns=["scheme", "from_segment", "to_segment"])
    within = rows.filter(pc.and_(rows["from_segment"].is_valid(), rows["to_segment"].is_valid()))
    return set(within["scheme"].unique().to_pylist())


def _register_features(at: _Desk, table: Table, name: str, night: date) -> None:
    """Make a night's features readable with all columns that `table` has: one declared since is empty."""
    path = at.lake.path(CUSTOMER_FEATURES, day=night)
    with reading(CUSTOMER_FEATURES.name, path):
        stored = pq.read_schema(path)
    held = {column.name for column in table.columns if column.name in stored.names and stored.field(column.name).type == column.kind.arrow}
    at.engine.register(replace(table, name=f"stored_{name}", columns=tuple(c for c in table.columns if c.name in held)), [path])
    columns = [
        exp.column(column.name, quoted=True)
        if column.name in held
        else exp.alias_(exp.cast(exp.null(), column.kind.sql, dialect="duckdb"), column.name, quoted=True)
        for column in table.columns
    ]
    at.engine.define(replace(table, name=name), exp.select(*columns).from_(f"stored_{name}"))


def _register_rollups(at: _Desk) -> None:
    """Make the event days since the night before readable, and of earlier ones the versions that differ, as known then and now."""
    for table, name in ((CUSTOMER_DAYS, "days"), (CUSTOMER_DAY_CATEGORIES, "categories"), (VISITS, "visits")):
        known, now = (set(at.lake.versions_known(table, through=night, known=night)) for night in (at.before, at.day))
        new = {version for version in now if version.day > at.before}
        for part, versions in ((f"new_{name}", new), (f"{name}_before", known - now), (f"{name}_now", now - known - new)):
            at.engine.register(replace(table, name=part), _paths(at.lake, table, versions))


def _paths(lake: Lake, table: Table, versions: set[Version]) -> list[Path]:
    return [lake.path(table, day=version.day, known=version.known) for version in sorted(versions)]


def _memberships(at: _Desk, names: set[str]) -> Iterator[tuple[str, exp.Query]]:
    """Yield each of these schemes with tonight's statement of it."""
    by_name = _schemes_by(at, at.day)
    yield from ((name, membership_statement(scheme, by_name)) for name, scheme in by_name.items() if name in names)
    models = models_of_night(at.lake, at.company, at.day, names)
    yield from ((scheme.name, assignment_statement(scheme, model)) for scheme, model in models)


def _schemes_by(at: _Desk, night: date) -> Mapping[str, Scheme]:
    """Return tonight's schemes by name, with the clusters that they look at as the models of `night` assign them."""
    return {scheme.name: scheme for scheme in with_clusters_of(at.lake, at.company, night, load_schemes(at.company).schemes)}


def _changes(at: _Desk) -> Iterator[SchemeChange]:
    """Yield what became of each scheme that either night has."""
    before, now = (_facts(at, CUSTOMER_SEGMENTS, night) for night in (at.before, at.day))
    digests = before.get("schemes", {}), now.get("schemes", {})
    refitted = {*before.get("models", {}), *now.get("models", {}), *_refitted(at, digests[0])}
    is_resettled = _is_resettled(at)
    is_new_month = at.before.replace(day=1) != at.day.replace(day=1)
    for name in sorted(set(digests[0]) | set(digests[1])):
        is_on_both = name in digests[0] and name in digests[1]
        is_same = is_on_both and digests[0][name] == digests[1][name]
        rules = "model_refit" if name in refitted and is_on_both else "rule_change"
        # The same rules say something else of the same night only if its features hold fewer customers than they then did.
        yield SchemeChange(name, is_on_both, "erasure" if is_same else rules, is_resettled, is_new_month)


def _refitted(at: _Desk, before: Mapping[str, str]) -> Iterator[str]:
    """Yield the schemes whose rules are still what they were on the night before, if clusters that they look at are not."""
    by_name = _schemes_by(at, at.before)
    looking = (scheme for scheme in by_name.values() if scheme.clusters)
    yield from (scheme.name for scheme in looking if before.get(scheme.name) == digest(membership_statement(scheme, by_name)))


def _is_resettled(at: _Desk) -> bool:
    before, now = (_facts(at, CUSTOMER_FEATURES, night) for night in (at.before, at.day))
    return any(before.get(name) != now.get(name) for name in SETTINGS)


def _facts(at: _Desk, table: Table, night: date) -> dict[str, Any]:
    return at.lake.manifest(at.lake.path(table, day=night))
