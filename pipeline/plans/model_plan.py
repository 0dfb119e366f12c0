"""The plan of a cluster model: the live night's customers assigned by it, beside what is live."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from sqlglot import exp

from pipeline.clusters import UNCLUSTERED, ClusterModel, ClusterScheme, assignment_statement, cluster_titles, load_cluster_schemes, to_json
from pipeline.company import Company
from pipeline.engines.duckdb import DuckDBEngine
from pipeline.errors import ConfigError
from pipeline.lake import Lake
from pipeline.plans.changes import Changes
from pipeline.plans.planning import LIVE, PLANNED, SAMPLE_SIZE, Flow, Mover, Plan, SchemePlan, flow_of, live_night
from pipeline.refits.models import model_at
from pipeline.statements import digest, statement
from pipeline.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS


@dataclass(frozen=True, slots=True)
class _Rows:
    """Flows of the scheme, and the first customers by id of each pair of clusters."""

    flows: tuple[Flow, ...]
    customers: tuple[tuple[Flow, tuple[str, ...]], ...]


def plan_of_model(company: Company, lake: Lake, path: Path, *, memory_limit: str = "3GB") -> Plan:
    """Return what the live night would be by the model in the file `path`.

    Raises DataError where nothing is live or the file holds no model, ConfigError where it is of no scheme of the company.
    """
    model, live = model_at(path), live_night(lake)
    scheme = _scheme(company, model, path)
    query = assignment_statement(scheme, model)
    told = lake.manifest(lake.path(CUSTOMER_SEGMENTS, day=live.day)).get("schemes", {})
    with closing(DuckDBEngine(lake.root, memory_limit=memory_limit)) as engine:
        columns = {"customer_id", "spend_amount", *scheme.columns, *scheme.member_columns, *(feature.name for feature in model.features)}
        table = company.table(CUSTOMER_FEATURES)
        held = tuple(column for column in table.columns if column.name in columns)
        engine.register(replace(table, columns=held), [lake.path(CUSTOMER_FEATURES, day=live.day)])
        engine.register(CUSTOMER_SEGMENTS, [lake.path(CUSTOMER_SEGMENTS, day=live.day)])
        engine.define(LIVE, exp.select("*").from_(CUSTOMER_SEGMENTS.name).where(exp.column("scheme").eq(exp.Literal.string(scheme.name))))
        engine.define(PLANNED, _with_spend(query))
        found = engine.run(statement("planned_moves"), {"sample": SAMPLE_SIZE}).read_all().to_pylist()
    rows = _Rows(tuple(flow_of(row) for row in found), tuple((flow_of(row), tuple(row["customer_ids"])) for row in found))
    identity = [live.publication_id, sha256(to_json(model).encode()).hexdigest()]
    return Plan(
        plan_id=sha256(json.dumps(identity).encode()).hexdigest()[:12],
        day=live.day,
        publication_id=live.publication_id,
        changes=_changes(scheme, is_new=scheme.name not in told, is_same=told.get(scheme.name) == digest(query)),
        schemes=(_scheme_plan(scheme, model, rows),),
        settings_changed=(),
        unmet=(),
        applied_by=f"segments promote --day {model.day} --scheme {model.scheme}",
    )


def _with_spend(assignment: exp.Select) -> exp.Select:
    """Return the assignment with the window's spend of each customer."""
    features = exp.select("customer_id", "spend_amount").from_(CUSTOMER_FEATURES.name).subquery("features")
    rows = exp.select("assigned.*", "features.spend_amount").from_(assignment.subquery("assigned"))
    return rows.join(features, on="features.customer_id = assigned.customer_id")


def _scheme(company: Company, model: ClusterModel, path: Path) -> ClusterScheme:
    schemes = {scheme.name: scheme for scheme in load_cluster_schemes(company)}
    if model.scheme not in schemes:
        what = f"the model is of the scheme `{model.scheme}`, which this company does not have"
        raise ConfigError(what, where=str(path), todo=f"Name a model of {', '.join(schemes) or 'a scheme that you define'}.")
    return schemes[model.scheme]


def _changes(scheme: ClusterScheme, *, is_new: bool, is_same: bool) -> Changes:
    names = (scheme.name,)
    return Changes(() if is_new or is_same else names, names if is_new else (), (), (), {})


def _scheme_plan(scheme: ClusterScheme, model: ClusterModel, rows: _Rows) -> SchemePlan:
    titles = cluster_titles(model)
    met = sorted({name for flow in rows.flows for name in (flow.from_segment, flow.to_segment) if name})
    movers = [
        Mover(customer, flow.from_segment, flow.to_segment, f"nearest to `{titles.get(flow.to_segment, UNCLUSTERED)}`")
        for flow, customers in rows.customers
        if flow.is_move and flow.from_segment and flow.to_segment
        for customer in customers
    ]
    return SchemePlan(
        scheme=scheme.name,
        title=scheme.title,
        segments=tuple(dict.fromkeys((*titles, *met))),
        flows=rows.flows,
        sample=tuple(sorted(movers, key=lambda mover: mover.customer_id)[:SAMPLE_SIZE]),
        downstream=(),
    )
