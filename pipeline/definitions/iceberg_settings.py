"""`[publish.iceberg]` of company.toml: the catalogue of Iceberg tables in which publications are registered, if any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.definitions.fields import IDENTIFIER, Fields
from pipeline.lake.tables import CRM_AUDIENCES

_NAMESPACE: Final = rf"{IDENTIFIER}(\.{IDENTIFIER})*"


@dataclass(frozen=True, slots=True)
class IcebergSettings:
    """A `catalog` by name, whose address is SEGMENTS_CATALOG_<NAME>, and the namespace of the tables in it.

    `audiences_namespace` is the one that hashed addresses have to themselves, so that they are granted apart.
    """

    catalog: str
    namespace: str = "segments"
    audiences_namespace: str = "segments_audiences"

    def table_name(self, table: str) -> str:
        """Return the name that a published table has in the catalogue, its namespace first."""
        return f"{self.audiences_namespace if table == CRM_AUDIENCES.name else self.namespace}.{table}"


def read_iceberg(publish: Fields) -> IcebergSettings | None:
    """Return what [publish.iceberg] says; None where there is no such section. Raises ConfigError naming the wrong key."""
    if not publish.has("iceberg"):
        return None
    section = publish.section("iceberg")
    catalog = section.text("catalog", pattern=IDENTIFIER)
    namespace = section.text("namespace", pattern=_NAMESPACE, default="segments")
    apart = section.text("audiences_namespace", pattern=_NAMESPACE, default=f"{namespace}_audiences")
    if apart == namespace:
        raise section.refusal("audiences_namespace", "is the namespace of all other tables", "Name another one: it is granted apart.")
    section.refuse_unknown()
    return IcebergSettings(catalog, namespace, apart)
