"""Publications on disk, and the one pointer that says which of them is live."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, TransientError
from pipeline.lake.lake import Lake
from pipeline.lake.staging import private_folder

MANIFEST = "manifest.json"
POINTER = "current"


@dataclass(frozen=True, slots=True)
class Publication:
    """One published night; `previous` is the id of the publication that a rollback leads to, if any."""

    day: date
    publication_id: str
    previous: str | None
    row_counts: Mapping[str, int]
    folder: Path


def current_publication(lake: Lake) -> Publication | None:
    """Return what `current` points to, or None where nothing was ever published.

    Raises DataError where the pointer leads nowhere or its manifest cannot be read.
    """
    link = lake.root / POINTER
    if not os.path.lexists(link):
        return None
    try:
        return publication_of(lake, json.loads((link / MANIFEST).read_text("utf-8")))
    except (OSError, ValueError, KeyError):
        raise DataError(
            "the current publication is damaged: its manifest cannot be read",
            where=str(link),
            todo="Go back: segments rollback --to ID. Or remove the link `current`, then run the day again: segments run --day YYYY-MM-DD.",
        ) from None


def publication_of(lake: Lake, manifest: Mapping[str, Any]) -> Publication:
    """Return the publication that `manifest` describes."""
    return Publication(
        day=date.fromisoformat(manifest["day"]),
        publication_id=manifest["publication_id"],
        previous=manifest["previous"],
        row_counts={name: table["rows"] for name, table in manifest["tables"].items()},
        folder=folder_of(lake, manifest["publication_id"]),
    )


def folder_of(lake: Lake, publication_id: str) -> Path:
    """Return where the publication of that id is."""
    return lake.root / "publications" / publication_id


def publication_ids(lake: Lake) -> list[str]:
    """Return the ids of all publications that are kept, in order of their days."""
    return sorted(path.name for path in (lake.root / "publications").glob("*"))


def point_to(lake: Lake, publication: Publication) -> None:
    """Make `publication` the one that readers follow."""
    with private_folder(lake.root) as private:
        staged = private / POINTER
        staged.symlink_to(Path("publications", publication.publication_id))
        staged.replace(lake.root / POINTER)
    flush(lake.root)


def sweep(lake: Lake, publication: Publication) -> None:
    """Remove every publication but `publication` and its previous; each leaves its place whole."""
    with private_folder(lake.root) as private:
        for name in publication_ids(lake):
            if name not in (publication.publication_id, publication.previous):
                folder_of(lake, name).rename(private / name)


def flush(path: Path) -> None:
    """Wait until the disk has the file or folder at `path`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def on_disk(lake: Lake) -> Iterator[None]:
    """Raise a TransientError for what the disk refuses in the block."""
    try:
        yield
    except OSError as error:
        raise TransientError(
            f"could not publish: {error.strerror}",
            where=str(error.filename or lake.root),
            todo="Free space or mend the disk, then run again.",
        ) from None
