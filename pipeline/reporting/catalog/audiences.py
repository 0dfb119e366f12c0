"""The audiences of a company as they are defined now and as the live publication has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq

from pipeline.definitions.audiences import has_expired, load_audiences
from pipeline.definitions.company import Company
from pipeline.definitions.schemes import Scheme
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCES
from pipeline.publication.current import Publication, current_publication, read_published_manifest
from pipeline.reporting.catalog.building import CatalogContext, file_words
from pipeline.reporting.catalog.entries import AudienceEntry, AudienceState, LiveSegments, PublishedSize
from pipeline.reporting.lineage import scheme_names
from pipeline.segmentation import audience_digest, audiences_of_night


def audience_entries(company: Company, lake: Lake, live: LiveSegments | None, language: str) -> Iterator[AudienceEntry]:
    """Yield the audiences by name, titles and cards in `language`; `live` is None before anything was published."""
    declared = load_audiences(company)
    audiences = {audience.name: audience for audience in (*declared.schemes, *declared.uncomputed)}
    if not audiences:
        return
    found = audiences_of_night(company, lake, live.day) if live else declared
    # As the night decided them: of quantiles, with its limits.
    audiences |= {audience.name: audience for audience in found.schemes}
    current = current_publication(lake)
    sizes = _published_sizes(lake, current) if current else {}
    digests = read_published_manifest(lake, current.publication_id) if current else {}
    context = CatalogContext(company, language, live)
    for name, audience in sorted(audiences.items()):
        terms, size = audience.audience, sizes.get(name)
        if terms is None:
            continue
        yield AudienceEntry(
            audience=name,
            title=context.title_of(audience),
            purpose=context.question_of(audience),
            owner=terms.owner,
            expires=terms.expires,
            applies_to=terms.applies_to_text,
            rule=terms.rule_text,
            parameters=dict(audience.parameters),
            features=tuple(sorted(scheme_names(audience))),
            references=(*audience.references, *audience.clusters),
            file=file_words(company, audience.file),
            state=_state(audience, found.not_computed, live, digests),
            reason=found.not_computed.get(name, ""),
            card=context.card_of(audience.strategy),
            size=PublishedSize(size["customer_count"], size["customer_share"], Decimal(size["spend_amount"]), size["spend_share"])
            if size
            else None,
            unknown_count=size["unknown_count"] if size else None,
        )


def _state(audience: Scheme, not_computed: Mapping[str, str], live: LiveSegments | None, published: Mapping[str, Any]) -> AudienceState:
    if live and has_expired(audience, live.day):
        return "expired"
    if audience.name in not_computed:
        return "not computed"
    digest = published.get("audiences", {}).get(audience.name)
    if digest is None:
        return "new"
    return "live" if digest == audience_digest(audience, published.get("schemes", {})) else "changed"


def _published_sizes(lake: Lake, current: Publication) -> dict[str, dict[str, Any]]:
    address = current.file(AUDIENCES.name)
    if not lake.exists(address):
        return {}
    with lake.reading(AUDIENCES.name, address, piece="publication") as path:
        rows = pq.read_table(path, page_checksum_verification=True).to_pylist()
    return {row["audience"]: row for row in rows}
