"""The way back: readers and the database target see an earlier publication again; the next night moves forward from there."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import file_sha256
from pipeline.publication.crm.republishing import continued
from pipeline.publication.crm.seen_tables import last_shown
from pipeline.publication.current import (
    Publication,
    current_publication,
    live_publication_id,
    make_current,
    publication_from_manifest,
    publication_ids,
    read_published_manifest,
)
from pipeline.publication.database_target import publish_to_target
from pipeline.publication.gates.results import epoch_when_live_was_audited
from pipeline.publication.rollback_log import Rollback, record_rollback

log = logging.getLogger("pipeline.publication")

__all__ = ["Rollback", "roll_back"]


def roll_back(company: Company, lake: Lake, *, to: str | None = None, reason: str = "", connections: Callable[[str], str]) -> Rollback:
    """Make the previous publication, or the one whose id is `to`, the live one again, and return what was done.

    Whatever is taken back stays on disk until the next night is published. After any failure the same call may be
    made again. Raises DataError where no way leads back, or the way's end is damaged.
    """
    with lake.lock("publish"):
        chosen = whole_publication(lake, to or _previous_publication_id(lake))
        chosen = continued(company, lake, chosen, last_shown(lake))
        # By its id alone: what is live may be damaged, and a rollback is the way out of that.
        done = Rollback(live_publication_id(lake), chosen.publication_id, reason)
        # The database first, as when a night is published: if it fails, readers still see what they saw before.
        publish_to_target(company, lake, chosen, connections, is_way_back=True)
        if done.from_id != done.to_id:
            record_rollback(lake, done, audited_in=epoch_when_live_was_audited(lake, done.from_id))
        with lake.disk_errors("publish"):
            make_current(lake, chosen, done.from_id)
        log.info("%s is live again, %s was taken back", done.to_id, done.from_id)
    return done


def _previous_publication_id(lake: Lake) -> str:
    current = current_publication(lake)
    if current is None:
        raise DataError("nothing is published, so nothing can be taken back", where=lake.where(), todo="Run a night first.")
    if current.previous is None or current.previous not in publication_ids(lake):
        raise DataError(
            f"no way leads back from {current.publication_id}: no publication before it is kept",
            where=lake.where("publications"),
            todo=f"Run a night to move forward, or start over: segments withdraw --since {current.day}. {_retained_publications(lake)}",
        )
    return current.previous


def whole_publication(lake: Lake, publication_id: str) -> Publication:
    """Return a publication that is there and whole; readers must never be sent to another."""
    if publication_id not in publication_ids(lake):
        raise DataError(
            f"no publication `{publication_id}` is kept",
            where=lake.where(addresses.PUBLICATIONS).rstrip("/"),
            todo=_retained_publications(lake),
        )
    try:
        manifest = read_published_manifest(lake, publication_id)
        files = {lake.local(addresses.published_file(publication_id, name)): said["sha256"] for name, said in manifest["tables"].items()}
        is_whole = all(file_sha256(path) == digest for path, digest in files.items())
    except (OSError, ValueError, KeyError):
        is_whole = False
    if not is_whole:
        where = lake.where(addresses.publication(publication_id)).rstrip("/")
        raise DataError(f"the publication {publication_id} is damaged", where=where, todo="Run its day, or the next one, again.")
    return publication_from_manifest(manifest)


def _retained_publications(lake: Lake) -> str:
    return f"Kept: {', '.join(publication_ids(lake)) or 'none'}."
