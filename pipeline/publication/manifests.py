"""What a publication says of itself: its manifest, and the id that follows from what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.lake.parquet import file_sha256, read_manifest
from pipeline.lake.schema_versions import SCHEMA_VERSION, schema_version_in

DIGEST_LENGTH = 12
# What the gates said, and digests of the schemes, are told beside the content: they make no other publication of the same rows.
CONTENT_KEYS = ("day", "tables", "policies", "withheld", "departed")


def content_based_id(manifest: Mapping[str, Any]) -> str:
    """Return the id of a publication: its day and a digest of what it holds, whatever else its manifest tells."""
    content = {name: manifest[name] for name in CONTENT_KEYS if name in manifest}
    return f"{manifest['day']}-{sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]}"


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """Return the manifest of a publication as it is stored."""
    return json.dumps(manifest, indent=2, sort_keys=True) + "\n"


def table_entry(path: Path) -> dict[str, Any]:
    """Return what the manifest of a publication says of the file of a table: rows, digest, and which declaration wrote it."""
    own = read_manifest(path)
    return {"rows": own["row_count"], "sha256": file_sha256(path), SCHEMA_VERSION: schema_version_in(own)}
