"""Figures of the page as pure functions of the night's tables: segments, scores, clusters, places. Templates only write them out.

Cells of fewer than FEWEST_PUBLISHED customers are withheld, so that no figure is one person's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.reporting.pages.morning.movement import SizeChange, changes_of, flows_of
from pipeline.reporting.pages.morning.night_tables import NightTables, Row

SHOWN_PLACES, SHOWN_FEATURES, SHOWN_SEGMENTS = 8, 5, 15
SCORES = (1, 2, 3, 4, 5)
SHARES_TOLD = (1, 10, 50)  # percent of the buyers


def is_withheld(customer_count: int) -> bool:
    """Return whether figures of so many customers are withheld; of nobody there is nothing to withhold."""
    return 0 < customer_count < FEWEST_PUBLISHED


@dataclass(frozen=True, slots=True)
class ShownChange:
    """By how many customers a segment grew, by themselves, by others, and as rules or data changed.

    None where of those who came or left only a few did so.
    """

    by_themselves: int | None
    by_others: int | None
    by_redefinition: int | None
    came: int
    left: int


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """One segment; figures are None where they are withheld, or not known."""

    title: str
    customer_count: int
    customer_share: float | None = None
    spend_share: float | None = None
    mean_spend_amount: float | None = None
    mean_recency_days: float | None = None
    change: ShownChange | None = None
    count_year_before: int | None = None

    @property
    def is_withheld(self) -> bool:
        """Whether it has too few customers to be told of."""
        return is_withheld(self.customer_count)

    @property
    def is_shown(self) -> bool:
        """Whether there is anything to tell: a segment that nobody is in, came to or left is only in the list of all."""
        return self.customer_count > 0 or bool(self.change and (self.change.came or self.change.left))


@dataclass(frozen=True, slots=True)
class SchemeFigures:
    """The segments of a scheme that are told, and how many more there are: of a few customers each, or beyond the largest."""

    name: str
    title: str
    question: str
    segments: Sequence[SegmentFigures]
    small_count: int = 0
    more_count: int = 0

    @property
    def is_shown(self) -> bool:
        """Whether any segment has customers enough to be told of."""
        return any(each.customer_count >= FEWEST_PUBLISHED for each in self.segments)

    @property
    def is_moved_by_others(self) -> bool:
        """Whether any of them changed because others did."""
        return any(each.change and each.change.by_others != 0 for each in self.segments)

    @property
    def is_redefined(self) -> bool:
        """Whether any of them changed as rules or data did."""
        return any(each.change and each.change.by_redefinition != 0 for each in self.segments)

    @property
    def largest_share(self) -> float:
        """The share of the largest segment, which bars are drawn against."""
        return max((each.customer_share or 0 for each in self.segments), default=0) or 1


@dataclass(frozen=True, slots=True)
class GridCell:
    """Customers of one pair of scores, and their share of the largest cell."""

    customer_count: int
    spend_amount: Decimal | None
    heat: float


@dataclass(frozen=True, slots=True)
class FeatureDifference:
    """How a cluster differs from all in one feature: its mean, and the mean of all."""

    feature: str
    value: str
    cluster_mean: float
    overall_mean: float

    @property
    def is_higher(self) -> bool:
        """Whether the cluster has more of it."""
        return self.cluster_mean >= self.overall_mean

    @property
    def multiple(self) -> float | None:
        """How many times the mean of all the cluster has; None of a share, which says more as it is."""
        is_ratio = self.overall_mean > 0 and self.cluster_mean > 0 and not self.value and not self.feature.endswith("_share")
        return self.cluster_mean / self.overall_mean if is_ratio else None


@dataclass(frozen=True, slots=True)
class ClusterFigures:
    """A group found in the data: its size, its money, and what sets it apart."""

    segment: SegmentFigures
    differences: Sequence[FeatureDifference]


def scheme_figures(tables: NightTables, scheme: str, *, most: int | None = None, is_ranked: bool = False) -> SchemeFigures:
    """Return the segments of a scheme in the order of its definition; the `most` largest by customers, where it has more or `is_ranked`.

    Where values are segments, those of a few customers are counted and not named: a value may be one person's.
    """
    summary = next(each for each in tables.schemes if each.name == scheme)
    changes = changes_of(flows_of(tables.flows, scheme))
    before = {row["segment"]: row["customer_count"] for row in tables.profiles_year_before if row["scheme"] == scheme}
    rows = tables.profiles_of(scheme)
    is_named = summary.kind != "values"
    named = [row for row in rows if is_named or row["customer_count"] >= FEWEST_PUBLISHED]
    small = 0 if is_named else sum(is_withheld(row["customer_count"]) for row in rows)
    if is_ranked or (most is not None and len(named) > most):
        named.sort(key=lambda row: (-row["customer_count"], row["position"]))
    shown = named[:most]
    segments = [_segment_figures(tables, row, changes, before) for row in shown]
    return SchemeFigures(scheme, summary.title, summary.question, segments, small, len(named) - len(shown))


def _segment_figures(tables: NightTables, row: Row, changes: Mapping[str, SizeChange], before: Mapping[str, int]) -> SegmentFigures:
    title, count = tables.title_of(row["scheme"], row["segment"]), row["customer_count"]
    if is_withheld(count):
        return SegmentFigures(title, count)
    change = _shown_change(changes.get(row["segment"], SizeChange())) if tables.compared_night else None
    old_count = before.get(row["segment"])
    return SegmentFigures(
        title,
        count,
        row["customer_share"],
        row["spend_share"],
        row["mean_spend_amount"],
        row["mean_recency_days"],
        change,
        None if old_count is None or is_withheld(old_count) else old_count,
    )


def _shown_change(change: SizeChange) -> ShownChange:
    def net(came: int, left: int) -> int | None:
        return None if is_withheld(came) or is_withheld(left) else came - left

    return ShownChange(
        net(change.came_by_themselves, change.left_by_themselves),
        net(change.came_by_others, change.left_by_others),
        net(change.came_by_redefinition, change.left_by_redefinition),
        change.came,
        change.left,
    )


def score_grid(tables: NightTables) -> list[list[GridCell]]:
    """Return the cells by score of frequency and spend, 5 first, each row by recency from 1 to 5; nothing where all are withheld."""
    cells = {(row["r_score"], row["fm_score"]): row for row in tables.grid}
    most = max((row["customer_count"] for row in tables.grid), default=0)
    return [[_grid_cell(cells.get((r, fm)), most) for r in SCORES] for fm in reversed(SCORES)] if most >= FEWEST_PUBLISHED else []


def _grid_cell(row: Row | None, most: int) -> GridCell:
    if row is None:
        return GridCell(0, None, 0)
    count = row["customer_count"]
    return GridCell(count, None, 0) if is_withheld(count) else GridCell(count, row["spend_amount"], count / most)


def concentration_rows(tables: NightTables) -> list[Row]:
    """Return how much the best 1, 10 and 50 percent of the buyers hold; shares of a few buyers are left out."""
    return [row for row in concentration_curve(tables) if row["customer_percent"] in SHARES_TOLD]


def concentration_curve(tables: NightTables) -> list[Row]:
    """Return the percents of buyers that may be drawn: what lies between two of them is what ten buyers or more spent.

    Between nearer ones the spend of single buyers could be read off.
    """
    rows = {row["customer_percent"]: row for row in tables.concentration}
    drawn: dict[int, Row] = {}
    for percent in (100, *SHARES_TOLD, *sorted(rows)):
        if percent in rows and all(
            abs(rows[percent]["customer_count"] - count) >= FEWEST_PUBLISHED
            for count in (0, *(row["customer_count"] for row in drawn.values()))
        ):
            drawn[percent] = rows[percent]
    return [drawn[percent] for percent in sorted(drawn)]


def cluster_figures(tables: NightTables, scheme: str) -> list[ClusterFigures]:
    """Return the clusters of a scheme that are not withheld, each with what sets it apart most."""
    found = []
    for row in tables.profiles_of(scheme):
        figures = _segment_figures(tables, row, {}, {})
        if row["customer_count"] and not figures.is_withheld:
            found.append(ClusterFigures(figures, list(_differences(tables, scheme, row["segment"]))[:SHOWN_FEATURES]))
    return found


def _differences(tables: NightTables, scheme: str, segment: str) -> Iterator[FeatureDifference]:
    rows = [row for row in tables.cluster_profiles if row["scheme"] == scheme and row["segment"] == segment]
    for row in sorted(rows, key=lambda row: row["difference_rank"]):
        if row["cluster_mean"] is not None and row["overall_mean"] is not None and row["known_count"] >= FEWEST_PUBLISHED:
            yield FeatureDifference(row["feature"], row["value"] or "", row["cluster_mean"], row["overall_mean"])
