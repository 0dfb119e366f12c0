"""The catalogue of a company's schemes as they are defined now and as the live publication has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
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
from pipeline.publication.current import current_publication, read_published_manifest
from pipeline.reporting.catalog import Catalog, LiveSegments, PublishedSegment, PublishedSize, build_catalog, translated_languages
from pipeline.spelling import did_you_mean


def read_catalog(company: Company, lake: Lake, *, language: str = "", scheme: str = "") -> Catalog:
    """Return the catalogue in `language`, by default the company's; of one `scheme` where one is named.

    Raises ConfigError where nothing is translated into the language, or there is no such scheme.
    """
    schemes = load_schemes(company)
    files = {name: definition.file for name, definition in company.definitions("segments", ".toml").items()}
    clusters = [(found, files[found.name]) for found in load_cluster_schemes(company)]
    _require_language(language, company, translated_languages(schemes, (found for found, _ in clusters)))
    live = live_segments(lake)
    if live:
        schemes = replace(schemes, schemes=with_clusters_of(lake, company, live.day, schemes.schemes))
    catalog = build_catalog(company, schemes, clusters, live, language=language or company.language)
    return _catalog_of_scheme(catalog, scheme) if scheme else catalog


def live_segments(lake: Lake) -> LiveSegments | None:
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
    profiles: dict[str, list[PublishedSegment]] = defaultdict(list)
    for row in rows:
        profiles[row["scheme"]].append(PublishedSegment(row["segment"], row["title"], _size(row)))
    digests = read_published_manifest(lake, current.publication_id).get("schemes", {})
    return LiveSegments(current.day, current.publication_id, profiles, digests)


def _require_language(language: str, company: Company, known: set[str]) -> None:
    if language and language not in {company.language, *known}:
        todo = f"There is {', '.join(sorted({company.language, *known}))}."
        raise ConfigError(f"nothing is translated into `{language}`{did_you_mean(language, known)}", where="--language", todo=todo)


def _catalog_of_scheme(catalog: Catalog, name: str) -> Catalog:
    found = tuple(entry for entry in catalog.schemes if entry.scheme == name)
    if not found:
        known = [entry.scheme for entry in catalog.schemes]
        todo = f"There are {', '.join(known)}."
        raise ConfigError(f"there is no scheme `{name}`{did_you_mean(name, known)}", where="--scheme", todo=todo)
    return Catalog(catalog.company, catalog.language, catalog.day, catalog.publication_id, found)


def _size(row: Mapping[str, Any]) -> PublishedSize:
    amount = row["spend_amount"]
    return PublishedSize(row["customer_count"], row["customer_share"], Decimal(amount), row["spend_share"])
