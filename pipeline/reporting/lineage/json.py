"""A lineage for a machine."""

from __future__ import annotations

import json

from pipeline.reporting.lineage import Lineage


def to_json(lineage: Lineage) -> str:
    """Write a lineage as JSON; columns are `table.column`."""
    content = {
        "name": lineage.name,
        "kind": lineage.kind,
        "description": lineage.description,
        "columns": [str(field) for field in lineage.fields],
        "given_by": list(lineage.given_by),
        "is_required": lineage.is_required,
        "sources": [
            {
                "column": str(source.field),
                "is_required": source.is_required,
                "is_value": source.is_value,
                "given_by": source.given_by,
            }
            for source in lineage.sources
        ],
        "steps": [{"table": table, "columns": list(columns)} for table, columns in lineage.steps],
        "features": list(lineage.features),
        "chosen_features": list(lineage.chosen_features),
        "uses": [
            {"scheme": use.scheme, "ways": list(use.ways), "segments": list(use.segments), "through": list(use.through)}
            for use in lineage.uses
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)
