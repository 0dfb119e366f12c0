"""Who is in which segment on a night, and what each segment is like."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import chain
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import definitions_digest
from pipeline.definitions.schemes import (
    ClusterScheme,
    Scheme,
    Schemes,
    decision_digest,
    declared_behind,
    load_cluster_schemes,
    membership_statement,
    referenced_clusters,
    schemes_with_assignments,
)
from pipeline.errors import ConfigError
from pipeline.features.customer_slices import limits_of_slice, slices_of_customers
from pipeline.ingestion.versions import stored_facts
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.expressions import union_all
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement_digest
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SEGMENT_PROFILES, SEGMENT_STRATEGIES
from pipeline.log_fields import Count
from pipeline.models.clusters import ClusterModel, NotFitted, assignment_statement, cluster_cards, segment_statements
from pipeline.models.refits.first_model import model_for_night, valid_or_first_model
from pipeline.segmentation.cluster_profiles import write_cluster_profiles
from pipeline.segmentation.intervals import write_intervals
from pipeline.segmentation.joined_columns import NightFeatures, has_stays
from pipeline.segmentation.night_schemes import clusters_of_night, not_computed_on, schemes_of_night
from pipeline.segmentation.profiles import profiles_statement, strategy_rows

log = logging.getLogger("pipeline.segmentation.memberships")

MEMBERSHIPS_PER_SLICE = 6_000_000


def write_memberships(company: Company, lake: Lake, engine: Engine, day: date, *, known_on: date | None = None) -> None:
    """Write the segment of every customer in every scheme, and the profile of every segment.

    `known_on` is the night whose knowledge counts; a later one than `day` writes a restatement.
    """
    if company.past_definitions:
        log.info(
            "%s goes by the definitions of %s; to restate it by today's: segments backfill --as-of-now", day, company.past_definitions.day
        )
    loaded = schemes_of_night(company, lake, day, known_on)
    for name, reason in not_computed_on(company, lake, day, known_on, schemes=loaded).items():
        log.warning("%s: not computed: %s", name, reason)
    if has_stays(loaded.schemes):
        write_intervals_before(lake, engine, day)
    table = company.table(CUSTOMER_FEATURES)
    with NightFeatures([company], lake, engine, day, known_on).registered(loaded.schemes, table):
        _write_memberships(company, lake, engine, loaded, day, known_on=known_on)


def write_intervals_before(lake: Lake, engine: Engine, day: date) -> None:
    """Write the intervals of the night before `day`, which rules look at: that night may have stopped before it wrote its own."""
    before = lake.newest_night(CUSTOMER_SEGMENTS, through=day - timedelta(days=1))
    if before is not None:
        write_intervals(lake, engine, before)


def _write_memberships(  # noqa: PLR0913 - what every step is given, and the schemes
    company: Company, lake: Lake, engine: Engine, loaded: Schemes, day: date, *, known_on: date | None
) -> None:
    features = addresses.partition(CUSTOMER_FEATURES, day=day, known_on=known_on)
    # A refit may be promoted meanwhile: all schemes of a night go by the models of one moment.
    with lake.lock("models"):
        models = [(scheme, model_for_night(lake, engine, scheme, day)) for scheme in clusters_of_night(company, lake, day, known_on)]
    schemes = schemes_with_assignments(loaded.schemes, segment_statements(models))
    statements = _membership_statements(schemes, models)
    # What each scheme decides by, its rules or its model, so that a later night can tell which of them changed.
    declared = {scheme.name: declared_behind(scheme, {each.name: each for each in schemes}) for scheme in schemes}
    digests = {name: decision_digest(statement, declared.get(name, {})) for name, statement in statements.items()}
    if not statements:
        raise ConfigError(
            f"{company.name} can put nobody into a segment: every scheme looks at orders, or at an attribute that there is not",
            where=str(company.folder),
            todo="Add sources/order_lines.sql, an attribute of customers such as `country` under [attributes.country] of company.toml, or "
            "a scheme of your own in segments/.",
        )
    query = _memberships_statement(statements.values())
    manifest = {
        "statement": statement_digest(query),
        "schemes": digests,
        "inputs": lake.digest([addresses.partition(CUSTOMER_FEATURES, day=day, known_on=known_on)]),
        "features": lake.content_digest(features),
        "not_computed": dict(loaded.not_computed),
        "definitions": definitions_digest(company),
        "models": {scheme.name: None if isinstance(model, NotFitted) else model.first_night.isoformat() for scheme, model in models},
        "unclustered": {scheme.name: model.reason for scheme, model in models if isinstance(model, NotFitted)},
    }
    # Before the write, since that replaces what there is to compare with.
    _warn_of_other_code(lake, addresses.partition(CUSTOMER_SEGMENTS, day=day, known_on=known_on), manifest)
    memberships = _rows_by_slice(engine, query, lake.local(features), limit=max(1, MEMBERSHIPS_PER_SLICE // len(statements)))
    rows = lake.write(CUSTOMER_SEGMENTS, memberships, day=day, known_on=known_on, manifest=manifest)
    fields = {"table": CUSTOMER_SEGMENTS.name, "rows": Count(rows), "schemes": len(schemes) + len(models)}
    log.info("%(table)s: %(rows)s memberships in %(schemes)s schemes", fields)
    engine.register(CUSTOMER_SEGMENTS, [addresses.partition(CUSTOMER_SEGMENTS, day=day, known_on=known_on)])
    profiles_query = profiles_statement(schemes, models)
    profiles = engine.run(profiles_query, {}).read_all()
    profiles_manifest = {**manifest, "statement": statement_digest(profiles_query)}
    lake.write(SEGMENT_PROFILES, profiles.to_batches(), day=day, known_on=known_on, manifest=profiles_manifest)
    _warn_of_cards_for_nobody(models)
    write_cluster_profiles(lake, engine, models, day, known_on=known_on)
    # What a segment is called follows from the profiles, as segments that are values have no name in any definition.
    titles = [(row["scheme"], row["segment"], row["title"]) for row in profiles.select(["scheme", "segment", "title"]).to_pylist()]
    strategies = strategy_rows(schemes, titles, company.language, models)
    lake.write(SEGMENT_STRATEGIES, strategies.to_batches(), day=day, known_on=known_on, manifest={"definitions": manifest["definitions"]})


def _rows_by_slice(engine: Engine, query: exp.Select, features: Path, *, limit: int) -> Iterable[pa.RecordBatch]:
    """Return the rows of `query` in its order; where the engine needs slices, of `limit` customers in `features` after the others.

    Sorted at once, the memberships of millions of customers do not fit into the memory of a night, spilled or not. What comes out is
    cut, not what goes in, as a scheme may look at the values of everybody.
    """
    if not engine.needs_slices:
        return engine.run(query, {})
    slices = slices_of_customers(features, limit=limit)
    runs: Iterable[Iterable[pa.RecordBatch]] = (engine.run(query.where(*limits_of_slice(part)), part.parameters) for part in slices)
    return chain.from_iterable(runs)


def _warn_of_other_code(lake: Lake, address: str, manifest: Mapping[str, object]) -> None:
    """Log a warning where the stored memberships were computed with the same definitions and models, but by another statement."""
    stored = stored_facts(lake, address) if lake.exists(address) else manifest
    is_alike = all(stored.get(name) == manifest[name] for name in ("definitions", "models"))
    if is_alike and stored.get("statement") != manifest["statement"]:
        log.warning("%s was computed by another version of this program: what is computed now may differ", address.split("/")[-2])


def _warn_of_cards_for_nobody(models: Sequence[tuple[ClusterScheme, ClusterModel | NotFitted]]) -> None:
    """Log a warning where a scheme's file has cards of clusters that its model does not have."""
    for scheme, model in models:
        if isinstance(model, ClusterModel) and (strange := scheme.strategies.keys() - cluster_cards(scheme, model).keys()):
            clusters = ", ".join(cluster.id for cluster in model.clusters)
            log.warning("%s: cards of %s are for nobody: the model has %s", scheme.name, ", ".join(sorted(strange)), clusters)


