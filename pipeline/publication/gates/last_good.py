"""The publication that a night is compared with, and what its manifest tells of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.lake.lake import Lake
from pipeline.publication.current import MANIFEST, folder_of
from pipeline.publication.gates.results import GateRecord, of_manifest


@dataclass(frozen=True, slots=True)
class LastGood:
    """One publication: its day, its folder, a digest of each scheme's definition and model, and what its gates said."""

    day: date
    publication_id: str
    folder: Path
    previous: str | None
    schemes: Mapping[str, str]
    gates: GateRecord | None


def publication_in(folder: Path) -> LastGood | None:
    """Return the publication in `folder`, or None where there is none; raises DataError where its manifest cannot be read."""
    if not os.path.lexists(folder):
        return None
    try:
        return _publication(folder.resolve(), json.loads((folder / MANIFEST).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            "a publication is damaged: its manifest cannot be read",
            where=str(folder),
            todo="Remove the link `current` if it leads there, then run that day again: segments run --day YYYY-MM-DD.",
        ) from None


def last_good(lake: Lake, current: LastGood | None, day: date) -> LastGood | None:
    """Return the newest publication of a day before `day`: the current one, or the one before it when `day` itself is live.

    After a rollback to `day` the one before it is gone: then the live one itself, unless it was the first of all.
    """
    if current is None or current.day < day:
        return current
    before = publication_in(folder_of(lake, current.previous)) if current.previous else None
    if before and before.day < day:
        return before
    return current if current.gates and current.gates.compared_with else None


def _publication(folder: Path, content: Mapping[str, Any]) -> LastGood:
    return LastGood(
        day=date.fromisoformat(content["day"]),
        publication_id=content["publication_id"],
        folder=folder,
        previous=content["previous"],
        schemes=content.get("schemes", {}),
        gates=of_manifest(content.get("gates")),
    )
