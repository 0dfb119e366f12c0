"""Bring the database target to a publication: the one that is about to go live, or the one that is live."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing

from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.publication.crm.republishing import continued
from pipeline.publication.crm.seen_tables import last_shown
from pipeline.publication.current import Publication, current_publication, make_current, publication_ids
from pipeline.publication.night_rows import unpublished_moves
from pipeline.publication.targets.published_night import PublishedNight
from pipeline.publication.targets.sqlite import publish_to_sqlite

log = logging.getLogger("pipeline.publication")


def publish_to_target(  # noqa: PLR0913
    company: Company,
    lake: Lake,
    publication: Publication,
    connections: Callable[[str], str],
    *,
    is_way_back: bool = False,
    is_empty: bool = False,
    memory_limit: str = MEMORY_LIMIT,
) -> None:
    """Bring the database target to `publication`; on the way back its later days are taken back first, else they win.

    One that `is_empty` stands for none: the database does not list it.
    """
    kept = set(publication_ids(lake))
    night = PublishedNight(
        publication.day,
        publication.publication_id,
        lake.local(publication.prefix),
        is_way_back,
        is_empty,
        language=company.language,
        language_attribute=company.customer_language,
        moves_since=lambda table, since: unpublished_moves(company, lake, table, since, publication.day),
        folder_of=lambda other: lake.local(addresses.publication(other)) if other in kept else None,
        engine=lambda: closing(open_engine(lake, memory_limit=memory_limit)),
    )
    if company.target.kind == "postgresql":
        from pipeline.publication.targets.postgresql import publish_to_postgresql

        is_merged = publish_to_postgresql(connections(company.target.connection), company.target, night)
    else:
        with lake.store.edit(addresses.SQLITE) as file:
            is_merged = publish_to_sqlite(file, night)
    if not is_merged:
        log.warning("the database target keeps its later day; %s was not merged", publication.publication_id)


def restore_target(company: Company, lake: Lake, *, connections: Callable[[str], str]) -> None:
    """Bring the database target back to what is live, where a publication reached it, broke off, and was then refused."""
    with lake.lock("publish"):
        current = current_publication(lake)
        if current is None or not lake.exists(addresses.UNFINISHED):
            return
        if lake.read_text(addresses.UNFINISHED).strip() != current.publication_id:
            again = continued(company, lake, current, last_shown(lake))
            publish_to_target(company, lake, again, connections, is_way_back=True)
            with lake.disk_errors("publish"):
                make_current(lake, again, current.publication_id)
            log.warning("%s is in the database target again: what broke off there was refused", again.publication_id)
        lake.delete(addresses.UNFINISHED)
