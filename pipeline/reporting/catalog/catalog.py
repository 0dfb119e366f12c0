"""The catalogue of a company's schemes as they are defined now and as the live publication has them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.definitions.audiences import load_audiences
from pipeline.definitions.company import Company
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes, without_unknown
from pipeline.errors import ConfigError
from pipeline.features import OPTIONAL_COLUMNS, features_without_columns
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CLUSTER_PROFILES,
    CUSTOMER_FEATURES,
    ORDERS_SOURCE,
    RAW_ORDER_LINES,
    SEGMENT_PROFILES,
    SEGMENT_STRATEGIES,
    VISITS_SOURCE,
    Table,
)
from pipeline.models.clusters import feature_profiles
from pipeline.models.refits.model_store import with_clusters_of
from pipeline.publication.current import Publication, current_publication, read_published_manifest
from pipeline.reporting.catalog.audiences import audience_entries
from pipeline.reporting.catalog.building import build_catalog, translated_languages
from pipeline.reporting.catalog.entries import Catalog, LiveSegments, PublishedSegment, PublishedSize
from pipeline.reporting.lineage.source_queries import source_expressions
from pipeline.segmentation import schemes_of_night
from pipeline.spelling import did_you_mean


def read_catalog(company: Company, lake: Lake, *, language: str = "", scheme: str = "") -> Catalog:
    """Return the catalogue in `language`, by default the company's; of one `scheme`, or audience, where one is named.

    Raises ConfigError where nothing is translated into the language, or there is no such scheme.
    """
    live = live_segments(lake)
    if live:
        schemes = schemes_of_night(company, lake, live.day)
    else:
        schemes = without_unknown(load_schemes(company), features_without_columns(_columns_of_query(company), {}))
    files = {name: definition.file for name, definition in company.definitions("segments", ".toml").items()}
    clusters = [(each, files[each.name]) for each in load_cluster_schemes(company)]
    audiences = load_audiences(company)
    translated = translated_languages(schemes, (each for each, _ in clusters)) | translated_languages(audiences, ())
    if language and language not in {company.language, *translated}:
        todo = f"There is {', '.join(sorted({company.language, *translated}))}."
        raise ConfigError(f"nothing is translated into `{language}`{did_you_mean(language, translated)}", where="--language", todo=todo)
    if live:
        # Only with the clusters of that night does a scheme that looks at them have the statement that was published.
        schemes = replace(schemes, schemes=with_clusters_of(lake, company, live.day, schemes.schemes))
    catalog = build_catalog(company, schemes, clusters, live, language=language or company.language)
    catalog = replace(catalog, audiences=tuple(audience_entries(company, lake, live, catalog.language)))
    return _catalog_of_scheme(catalog, scheme) if scheme else catalog


def _columns_of_query(company: Company) -> dict[str, int]:
    """Say of each optional column whether the company's queries give it, as far as can be told before a night has read them.

    In the form of a night's counts: 0 lines of one have a column that the query lacks.
    """
    given = source_expressions(company).get(RAW_ORDER_LINES.name)
    lacking = [name for name in OPTIONAL_COLUMNS if name != VISITS_SOURCE and given is not None and name not in given]
    has_visits = company.source_file(VISITS_SOURCE).is_file()
    has_orders = company.source_file(ORDERS_SOURCE).is_file()
    sources = {VISITS_SOURCE: has_visits, ORDERS_SOURCE: has_orders}
    return {"line_count": 1, **dict.fromkeys(lacking, 0), **{name: 0 for name, is_given in sources.items() if not is_given}}


def live_segments(lake: Lake) -> LiveSegments | None:
    """Return what the live publication says of segments, or None before anything was published.

    Raises DataError where it is damaged.
    """
    current = current_publication(lake)
    if current is None:
        return None
    rows = _published_rows(lake, current, SEGMENT_PROFILES).sort_by([("scheme", "ascending"), ("position", "ascending")]).to_pylist()
    profiles: dict[str, list[PublishedSegment]] = defaultdict(list)
    for row in rows:
        size = PublishedSize(row["customer_count"], row["customer_share"], Decimal(row["spend_amount"]), row["spend_share"])
        profiles[row["scheme"]].append(PublishedSegment(row["segment"], row["title"], size))
    digests = read_published_manifest(lake, current.publication_id).get("schemes", {})
    customer_count = current.row_counts.get(CUSTOMER_FEATURES.name, 0)
    strategies = _published_rows(lake, current, SEGMENT_STRATEGIES).to_pylist()
    return LiveSegments(
        current.day,
        current.publication_id,
        profiles,
        digests,
        customer_count,
        feature_profiles(_published_rows(lake, current, CLUSTER_PROFILES)),
        {(row["scheme"], row["segment"], row["language"]): row for row in strategies},
    )


def _published_rows(lake: Lake, current: Publication, table: Table) -> pa.Table:
    """Return the rows of a published table, none where the publication is of a version that did not have the table."""
    address = current.file(table.name)
    if table is not SEGMENT_PROFILES and not lake.exists(address):
        return table.schema.empty_table()
    with lake.reading(table.name, address, piece="publication") as path:
        return pq.read_table(path, page_checksum_verification=True)


def _catalog_of_scheme(catalog: Catalog, name: str) -> Catalog:
    entries = tuple(entry for entry in catalog.schemes if entry.scheme == name)
    audiences = tuple(entry for entry in catalog.audiences if entry.audience == name)
    if not (entries or audiences):
        names = [*(entry.scheme for entry in catalog.schemes), *(entry.audience for entry in catalog.audiences)]
        todo = f"There are {', '.join(names)}."
        raise ConfigError(f"there is no scheme or audience `{name}`{did_you_mean(name, names)}", where="--scheme", todo=todo)
    # Without `gone`: who asks for one scheme does not want to hear of others.
    return Catalog(catalog.company, catalog.language, catalog.day, catalog.publication_id, entries, audiences=audiences)
