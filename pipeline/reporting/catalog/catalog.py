"""The catalogue of a company's schemes as they are defined now and as the live publication has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake, reading
from pipeline.lake.tables import SEGMENT_PROFILES
from pipeline.models.refits.model_store import with_clusters_of
from pipeline.publication.current import current_publication, published_manifest
from pipeline.reporting.catalog import Card, Catalog, Live, Profiled, SchemeEntry, SegmentEntry, Size, catalog_of, languages_of
from pipeline.reporting.lineage import Lineage, Lineages
from pipeline.spelling import did_you_mean


def read_catalog(company: Company, lake: Lake, *, language: str = "", scheme: str = "") -> Catalog:
    """Return the catalogue in `language`, by default the company's; of one `scheme` where one is named.

    Raises ConfigError where nothing is translated into the language, or there is no such scheme.
    """
    schemes = load_schemes(company)
    files = {name: definition.file for name, definition in company.definitions("segments", ".toml").items()}
    clusters = [(found, files[found.name]) for found in load_cluster_schemes(company)]
    _require_language(language, company, languages_of(schemes, (found for found, _ in clusters)))
    live = live_segments(lake)
    if live:
        schemes = replace(schemes, schemes=with_clusters_of(lake, company, live.day, schemes.schemes))
    catalog = catalog_of(company, schemes, clusters, live, language=language or company.language)
    return _only(catalog, scheme) if scheme else catalog


def live_segments(lake: Lake) -> Live | None:
    """Return what the live publication says of segments, or None before anything was published.

    Raises DataError where it is damaged.
    """
    current = current_publication(lake)
    if current is None:
        return None
    path = current.folder / f"{SEGMENT_PROFILES.name}.parquet"
    with reading(SEGMENT_PROFILES.name, path, piece="publication"):
        rows = (
            pq.read_table(path, page_checksum_verification=True).sort_by([("scheme", "ascending"), ("position", "ascending")]).to_pylist()
        )
    profiles: dict[str, list[Profiled]] = defaultdict(list)
    for row in rows:
        profiles[row["scheme"]].append(Profiled(row["segment"], row["title"], _size(row)))
    digests = published_manifest(lake, current.publication_id).get("schemes", {})
    return Live(current.day, current.publication_id, profiles, digests)


def lineage_of(company: Company, name: str) -> Lineage:
    """Return where `name` comes from and who uses it; schemes that cannot be computed count too."""
    schemes = load_schemes(company)
    return Lineages(company, (*schemes.schemes, *schemes.uncomputed), load_cluster_schemes(company)).of(name)


def catalog_as_json(catalog: Catalog) -> dict[str, Any]:
    """Return the catalogue as JSON values; amounts are exact, as text, shares from 0 to 1."""
    return {
        "company": catalog.company,
        "language": catalog.language,
        "day": catalog.day.isoformat() if catalog.day else None,
        "publication_id": catalog.publication_id,
        "schemes": [_scheme_json(entry) for entry in catalog.schemes],
        "gone": list(catalog.gone),
    }


def lineage_as_json(lineage: Lineage) -> dict[str, Any]:
    """Return a lineage as JSON values; columns are `table.column`."""
    return {
        "name": lineage.name,
        "kind": lineage.kind,
        "description": lineage.description,
        "columns": [str(field) for field in lineage.fields],
        "given_by": list(lineage.given_by),
        "is_required": lineage.is_required,
        "sources": [
            {
                "column": str(source.field),
                "is_required": source.is_required,
                "is_value": source.is_value,
                "given_by": source.given_by,
            }
            for source in lineage.sources
        ],
        "steps": [{"table": table, "columns": list(columns)} for table, columns in lineage.steps],
        "features": list(lineage.features),
        "chosen_features": list(lineage.chosen_features),
        "uses": [
            {"scheme": use.scheme, "ways": list(use.ways), "segments": list(use.segments), "through": list(use.through)}
            for use in lineage.uses
        ],
    }


def _require_language(language: str, company: Company, known: set[str]) -> None:
    if language and language not in {company.language, *known}:
        todo = f"There is {', '.join(sorted({company.language, *known}))}."
        raise ConfigError(f"nothing is translated into `{language}`{did_you_mean(language, known)}", where="--language", todo=todo)


def _only(catalog: Catalog, name: str) -> Catalog:
    found = tuple(entry for entry in catalog.schemes if entry.scheme == name)
    if not found:
        known = [entry.scheme for entry in catalog.schemes]
        todo = f"There are {', '.join(known)}."
        raise ConfigError(f"there is no scheme `{name}`{did_you_mean(name, known)}", where="--scheme", todo=todo)
    return Catalog(catalog.company, catalog.language, catalog.day, catalog.publication_id, found)


def _size(row: Mapping[str, Any]) -> Size:
    amount = row["spend_amount"]
    return Size(row["customer_count"], row["customer_share"], Decimal(amount), row["spend_share"])


def _scheme_json(entry: SchemeEntry) -> dict[str, Any]:
    return {
        "scheme": entry.scheme,
        "title": entry.title,
        "level": entry.level,
        "kind": entry.kind,
        "question": entry.question,
        "decision": entry.decision,
        "proof": entry.proof,
        "undecided": list(entry.undecided),
        "state": entry.state,
        "reason": entry.reason,
        "file": entry.file,
        "parameters": _plain(entry.parameters),
        "features": list(entry.features),
        "evidence": list(entry.evidence),
        "references": list(entry.references),
        "strategy": _card_json(entry.card),
        "segments": _segments_json(entry.segments),
    }


def _segments_json(segments: Sequence[SegmentEntry]) -> list[dict[str, Any]]:
    return [
        {
            "segment": entry.segment,
            "title": entry.title,
            "description": entry.description,
            "rule": entry.rule,
            "words": entry.words,
            "parameters": _plain(entry.parameters),
            **_size_json(entry.size),
            "strategy": _card_json(entry.card),
            "crosswalk": dict(entry.crosswalk),
        }
        for entry in segments
    ]


def _size_json(size: Size | None) -> dict[str, Any]:
    return {
        "customer_count": size.customer_count if size else None,
        "customer_share": size.customer_share if size else None,
        "spend_amount": str(size.spend_amount) if size else None,
        "spend_share": size.spend_share if size else None,
    }


def _card_json(card: Card | None) -> dict[str, Any] | None:
    return {**card.texts, "priority": card.priority, "budget_share": card.budget_share} if card else None


def _plain(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return parameters as JSON values; dates are ISO text."""
    return {name: value if isinstance(value, bool | int | float) else str(value) for name, value in parameters.items()}
