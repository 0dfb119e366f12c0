"""Nights that ought never to have been published are withdrawn: readers see again what they saw before all of them, or nothing.

Where no publication of an earlier day is kept, the database is brought to an empty publication, and no publication is live. The empty
one is kept, out of readers' sight, until the next night is published: the numbers of changes for a CRM go on from its tombstones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import PUBLISHED_TABLES
from pipeline.publication.crm.republishing import continued
from pipeline.publication.crm.seen_tables import CRM_NOTE, last_shown, seen_tables, withdrawn_publication
from pipeline.publication.current import (
    Publication,
    day_of_publication,
    live_publication_id,
    make_current,
    publication_from_manifest,
    publication_ids,
    read_published_manifest,
    registered_ids,
    remove_publications,
)
from pipeline.publication.database_target import publish_to_target
from pipeline.publication.gates.results import epoch_when_live_was_audited
from pipeline.publication.manifests import content_based_id, manifest_text
from pipeline.publication.night_rows import write_published_table
from pipeline.publication.rollback import whole_publication
from pipeline.publication.rollback_log import Rollback, record_rollback

log = logging.getLogger("pipeline.publication")
IS_EMPTY = "is_empty"  # of a manifest: the publication stands for none, and is never live


@dataclass(frozen=True, slots=True)
class WithdrawnPublications:
    """What is live, what will be instead once all publications since a day are withdrawn, and which these are."""

    live_id: str
    chosen_id: str
    withdrawn_ids: tuple[str, ...]


def publications_to_withdraw(lake: Lake, since: date) -> WithdrawnPublications:
    """Return what a withdrawal of all publications since a day comes to; the live one stays where it is of an earlier day."""
    # By its id alone: what is live may be damaged, and withdrawing it is the way out of that.
    live_id, kept = live_publication_id(lake), [each for each in publication_ids(lake) if not _is_empty(lake, each)]
    earlier = [each for each in kept if day_of_publication(each) < since]
    chosen = live_id if live_id and day_of_publication(live_id) < since else max(earlier, default="")
    return WithdrawnPublications(live_id, chosen, tuple(each for each in kept if day_of_publication(each) >= since))


def withdraw_publications(  # noqa: PLR0913
    company: Company, lake: Lake, since: date, *, reason: str, connections: Callable[[str], str], memory_limit: str = MEMORY_LIMIT
) -> WithdrawnPublications:
    """Make the newest publication of a day before `since` live again, or nothing, remove later ones, and return what was done.

    After any failure the same call may be made again. Raises DataError where the way's end is damaged, TransientError where disk or
    database failed.
    """
    with lake.lock("publish"):
        found = publications_to_withdraw(lake, since)
        audited_in = epoch_when_live_was_audited(lake, found.live_id)
        shown = last_shown(lake)
        if found.chosen_id:
            chosen = whole_publication(lake, found.chosen_id)
            chosen = chosen if found.chosen_id == found.live_id else continued(company, lake, chosen, shown)
        else:
            # Once is enough, unless a night reached the database since, which broke off there.
            is_done = shown is not None and shown == withdrawn_publication(lake) and shown.day <= since
            # Of the day itself, so that what began earlier lasts until then in the database's history.
            chosen = shown if shown and is_done else _write_empty_publication(company, lake, since, shown, memory_limit)
        # The database first, as when a night is published: if it fails, readers still see what they saw before.
        publish_to_target(company, lake, chosen, connections, is_way_back=True, is_empty=not found.chosen_id)
        done = Rollback(found.live_id, chosen.publication_id if found.chosen_id else "", reason, since.isoformat())
        record_rollback(lake, done, audited_in=audited_in)
        with lake.disk_errors("withdraw"):
            if found.chosen_id:
                make_current(lake, chosen, found.live_id or None)
            else:
                lake.write_text(addresses.WITHDRAWN, f"{chosen.publication_id}\n")
                lake.store.remove_pointer(addresses.CURRENT)
            # Of a call that was killed, or for a later day, there may be an empty one.
            empty = [each for each in publication_ids(lake) if each != chosen.publication_id and _is_empty(lake, each)]
            led_to = registered_ids(lake)  # by a catalogue, until its tables are brought to what is live
            remove_publications(lake, [each for each in dict.fromkeys((*found.withdrawn_ids, *empty)) if each not in led_to])
            lake.delete(addresses.UNFINISHED)
        log.info("%s is live, all since %s is withdrawn", done.to_id or "nothing", since)
    return found


def _write_empty_publication(company: Company, lake: Lake, day: date, shown: Publication | None, memory_limit: str) -> Publication:
    """Write a publication of nobody, whose tables for a CRM say of everybody `shown` that they left."""
    seen = seen_tables(lake, shown)
    with lake.private_folder() as private, lake.disk_errors("withdraw"):
        staged = private / "publication"
        tables = {table.name: write_published_table(lake, company.table(table), day, (), staged) for table in PUBLISHED_TABLES}
        note = seen.note()
        if company.crm and shown:
            # What they need takes a while to load, and most companies never ask.
            from pipeline.publication.crm.crm_inputs import CrmInputs
            from pipeline.publication.crm.writing import write_crm_tables

            try:
                crm_tables, note = write_crm_tables(CrmInputs(company, lake, day, staged, seen, memory_limit, is_rollback=True))
                tables |= crm_tables
            except (DataError, OSError) as error:
                # What was shown may be damaged, and withdrawing it is the way out of that.
                what = error.what if isinstance(error, DataError) else type(error).__name__
                log.warning("crm: whoever reads changes by their number has to read everything anew: %s", what)
        manifest = {"day": day.isoformat(), "tables": tables, "previous": None, IS_EMPTY: True, **({CRM_NOTE: note} if note else {})}
        manifest["publication_id"] = content_based_id(manifest)
        lake.store.install_folder(addresses.publication(str(manifest["publication_id"])), staged, manifest_text(manifest))
    return publication_from_manifest(manifest)


def _is_empty(lake: Lake, publication_id: str) -> bool:
    with suppress(OSError, ValueError):
        return bool(read_published_manifest(lake, publication_id).get(IS_EMPTY))
    return False
