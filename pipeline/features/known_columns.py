"""What the source gives of the columns that it may leave out, and which features nobody has without them.

It is counted anew each night, in the lines that the night goes by. So a column that the query lacks, and one that is empty in every
line, are the same; and a night knows what was given by then, whatever the query has come to give since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from pipeline.definitions.company import Company
from pipeline.definitions.features import DECLARED_FEATURES
from pipeline.features.cache import CacheSession
from pipeline.features.rollup_set import RollupSet
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_FEATURES, EXTRACTIONS, MONTHLY_FEATURES, ORDERS_SOURCE, RAW_ORDER_LINES, VISITS, VISITS_SOURCE

KNOWN_LINES, FROZEN_LINES = "known_lines", "frozen_lines"
DECLARED, UNKNOWN_DECLARED = DECLARED_FEATURES, "unknown_declared_features"
LINE_COUNT = "line_count"
OPTIONAL_COLUMNS = tuple(dict.fromkeys(column.needs for column in CUSTOMER_FEATURES.columns if column.needs))
WITHOUT_ORDERS = frozenset({"customer_id", "visit_count_90_days", "is_new_this_month", "calendar_year", "as_of_date"})
"""What is known of customers of whom no order lines are read."""
# The shrunk share is drawn towards a frozen one.
_FROZEN_FEATURES = MONTHLY_FEATURES | {"shrunk_discount_share"}
_FROZEN_COUNTS = {"discount_amount": "discount_known_line_count", "category": "category_known_line_count"}


def known_lines(session: CacheSession) -> dict[str, int]:
    """Count the lines of the window, and those that give each optional column; states and visits must be registered."""
    [counts] = session.engine.run(statement("known_lines"), {}).read_all().to_pylist()
    return dict(counts)


def reads_orders(lake: Lake, night: date) -> bool:
    """Return whether the night read order lines, be it none; a company that has no `order_lines.sql` knows of no orders."""
    if night not in lake.nights(EXTRACTIONS):
        return True
    read = lake.read_columns(EXTRACTIONS, ["source_table"], day=night)["source_table"].to_pylist()
    return RAW_ORDER_LINES.name in read


def absent_sources(lake: Lake, night: date, events: RollupSet) -> frozenset[str]:
    """Return the sources that a night does without: visits where `events`, the days that it goes by, have none, and unread order lines."""
    visits = set() if events.of_table(VISITS) else {VISITS_SOURCE}
    return frozenset(visits if reads_orders(lake, night) else {*visits, ORDERS_SOURCE})


def lacks_orders(unknown: Mapping[str, str]) -> bool:
    """Return whether features are `unknown` because no order lines are read."""
    return unknown.get("order_count") == ORDERS_SOURCE


def frozen_lines(baselines: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same of the day on which baselines were frozen, from the row of POPULATION_BASELINES."""
    counts = {name: baselines[count] for name, count in _FROZEN_COUNTS.items()}
    return {"day": str(baselines["frozen_day"]), LINE_COUNT: baselines[LINE_COUNT], **counts}


def stored_known_lines(lake: Lake, day: date, known_on: date | None = None) -> dict[str, int]:
    """Return what `known_lines` counted on a stored night; none of anything where an older version wrote the night."""
    manifest = lake.manifest(addresses.partition(CUSTOMER_FEATURES, day=day, known_on=known_on))
    counts: Mapping[str, int] = manifest.get(KNOWN_LINES, {})
    return {name: counts.get(name, 0) for name in (LINE_COUNT, *OPTIONAL_COLUMNS)}


def unknown_features(lake: Lake, day: date, known_on: date | None = None) -> dict[str, str]:
    """Return the features that nobody has on a stored night, each with the optional column or source that it needs.

    Empty for a night without features.
    """
    if not lake.has(CUSTOMER_FEATURES, day=day, known_on=known_on):
        return {}
    manifest = lake.manifest(addresses.partition(CUSTOMER_FEATURES, day=day, known_on=known_on))
    declared: Mapping[str, str] = manifest.get(UNKNOWN_DECLARED, {})
    return {**features_without_columns(manifest.get(KNOWN_LINES, {}), manifest.get(FROZEN_LINES, {})), **declared}


def features_without_columns(known: Mapping[str, int], frozen: Mapping[str, Any]) -> dict[str, str]:
    """Return each feature that these counts of lines leave unknown, with what it needs.

    What is usual among customers was frozen on the first of the month: a column that came since is needed on that day.
    Where there is no line at all, none lacks a column.
    """
    unknown = {}
    if known.get(ORDERS_SOURCE) == 0:
        unknown = {name: ORDERS_SOURCE for name in CUSTOMER_FEATURES.column_names if name not in WITHOUT_ORDERS}
    for column in CUSTOMER_FEATURES.columns:
        if not column.needs:
            continue
        if _is_lacking(known, column.needs):
            unknown[column.name] = column.needs
        elif column.name in _FROZEN_FEATURES and _is_lacking(frozen, column.needs):
            unknown[column.name] = f"{column.needs} on {frozen['day']}"
    return unknown


def partly_known_columns(lake: Lake, day: date) -> dict[str, tuple[int, int]]:
    """Return the optional columns of order lines that some lines of the night's window lack: how many lack it, and of how many."""
    if not lake.has(CUSTOMER_FEATURES, day=day):
        return {}
    known = lake.manifest(addresses.partition(CUSTOMER_FEATURES, day=day)).get(KNOWN_LINES, {})
    lines = known.get(LINE_COUNT, 0)
    given = {name: known[name] for name in OPTIONAL_COLUMNS if name in known and name != VISITS_SOURCE}
    return {name: (lines - count, lines) for name, count in given.items() if 0 < count < lines}


def _is_lacking(counts: Mapping[str, Any], needs: str) -> bool:
    # A company without visits has none at all. A night without lines lacks no column, as there was nothing to give it.
    if needs == VISITS_SOURCE:
        return counts.get(needs) == 0
    return counts.get(needs) == 0 and bool(counts.get(LINE_COUNT))


def with_stored_attributes(company: Company, lake: Lake, day: date) -> Company:
    """Return `company` with those attributes that a stored night has: one declared since is known from the next night on."""
    names = set(lake.stored_names(CUSTOMER_FEATURES, day=day))
    return replace(company, attributes=tuple(each for each in company.attributes if each.column.name in names))
