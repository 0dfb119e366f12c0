"""The plan of a cluster model: the live night's customers assigned by it, beside what is live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on
from pipeline.definitions.schemes import (
    ClusterScheme,
    Scheme,
    decisions_statement,
    load_cluster_schemes,
    membership_statement,
    referenced_clusters,
    scheme_digest,
    schemes_with_assignments,
)
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.errors import ConfigError
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.expressions import union_all
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.statements import statement_digest
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.models.clusters import (
    UNCLUSTERED,
    ClusterModel,
    assignment_statement,
    cluster_cards,
    cluster_titles,
    segment_statements,
    to_json,
)
from pipeline.models.refits.model_store import model_at, models_of_night
from pipeline.reporting.plan.changes import DefinitionChanges
from pipeline.reporting.plan.moves import planned_moves
from pipeline.reporting.plan.plan import SegmentPlan, live_night, plan_identity
from pipeline.reporting.plan.scheme_plan import SchemePlan, sample_movers, scheme_plan, segment_flow
from pipeline.segmentation import NightFeatures, columns_named, schemes_of_night

LACKING = "an attribute is not known"


def plan_model(company: Company, lake: Lake, path: Path, *, memory_limit: str = MEMORY_LIMIT) -> SegmentPlan:
    """Plan the live night by the model in the file `path`.

    Raises DataError where nothing is live or the file holds no model, ConfigError where it is of no scheme of the company.
    """
    model, (live, facts) = model_at(path), live_night(lake)
    scheme = _scheme_of_model(company, model, path)
    valid = company_on(lake, company, live.day)
    by_name = _schemes_by_model(lake, valid, live.day, model)
    query = assignment_statement(scheme, model)
    live_digests = facts.get("schemes", {})
    # A rule may look at clusters: those schemes change with the model, though nobody edited them.
    dependent = {name: membership_statement(each, by_name) for name, each in by_name.items() if scheme.name in each.clusters}
    changed = {name: each for name, each in dependent.items() if live_digests.get(name) != scheme_digest(by_name[name], by_name)}
    with closing(open_engine(lake, memory_limit=memory_limit)) as engine:
        planned = {scheme.name: query, **{name: decisions_statement(by_name[name], by_name) for name in changed}}
        looked_at = sorted({other for name in changed for other in (name, *by_name[name].references)})
        # Only what a statement names: a Parquet file is read by column, and others are not touched.
        table = valid.table(CUSTOMER_FEATURES).only({"customer_id", "spend_amount", *columns_named(planned.values())})
        with NightFeatures([valid], lake, engine, live.day).registered([by_name[name] for name in looked_at], table):
            engine.register(CUSTOMER_SEGMENTS, [addresses.partition(CUSTOMER_SEGMENTS, day=live.day)])
            flows = planned_moves(engine, planned, _with_spend(union_all(planned.values())))
    downstream = tuple(sorted(changed))
    is_new, is_same = scheme.name not in live_digests, live_digests.get(scheme.name) == statement_digest(query)
    changes = DefinitionChanges(
        decided_otherwise=(*(() if is_new or is_same else (scheme.name,)), *downstream),
        added=(scheme.name,) if is_new else (),
        removed=(),
        worded_otherwise=(),
        downstream={scheme.name: downstream},
    )
    return SegmentPlan(
        plan_id=plan_identity(live.publication_id, sha256(to_json(model).encode()).hexdigest()),
        day=live.day,
        publication_id=live.publication_id,
        changes=changes,
        schemes=(
            _scheme_plan(scheme, model, flows, downstream),
            *(scheme_plan(by_name[name], by_name[name], flows, ()) for name in downstream),
        ),
        settings_changed=(),
        unmet=(),
        applied_by=f"segments promote --day {model.day} --scheme {model.scheme}",
    )


def _schemes_by_model(lake: Lake, company: Company, night: date, model: ClusterModel) -> Mapping[str, Scheme]:
    """Return the schemes by name, with the clusters that they look at as `model`, and the others that the night went by, assign them."""
    schemes = schemes_of_night(company, lake, night).schemes
    stored = models_of_night(lake, company, night, referenced_clusters(schemes))
    models = [(scheme, model if scheme.name == model.scheme else other) for scheme, other in stored]
    return {scheme.name: scheme for scheme in schemes_with_assignments(schemes, segment_statements(models))}


def _with_spend(memberships: exp.Query) -> exp.Select:
    """Return the memberships with the window's spend of each customer."""
    features = exp.select("customer_id", "spend_amount").from_(CUSTOMER_FEATURES.name).subquery("features")
    rows = exp.select("assigned.*", "features.spend_amount").from_(memberships.subquery("assigned"))
    return rows.join(features, on="features.customer_id = assigned.customer_id")


def _scheme_of_model(company: Company, model: ClusterModel, path: Path) -> ClusterScheme:
    schemes = {scheme.name: scheme for scheme in load_cluster_schemes(company)}
    if model.scheme not in schemes:
        what = f"the model is of the scheme `{model.scheme}`, which this company does not have"
        raise ConfigError(what, where=str(path), todo=f"Name a model of {', '.join(schemes) or 'a scheme that you define'}.")
    return schemes[model.scheme]


def _scheme_plan(scheme: ClusterScheme, model: ClusterModel, flows: Sequence[Mapping[str, Any]], downstream: tuple[str, ...]) -> SchemePlan:
    titles = cluster_titles(model)
    cards = {segment: card.strategy for segment, card in cluster_cards(scheme, model).items()}
    rows = [row for row in flows if row["scheme"] == scheme.name]
    met = sorted({row[name] for row in rows for name in ("from_segment", "to_segment") if row[name]})
    return SchemePlan(
        scheme=scheme.name,
        title=scheme.title,
        segments=tuple(dict.fromkeys((*titles, *met))),
        flows=tuple(segment_flow(row) for row in rows),
        # Who comes from nowhere does so because the scheme is new, which needs no sample.
        sample=sample_movers(
            [row for row in rows if row["from_segment"]],
            lambda segment: LACKING if segment == INSUFFICIENT_EVIDENCE else f"nearest to `{titles.get(segment or '', UNCLUSTERED)}`",
        ),
        downstream=downstream,
        priorities={segment: card.priority for segment, card in cards.items()},
        titles=titles,
        messages={segment: card.message for segment, card in cards.items()},
    )
