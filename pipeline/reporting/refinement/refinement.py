"""What the stored nights say of segments, read as they stored it: nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CUSTOMER_SEGMENTS,
    SCHEME_EFFECTIVENESS,
    SEGMENT_EFFECTIVENESS,
    SEGMENT_INSIGHTS,
    SEGMENT_PROPOSALS,
    Table,
)
from pipeline.segmentation.history import scheme_names_on
from pipeline.segmentation.insights import refined_night

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredInsights:
    """What a segment buys more than others, the surest first; `others` is how many more rows of it are stored."""

    night: date
    scheme: str
    segment: str
    standing_out: Sequence[Row]
    others: int


@dataclass(frozen=True, slots=True)
class StoredEffectiveness:
    """What schemes add, the most first, and what their segments did; where that is not known, `missing` says why."""

    night: date
    schemes: Sequence[Row]
    segments: Sequence[Row]
    missing: str = ""


@dataclass(frozen=True, slots=True)
class StoredProposals:
    """What might make segments better, what figures suffice for first."""

    night: date
    proposals: Sequence[Row]


def read_insights(lake: Lake, name: str, day: date | None = None) -> StoredInsights:
    """Read what stands out of the segment called `scheme.segment`, by the newest night up to `day` that has insights.

    Raises ConfigError where there is no such segment, or no night has insights.
    """
    night = _refined_night(lake, day)
    names = scheme_names_on(lake, night, night)
    scheme_name, _, segment_name = name.partition(".")
    scheme = names.scheme_named(scheme_name)
    segment = names.segment_named(scheme, segment_name)
    rows = [row for row in _rows(lake, SEGMENT_INSIGHTS, night) if (row["scheme"], row["segment"]) == (scheme, segment)]
    standing_out = sorted(
        (row for row in rows if row["is_significant"]), key=lambda row: (-row["low"], row["subject_kind"], row["subject"])
    )
    return StoredInsights(night, scheme, segment, standing_out, len(rows) - len(standing_out))


def read_effectiveness(lake: Lake, scheme: str = "", day: date | None = None) -> StoredEffectiveness:
    """Read what schemes add to tenths of spend, or one of them.

    Raises ConfigError where there is no such scheme, or no night has insights.
    """
    night = _refined_night(lake, day)
    wanted = scheme_names_on(lake, night, night).scheme_named(scheme) if scheme else ""
    schemes, segments = (
        [row for row in _rows(lake, table, night) if wanted in ("", row["scheme"])]
        for table in (SCHEME_EFFECTIVENESS, SEGMENT_EFFECTIVENESS)
    )
    missing = "" if segments else f"not known on {night}: no night of 90 to 180 days before is stored, or it had nobody of these"
    return StoredEffectiveness(night, sorted(schemes, key=_added), segments, missing)


def read_proposals(lake: Lake, day: date | None = None) -> StoredProposals:
    """Read what might make segments better; raises ConfigError where no night has any."""
    night = _refined_night(lake, day)
    rows = sorted(
        _rows(lake, SEGMENT_PROPOSALS, night), key=lambda row: (not row["is_sure"], row["kind"], row["scheme"], row["segment"] or "")
    )
    return StoredProposals(night, rows)


def _refined_night(lake: Lake, day: date | None) -> date:
    newest = max(lake.nights(CUSTOMER_SEGMENTS), default=date.min)
    night = refined_night(lake, day or newest)
    if night is None:
        raise ConfigError("no stored night has insights yet", where=lake.where(), todo="Run one: segments run --day YYYY-MM-DD.")
    return night


def _rows(lake: Lake, table: Table, night: date) -> list[dict[str, Any]]:
    return lake.read(table, day=night).to_pylist() if lake.has(table, day=night) else []


def _added(row: Row) -> tuple[bool, float, str]:
    return not row["adds"], -max(row["added_r2_spend"], row["added_r2_buying"]), row["scheme"]