def _membership_statements(
    schemes: Sequence[Scheme], models: Sequence[tuple[ClusterScheme, ClusterModel | NotFitted]]
) -> dict[str, exp.Query]:
    """Return the statement of each scheme by its name."""
    by_name = {scheme.name: scheme for scheme in schemes}
    by_rules = {scheme.name: membership_statement(scheme, by_name) for scheme in schemes}
    return by_rules | {scheme.name: assignment_statement(scheme, model) for scheme, model in models}


def _memberships_statement(statements: Iterable[exp.Query]) -> exp.Select:
    columns = [exp.column(name) for name in CUSTOMER_SEGMENTS.column_names]
    united = union_all(statements).subquery("memberships", copy=False)
    return exp.select(*columns).from_(united, copy=False).order_by("customer_id", "scheme", copy=False)


def with_clusters_now(lake: Lake, engine: Engine, company: Company, day: date, schemes: Sequence[Scheme]) -> tuple[Scheme, ...]:
    """Return the schemes with the clusters that they look at, as the night of `day` would assign them if it were run now.

    It reads the registered table customer_features where a model would be fitted; nothing is written.
    """
    named = referenced_clusters(schemes)
    clusters = [scheme for scheme in load_cluster_schemes(company) if scheme.name in named] if named else []
    models = [(scheme, valid_or_first_model(lake, engine, scheme, day)) for scheme in clusters]
    return schemes_with_assignments(schemes, segment_statements(models))
