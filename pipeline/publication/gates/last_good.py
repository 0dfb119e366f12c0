"""The publication that a night is compared with, and what its manifest tells of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.publication.current import publication_ids
from pipeline.publication.gates.results import GateRecord, gates_from_manifest


@dataclass(frozen=True, slots=True)
class LastGoodPublication:
    """One publication: its day, the prefix of its files, a digest of what each scheme and audience decides by, and what its gates said."""

    day: date
    publication_id: str
    prefix: str
    previous: str | None
    schemes: Mapping[str, str]
    gates: GateRecord | None
    audiences: Mapping[str, str] = field(default_factory=dict)


def live_publication(lake: Lake) -> LastGoodPublication | None:
    """Return the current publication, or None where there is none; raises DataError where its manifest cannot be read."""
    prefix = lake.store.read_pointer(addresses.CURRENT)
    return _read_publication(lake, prefix, where=addresses.CURRENT) if prefix else None


def find_last_good(lake: Lake, current: LastGoodPublication | None, day: date) -> LastGoodPublication | None:
    """Return the newest publication of a day before `day`: the current one, or the one before it when `day` itself is live.

    After a rollback to `day` the one before it is gone: then the live one itself, unless it was the first of all.
    """
    if current is None or current.day < day:
        return current
    # `day` is being run again. Compared with itself it would always look fine, so it is compared with what came before it.
    previous = current.previous if current.previous in publication_ids(lake) else None
    before = _read_publication(lake, addresses.publication(previous), where=addresses.publication(previous)) if previous else None
    if before and before.day < day:
        return before
    # What its gates were compared with tells whether anything had been published before it.
    return current if current.gates and current.gates.compared_with else None


def _read_publication(lake: Lake, prefix: str, *, where: str) -> LastGoodPublication:
    try:
        content = json.loads(lake.read_text(f"{prefix}{addresses.PUBLICATION_MANIFEST}"))
        return LastGoodPublication(
            day=date.fromisoformat(content["day"]),
            publication_id=content["publication_id"],
            prefix=prefix,
            previous=content["previous"],
            schemes=content.get("schemes", {}),
            gates=gates_from_manifest(content.get("gates")),
            audiences=content.get("audiences", {}),
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            "a publication is damaged: its manifest cannot be read",
            where=lake.where(where),
            todo="Remove the link `current` if it leads there, then run that day again: segments run --day YYYY-MM-DD.",
        ) from None
