"""Sales, orders and new customers of the last 28 days beside those of the 28 days before and of a year ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from pipeline.reporting.pages.morning.figures import is_withheld
from pipeline.reporting.pages.morning.night_tables import YEAR, NightTables, Row

PERIOD = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure of the last days beside the same number of days before them, and a year ago; None where it is not known, or withheld.

    `withheld` names those of the three that a few customers made. `points` are the figure by day, or by week where days are of a few
    customers; none where weeks are, too.
    """

    total: Decimal | None
    before: Decimal | None
    year_before: Decimal | None
    points: Sequence[Decimal]
    withheld: frozenset[str] = frozenset()

    @property
    def change_share(self) -> float | None:
        """The change as a share of what was before; None where there was nothing, or one of the two is not told."""
        if self.total is None or self.before is None or self.before <= 0:
            return None
        return float((self.total - self.before) / self.before)


def sales_trend(tables: NightTables, column: str) -> Trend | None:
    """Return a column of the days of sales over 28 days; None where the night stored no days.

    What fewer than ten customers bought in a time is withheld; days and weeks likewise.
    """
    rows = {row["order_day"]: row for row in tables.sales}
    if not rows:
        return None

    def sum_of(days: Sequence[date]) -> Decimal | None:
        return _sum_of_days(tables, column, [rows[each] for each in days if each in rows])

    dates = [tables.day - PERIOD + timedelta(days=place + 1) for place in range(PERIOD.days)]
    before, year_before = ([each - back for each in dates] for back in (PERIOD, YEAR))
    known = {"total": dates}
    known |= {"before": before} if min(rows) <= before[0] else {}
    known |= {"year_before": year_before} if min(rows) <= year_before[0] and any(each in rows for each in year_before) else {}
    sums = {name: sum_of(days) for name, days in known.items()}
    by_day, by_week = [sum_of([each]) for each in dates], [sum_of(dates[place : place + 7]) for place in range(0, PERIOD.days, 7)]
    drawn = by_day if None not in by_day else by_week if None not in by_week else []
    withheld = frozenset(name for name, figure in sums.items() if figure is None)
    return Trend(sums["total"], sums.get("before"), sums.get("year_before"), [each for each in drawn if each is not None], withheld)


def _sum_of_days(tables: NightTables, column: str, days: Sequence[Row]) -> Decimal | None:
    """Return a column's sum over days of sales; None where fewer than ten customers made it."""
    total = sum((Decimal(row[column]) for row in days), Decimal(0))
    # Who ordered on two days counts twice: how many different people they are is not stored.
    customers = total if column == "new_customer_count" else sum(row["customer_count"] for row in days)
    is_of_few = is_withheld(int(customers)) or is_withheld(tables.people_count) or (total and not customers)
    return None if is_of_few else total
