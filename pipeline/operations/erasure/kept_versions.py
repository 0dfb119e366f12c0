"""Old versions of objects: a bucket may keep what was removed, and then an erasure is none until its own rule removes that."""

from __future__ import annotations

from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake


def require_expiring_versions(lake: Lake, days: int | None) -> int | None:
    """Return after how many days old versions are gone, None where none are kept; raises ConfigError where nobody says how many."""
    if not lake.store.keeps_versions():
        return None
    if days is None:
        raise ConfigError(
            "the bucket keeps old versions of objects: whoever is erased would stay in them",
            where=lake.where(),
            todo="Give the bucket a lifecycle rule that removes noncurrent versions and expired delete markers after N days, then say so: "
            "segments erase --versions-expire N, or SEGMENTS_VERSIONS_EXPIRE=N.",
        )
    return days
