"""Who would move from where to where, counted by one statement over the live night's customers.

Where somebody is live is worked out again, beside where they would be, if the live night is known to have been computed from these very
features by the definitions at hand: that takes one look at the features, and nothing stored. Else what is stored is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlglot import exp

from pipeline.definitions.schemes import Scheme, comparison_statement, decisions_statement, scheme_digest
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.expressions import union_all
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import AUDIENCE_MEMBERS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.segmentation import register_memberships

# Of each flow, and in all of a scheme: enough to look some of them up, few enough to read.
SAMPLE_SIZE = 20
LIVE, PLANNED, CUSTOMERS = (replace(CUSTOMER_SEGMENTS, name=name) for name in ("live_segments", "planned_segments", "planned_customers"))
Schemes = Mapping[str, Scheme]


@dataclass(frozen=True, slots=True)
class LiveTables:
    """The live night in the lake, its features, and what the footer of its memberships says of them.

    `declared_since` are features that the night does not have as they are declared now.
    """

    lake: Lake
    day: date
    features: str
    facts: Mapping[str, Any]
    declared_since: frozenset[str] = frozenset()

    def holds(self, name: str) -> bool:
        """Whether anything is stored of the scheme or audience `name`."""
        if name in self.facts["schemes"]:
            return True
        has_audiences = self.lake.has(AUDIENCE_MEMBERS, day=self.day)
        return has_audiences and name in self.lake.manifest(addresses.partition(AUDIENCE_MEMBERS, day=self.day))["audiences"]

    def is_computed_by(self, name: str, schemes: Schemes) -> bool:
        """Whether the night's features, decided on by the scheme `name` of `schemes`, give what it stored of the scheme."""
        is_declared_otherwise = name in schemes and not self.declared_since.isdisjoint(schemes[name].declared)
        # By content and not by name: features may have been computed anew since, for the same night, from data that arrived late.
        if self.facts.get("features") != self.lake.content_digest(self.features) or name not in schemes or is_declared_otherwise:
            return False
        stored: str | None = self.facts["schemes"].get(name)
        return stored == scheme_digest(schemes[name], schemes)


def moves_between(engine: Engine, live: LiveTables, names: Sequence[str], before: Schemes, after: Schemes) -> list[dict[str, Any]]:
    """Count who would move, as rows of planned_moves, in the schemes of these `names`, live by `before` and planned by `after`.

    It reads the registered table customer_features.
    """
    # Of these both sides come from one look at the features; in new ones nobody is; of the others what is stored is read beside
    # what would be.
    known = [name for name in names if name in after and live.is_computed_by(name, before)]
    new = [name for name in names if name in after and name not in before and not live.holds(name)]
    others = [name for name in names if name not in known and name not in new]
    parts: list[exp.Query] = [comparison_statement((before[name], before), (after[name], after)) for name in known]
    parts += [_entering_statement(after[name], after) for name in new]
    if others:
        # Registered only here: a plan whose schemes are all known never opens the memberships.
        register_memberships(live.lake, engine, live.day, has_evidence=True)
        # A copy: `statement` hands out one parsed tree for all, and a union would hang it below another parent.
        parts.append(_beside_live(engine, others, _planned_memberships(others, after)).copy())
    return _count_moves(engine, union_all(parts))


def _entering_statement(scheme: Scheme, by_name: Schemes) -> exp.Query:
    """Build the rows of a comparison with nothing: everybody whom a scheme would take enters it."""
    segment = exp.column("segment", "planned")
    columns = {"from_segment": exp.cast(exp.null(), "varchar"), "to_segment": segment, "is_written": exp.not_(segment.is_(exp.null()))}
    named = [exp.alias_(value, name) for name, value in columns.items()]
    decided = decisions_statement(scheme, by_name).select("spend_amount")
    return exp.select("customer_id", "scheme", *named, "spend_amount").from_(decided.subquery("planned"))


def planned_moves(engine: Engine, names: Iterable[str], planned: exp.Query) -> list[dict[str, Any]]:
    """Count who would move, as rows of planned_moves, in the schemes of these `names` from what is live to what is `planned`.

    `planned` has each membership with the window's spend. It reads the registered table customer_segments.
    """
    return _count_moves(engine, _beside_live(engine, names, planned))


def _count_moves(engine: Engine, customers: exp.Query) -> list[dict[str, Any]]:
    engine.define(CUSTOMERS, customers)
    rows: list[dict[str, Any]] = engine.run(statement("planned_moves"), {"sample": SAMPLE_SIZE}).read_all().to_pylist()
    return rows


def _beside_live(engine: Engine, names: Iterable[str], planned: exp.Query) -> exp.Query:
    engine.define(LIVE, exp.select("*").from_(CUSTOMER_SEGMENTS.name).where(exp.column("scheme").isin(*names)))
    engine.define(PLANNED, planned)
    return statement("beside_live")


def _planned_memberships(names: Iterable[str], by_name: Schemes) -> exp.Query:
    """Build the query of who would be where, with the window's spend.

    It has every customer once for each of the schemes; of a removed one everybody is in no segment, of others whoever it does not apply to.
    """
    memberships = (
        decisions_statement(by_name[name], by_name).select("spend_amount") if name in by_name else _in_no_segment(name) for name in names
    )
    return union_all(memberships)


def _in_no_segment(name: str) -> exp.Select:
    nothing = exp.cast(exp.null(), "varchar")
    # Typed: where every part of the union is NULL, DuckDB would take it for an integer, and Spark for no type at all.
    named = {"scheme": exp.Literal.string(name), "segment": nothing, "evidence": nothing}
    columns = [exp.alias_(value, column) for column, value in named.items()]
    return exp.select("customer_id", *columns, "spend_amount").from_(CUSTOMER_FEATURES.name)
