"""Publications on disk, and the one pointer that says which of them is live."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from pipeline.errors import DataError, TransientError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Publication:
    """One published night; `previous` is the id of the publication that a rollback leads to, if any."""

    day: date
    publication_id: str
    previous: str | None
    row_counts: Mapping[str, int]

    @property
    def prefix(self) -> str:
        """Where its files are."""
        return addresses.publication(self.publication_id)

    def file(self, name: str) -> str:
        """Return where the file of its table `name` is."""
        return addresses.published_file(self.publication_id, name)


def current_publication(lake: Lake) -> Publication | None:
    """Return what `current` leads to, or None where nothing was ever published.

    Raises DataError where the pointer leads nowhere or its manifest cannot be read.
    """
    prefix = lake.store.read_pointer(addresses.CURRENT)
    if prefix is None:
        return None
    try:
        return publication_from_manifest(json.loads(lake.read_text(f"{prefix}{addresses.PUBLICATION_MANIFEST}")))
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            "the current publication is damaged: its manifest cannot be read",
            where=lake.where(addresses.CURRENT),
            todo="Go back: segments rollback --to ID. Or remove the link `current`, then run the day again: segments run --day YYYY-MM-DD.",
        ) from None


def live_publication_id(lake: Lake) -> str:
    """Return the id of what is live, by the pointer alone, as it may be damaged; an empty text where nothing is live."""
    prefix = lake.store.read_pointer(addresses.CURRENT)
    return PurePosixPath(prefix).name if prefix and prefix.startswith(addresses.PUBLICATIONS) else ""


def known_live_day(lake: Lake) -> date | None:
    """Return the night that is live; None where none is, or where that cannot be told, which is no reason to say nothing else."""
    try:
        live = current_publication(lake)
    except DataError:
        return None
    return live.day if live else None


def publication_from_manifest(manifest: Mapping[str, Any]) -> Publication:
    """Return the publication that `manifest` describes."""
    return Publication(
        day=date.fromisoformat(manifest["day"]),
        publication_id=manifest["publication_id"],
        previous=manifest["previous"],
        row_counts={name: table["rows"] for name, table in manifest["tables"].items()},
    )


def read_published_manifest(lake: Lake, publication_id: str) -> dict[str, Any]:
    """Return what a publication says of itself; raises OSError or ValueError where it cannot be read."""
    manifest = json.loads(lake.read_text(addresses.published_manifest(publication_id)))
    if not isinstance(manifest, dict):
        raise ValueError("the manifest of a publication is no object")  # noqa: TRY004 - a file that is damaged, as any other
    return manifest


def day_of_publication(publication_id: str) -> date:
    """Return the night that a publication is of, by its id alone."""
    return date.fromisoformat(publication_id[: len("2024-01-31")])


def publication_ids(lake: Lake) -> list[str]:
    """Return the ids of all publications that are kept, in order of their days."""
    return lake.store.list_folders(addresses.PUBLICATIONS)


def registered_ids(lake: Lake) -> list[str]:
    """Return the ids of the publications that tables of an Iceberg catalogue may lead to: several while it is being brought forward."""
    return lake.read_text(addresses.REGISTERED).split() if lake.exists(addresses.REGISTERED) else []


def make_current(lake: Lake, publication: Publication, live_id: str | None) -> None:
    """Make `publication` the one that readers follow; raises TransientError where that of `live_id` is not live any more."""
    expected = addresses.publication(live_id) if live_id else None
    if not lake.store.swap_pointer(addresses.CURRENT, addresses.publication(publication.publication_id), expected=expected):
        what = f"another run published while {publication.publication_id} was about to be"
        raise TransientError(what, where=lake.where(addresses.CURRENT), todo="Wait for it, then run again.")


def remove_superseded(lake: Lake, publication: Publication) -> None:
    """Remove every publication but `publication`, its previous and those that a catalogue may lead to; each leaves its place whole."""
    kept = (publication.publication_id, publication.previous, *registered_ids(lake))
    remove_publications(lake, [name for name in publication_ids(lake) if name not in kept])


def remove_publications(lake: Lake, ids: Iterable[str]) -> None:
    """Remove these publications; each leaves its place whole."""
    lake.store.remove_folders([addresses.publication(each) for each in ids])
