"""Who is in which segment on a night, and what each segment is like."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import definitions_digest
from pipeline.definitions.schemes import (
    ClusterScheme,
    Scheme,
    clusters_looked_at,
    load_cluster_schemes,
    load_schemes,
    membership_statement,
    segments_statement,
    with_assignments,
)
from pipeline.ingestion.versions import stored_facts
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import content_digest
from pipeline.lake.statements import digest
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SEGMENT_PROFILES, SEGMENT_STRATEGIES
from pipeline.models.clusters import (
    ClusterModel,
    NotFitted,
    assignment_statement,
    assignments,
    fit,
    to_json,
)
from pipeline.models.refits.model_store import note_unfitted, stored_model, stored_models, unfitted_nights
from pipeline.models.sample import sampled_customers
from pipeline.segmentation.profiles import profiles_statement, strategy_rows

log = logging.getLogger("pipeline.segmentation.memberships")


def compute_segments(company: Company, lake: Lake, engine: Engine, day: date, *, known: date | None = None) -> None:
    """Write the segment of every customer in every scheme, and the profile of every segment.

    `known` is the night whose knowledge counts; a later one than `day` writes a restatement.
    """
    if company.kept:
        log.info("%s goes by the definitions of %s; to restate it by today's: segments backfill --as-of-now", day, company.kept.day)
    loaded = load_schemes(company)
    for name, reason in loaded.not_computed.items():
        log.warning("%s: not computed: %s", name, reason)
    features = lake.path(CUSTOMER_FEATURES, day=day, known=known)
    engine.register(company.table(CUSTOMER_FEATURES), [features])
    with lake.lock("models"):
        models = [(scheme, _model(lake, engine, scheme, day)) for scheme in load_cluster_schemes(company)]
    schemes = with_assignments(loaded.schemes, assignments(models))
    query = _memberships(schemes, models)
    manifest = {
        "statement": digest(query),
        "schemes": _digests(schemes, models),
        "inputs": lake.digest([addresses.partition(CUSTOMER_FEATURES, day=day, known=known)]),
        "features": content_digest(features),
        "definitions": definitions_digest(company),
        "models": {scheme.name: None if isinstance(model, NotFitted) else model.first_night.isoformat() for scheme, model in models},
    }
    _report_other_code(lake, lake.path(CUSTOMER_SEGMENTS, day=day, known=known), manifest)
    rows = lake.write(CUSTOMER_SEGMENTS, engine.run(query, {}), day=day, known=known, manifest=manifest)
    log.info("%s: %s memberships in %s schemes", CUSTOMER_SEGMENTS.name, f"{rows:,}", len(schemes) + len(models))
    engine.register(CUSTOMER_SEGMENTS, [lake.path(CUSTOMER_SEGMENTS, day=day, known=known)])
    profiles = profiles_statement(schemes, models)
    profiled = engine.run(profiles, {}).read_all()
    facts = {**manifest, "statement": digest(profiles)}
    lake.write(SEGMENT_PROFILES, profiled.to_batches(), day=day, known=known, manifest=facts)
    strategies = strategy_rows(schemes, _told(profiled), company.language, [scheme for scheme, _ in models])
    lake.write(SEGMENT_STRATEGIES, strategies.to_batches(), day=day, known=known, manifest={"definitions": manifest["definitions"]})


def _told(profiles: pa.Table) -> list[tuple[str, str, str]]:
    return [(row["scheme"], row["segment"], row["title"]) for row in profiles.select(["scheme", "segment", "title"]).to_pylist()]


def _report_other_code(lake: Lake, path: Path, manifest: Mapping[str, object]) -> None:
    """Say so where what is stored was computed with the same definitions and models, but by another statement."""
    stored = stored_facts(lake, path) if path.exists() else manifest
    is_alike = all(stored.get(name) == manifest[name] for name in ("definitions", "models"))
    if is_alike and stored.get("statement") != manifest["statement"]:
        log.warning("%s was computed by another version of this program: what is computed now may differ", path.parent.name)


def _memberships(schemes: Sequence[Scheme], models: Sequence[tuple[ClusterScheme, ClusterModel | NotFitted]]) -> exp.Query:
    parts = [segments_statement(schemes), *(assignment_statement(scheme, model) for scheme, model in models)]
    united: exp.Query = parts[0]
    for part in parts[1:]:
        united = exp.union(united, part, distinct=False, copy=False)
    columns = [exp.column(name) for name in CUSTOMER_SEGMENTS.column_names]
    return exp.select(*columns).from_(united.subquery("memberships", copy=False), copy=False).order_by("customer_id", "scheme", copy=False)


def _digests(schemes: Sequence[Scheme], models: Sequence[tuple[ClusterScheme, ClusterModel | NotFitted]]) -> dict[str, str]:
    """Return a digest of each scheme's definition and model, so that a night can tell which of them changed."""
    by_name = {scheme.name: scheme for scheme in schemes}
    by_rules = {scheme.name: digest(membership_statement(scheme, by_name)) for scheme in schemes}
    return by_rules | {scheme.name: digest(assignment_statement(scheme, model)) for scheme, model in models}


def _model(lake: Lake, engine: Engine, scheme: ClusterScheme, day: date) -> ClusterModel | NotFitted:
    """Return the model that the night goes by, kept where it is the first one."""
    model = _valid_model(lake, engine, scheme, day)
    if isinstance(model, NotFitted):
        log.warning("%s: nobody clustered: %s", scheme.name, model.reason)
        note_unfitted(lake, scheme.name, day)
    elif not stored_models(lake, scheme.name):
        lake.write_text(addresses.model(scheme.name, day), to_json(model))
        log.info("%s: model fitted with %s clusters", scheme.name, len(model.clusters))
    return model


def with_clusters_now(lake: Lake, engine: Engine, company: Company, day: date, schemes: Sequence[Scheme]) -> tuple[Scheme, ...]:
    """Return the schemes with the clusters that they look at, as the night of `day` would assign them if it were run now.

    It reads the registered table customer_features where a model would be fitted; nothing is written.
    """
    named = clusters_looked_at(schemes)
    clusters = [scheme for scheme in load_cluster_schemes(company) if scheme.name in named] if named else []
    models = [(scheme, _valid_model(lake, engine, scheme, day)) for scheme in clusters]
    return with_assignments(schemes, assignments(models))


def _valid_model(lake: Lake, engine: Engine, scheme: ClusterScheme, day: date) -> ClusterModel | NotFitted:
    """Return the model valid on `day`, where there is none a fitted one; a night before the first uses that one, unless it had none."""
    stored = stored_models(lake, scheme.name)
    valid = [night for night in stored if night <= day.isoformat()][-1:] or stored[:1]
    if valid and not (valid[0] > day.isoformat() and day in unfitted_nights(lake, scheme.name)):
        return stored_model(lake, scheme.name, valid[0])
    sample = sampled_customers(engine, scheme)
    model = fit(sample.features, scheme, day=day, customer_count=sample.customer_count)
    return stored_model(lake, scheme.name, valid[0]) if valid and not isinstance(model, NotFitted) else model
