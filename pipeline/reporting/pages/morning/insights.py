"""What segments buy more than others, what comes next, and which schemes tell something: as the first night of a month found it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.reporting.pages.morning.night_tables import NightTables, Row

SHOWN_SUBJECTS, SHOWN_NEXT = 4, 6
LEAST_LIFT = 1.2  # what is hardly more common is no news


@dataclass(frozen=True, slots=True)
class SegmentTaste:
    """What the customers of a segment buy more than others who buy as much, the surest first."""

    title: str
    subjects: Sequence[Row]


def segment_tastes(tables: NightTables) -> list[SegmentTaste]:
    """Return what is told of the main scheme's segments, in the order of its definition."""
    shown = [row for row in tables.insights if row["scheme"] == tables.main_scheme and _is_telling(row)]
    found = []
    for profile in tables.profiles_of(tables.main_scheme):
        rows = sorted((row for row in shown if row["segment"] == profile["segment"]), key=_surest_first)
        if rows:
            found.append(SegmentTaste(tables.title_of(tables.main_scheme, profile["segment"]), rows[:SHOWN_SUBJECTS]))
    return found


def _is_telling(row: Row) -> bool:
    return bool(row["is_significant"] and row["lift"] >= LEAST_LIFT and _is_large(row))


def _surest_first(row: Row) -> tuple[bool, float, str]:
    # A category says more to people than the number of a product.
    return row["subject_kind"] == "product", -row["low"], row["subject"]


def next_categories(tables: NightTables) -> list[Row]:
    """Return what customers of a category buy first next, where that foretells better than what is popular; the likeliest first."""
    shown = [row for row in tables.next_categories if row["is_better"] and _is_large(row)]
    return sorted(shown, key=lambda row: (-row["share"] / max(row["base_share"], 1e-9), row["category"], row["next_category"]))[:SHOWN_NEXT]


def _is_large(row: Row) -> bool:
    return bool(row["customer_count"] >= FEWEST_PUBLISHED)


def telling_schemes(tables: NightTables) -> list[Row]:
    """Return the schemes by what they add to last year's spend about the next 90 days, the most first."""
    return sorted(tables.effectiveness, key=_added)


def _added(row: Row) -> tuple[bool, float, str]:
    return not row["adds"], -max(row["added_r2_spend"], row["added_r2_buying"]), row["scheme"]
