"""Which declaration of its table wrote a file: its manifest says the number, and whoever reads it compares.

What columns a file has, and of which types, it says itself. What they mean it cannot say: that is what the number stands for. Files that
were written before there were numbers are of the first one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from shlex import quote
from typing import Any

from pipeline.errors import ConfigError
from pipeline.lake.store import Store
from pipeline.lake.tables import ALL_TABLES
from pipeline.lake.tables.schema import FIRST_SCHEMA_VERSION

SCHEMA_VERSION = "schema_version"


def schema_version_in(manifest: Mapping[str, Any]) -> int:
    """Return the schema version of the file with this manifest; raises ValueError or TypeError where that is no number."""
    return int(manifest.get(SCHEMA_VERSION, FIRST_SCHEMA_VERSION))


# A night reads the same files again and again; their seals are remembered, so that these are the same bytes.
@lru_cache(maxsize=4_096)
def schema_version_of(manifest: bytes) -> int:
    """Return the schema version of the file with this manifest, as its footer holds it; raises ValueError or TypeError as above."""
    return schema_version_in(json.loads(manifest))


def require_declared_version(store: Store, name: str, address: str, found: int) -> None:
    """Raise ConfigError where the file at `address`, of table `name`, is of another schema version than the table's declaration."""
    declared = _declared_version(name)
    if found == declared:
        return
    age, todo = "a newer", "Install the version that wrote it, or a newer one. Nothing was changed."
    if found < declared:
        age, todo = "an older", f"Run: segments upgrade --lake {quote(store.where().rstrip('/'))}"
    raise ConfigError(
        f"{name} was written by {age} version of this program: its schema version is {found}, and this one reads {declared}",
        where=store.where(address),
        todo=todo,
    )


def _declared_version(name: str) -> int:
    # Events that a company declares have no other: a changed declaration is compared column by column.
    return next((table.schema_version for table in ALL_TABLES if table.name == name), FIRST_SCHEMA_VERSION)
