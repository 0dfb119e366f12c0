"""What a page is made of: the small tables that a night stored, read once. No table of customers is among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import LEVELS
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes, without_unknown
from pipeline.features import unknown_features
from pipeline.ingestion.validation import stored_results
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CAMPAIGN_CHECKS,
    CAMPAIGN_RESULTS,
    CAMPAIGN_SUMMARIES,
    CAMPAIGN_VALUES,
    CLUSTER_DRIFTS,
    CLUSTER_PROFILES,
    EXTRACTIONS,
    NEXT_CATEGORIES,
    SALES_DAYS,
    SCHEME_EFFECTIVENESS,
    SCORE_GRID,
    SEGMENT_FLOWS,
    SEGMENT_INSIGHTS,
    SEGMENT_PROFILES,
    SEGMENT_PROPOSALS,
    SEGMENT_STRATEGIES,
    SURVEY_SHARES,
    VALUE_CONCENTRATION,
    Table,
)
from pipeline.publication.gates import GateResult
from pipeline.publication.gates.results import epoch_when_audited, stored_gates
from pipeline.publication.rollback_log import Rollback, read_rollbacks
from pipeline.reporting.next_actions import NextActionCount, next_action_counts
from pipeline.segmentation import not_computed_on

Row = Mapping[str, Any]
Rows = Sequence[Row]
WEEK_NIGHTS = 7
YEAR = timedelta(days=364)  # whole weeks: a weekday stands beside the same weekday
NEAR = timedelta(days=7)
MAIN_SCHEME = "rfm"
MANY_MEMBERSHIPS = 100_000
SCHEME_KINDS = ("rules", "value_tiers", "clusters", "values")


@dataclass(frozen=True, slots=True)
class SchemeSummary:
    """A scheme as the page names it; `kind` tells where its segments come from, `values` from what customers have."""

    name: str
    title: str
    question: str
    level: str
    kind: str


@dataclass(frozen=True, slots=True)
class NightTables:
    """What one night stored, in rows of its tables; a table that it does not have gives none.

    `flows` are those since `compared_night`, seven nights ago: none where nobody moved, and where there is no such night, of which
    `compared_night` is None; `profiles_year_before` those of the nearest night a year ago, by scheme and segment;
    `titles` and `cards` are in the reader's language; `refined_on` is the night that `insights` and proposals are from,
    `rollback` the one by which a person took the night back; `command_options` name company and lake in commands.
    """

    company: str
    currency: str
    window_days: int
    day: date
    chosen_scheme: str = MAIN_SCHEME
    schemes: Sequence[SchemeSummary] = ()
    profiles: Rows = ()
    profiles_year_before: Rows = ()
    year_before: date | None = None
    titles: Mapping[tuple[str, str], str] = field(default_factory=dict)
    cards: Mapping[tuple[str, str], Row] = field(default_factory=dict)
    compared_night: date | None = None
    flows: Rows = ()
    concentration: Rows = ()
    grid: Rows = ()
    sales: Rows = ()
    refined_on: date | None = None
    insights: Rows = ()
    next_categories: Rows = ()
    effectiveness: Rows = ()
    proposals: Rows = ()
    surveys: Rows = ()
    campaigns: Rows = ()
    campaign_results: Rows = ()
    campaign_checks: Rows = ()
    campaign_values: Rows = ()
    cluster_profiles: Rows = ()
    drifts: Rows = ()
    extractions: Rows = ()
    gates: Sequence[GateResult] = ()
    rollback: Rollback | None = None
    rule_results: Rows = ()
    rejected: Sequence[tuple[str, str, int]] = ()
    not_computed: Mapping[str, str] = field(default_factory=dict)
    next_actions: Sequence[NextActionCount] = ()
    command_options: str = ""

    @property
    def main_scheme(self) -> str:
        """The scheme that the page tells most of: the chosen one, else the first of those about behaviour that rules decide."""
        names = [scheme.name for scheme in self.schemes]
        return self.chosen_scheme if self.chosen_scheme in names else next(iter(names), "")

    @property
    def people_count(self) -> int:
        """Customers and prospects: a scheme applies to all or to some, so the largest sum is that of one that applies to all."""
        sums: Counter[str] = Counter()
        for row in self.profiles:
            sums[row["scheme"]] += row["customer_count"]
        return max(sums.values(), default=0)

    def profiles_of(self, scheme: str) -> list[Row]:
        """Return the profiles of a scheme in the order of its definition."""
        return sorted((row for row in self.profiles if row["scheme"] == scheme), key=lambda row: row["position"])

    def title_of(self, scheme: str, segment: str) -> str:
        """Return what a segment is called in the reader's language."""
        return self.titles.get((scheme, segment), segment)


def read_checks(valid: Company, lake: Lake, day: date) -> NightTables:
    """Read what rules, gates and people said of the night of `day`, and none of its figures."""
    results, record = stored_results(lake, day), stored_gates(lake, day)
    return NightTables(
        company=valid.name,
        currency=valid.currency,
        window_days=valid.window_days,
        day=day,
        command_options=command_options(valid, lake),
        gates=record.results if record else (),
        rollback=_rollback_of(lake, day),
        rule_results=results.rule_results,
        rejected=results.rejected,
    )


def read_night(valid: Company, lake: Lake, day: date, *, language: str) -> NightTables:
    """Read what the night of `day` stored, titles and cards in `language` where they are translated, else in the company's.

    `valid` is the company by the definitions of that night. Raises DataError where a table is damaged.
    """
    profiles = _rows(lake, SEGMENT_PROFILES, day)
    known = _strategies(lake, day, language=language, fallback=valid.language)
    # Without the limits of values, which nothing here asks for: they would be worked out anew.
    schemes = without_unknown(load_schemes(valid), unknown_features(lake, day)) if profiles else None
    year_before, refined = _nearest_night(lake, day - YEAR), lake.newest_night(SEGMENT_INSIGHTS, through=day)
    flows = [row for row in _rows(lake, SEGMENT_FLOWS, day) if row["nights"] == WEEK_NIGHTS]
    return replace(
        read_checks(valid, lake, day),
        chosen_scheme=valid.report_scheme or MAIN_SCHEME,
        schemes=_scheme_summaries(valid, schemes.schemes if schemes else (), {row["scheme"] for row in profiles}, language),
        profiles=profiles,
        profiles_year_before=_rows(lake, SEGMENT_PROFILES, year_before) if year_before else (),
        year_before=year_before,
        titles={(row["scheme"], row["segment"]): row["title"] for row in profiles} | {key: row["title"] for key, row in known.items()},
        cards={key: row for key, row in known.items() if row["priority"] is not None},
        compared_night=compared_night(lake, day, WEEK_NIGHTS),
        flows=flows,
        concentration=_rows(lake, VALUE_CONCENTRATION, day),
        grid=_rows(lake, SCORE_GRID, day),
        sales=_rows(lake, SALES_DAYS, day),
        refined_on=refined,
        insights=_refined_rows(lake, SEGMENT_INSIGHTS, refined),
        next_categories=_refined_rows(lake, NEXT_CATEGORIES, refined),
        effectiveness=_refined_rows(lake, SCHEME_EFFECTIVENESS, refined),
        proposals=_refined_rows(lake, SEGMENT_PROPOSALS, refined),
        surveys=_refined_rows(lake, SURVEY_SHARES, refined),
        campaigns=_rows(lake, CAMPAIGN_SUMMARIES, day),
        campaign_results=_rows(lake, CAMPAIGN_RESULTS, day),
        campaign_checks=_rows(lake, CAMPAIGN_CHECKS, day),
        campaign_values=_rows(lake, CAMPAIGN_VALUES, day),
        cluster_profiles=_rows(lake, CLUSTER_PROFILES, day),
        drifts=_rows(lake, CLUSTER_DRIFTS, day),
        extractions=_rows(lake, EXTRACTIONS, day),
        not_computed=not_computed_on(valid, lake, day, schemes=schemes) if schemes else {},
        # Counted from a table of customers, so only where it is small, or nothing else says what to do, as on a first night.
        next_actions=() if flows and sum(row["customer_count"] for row in profiles) > MANY_MEMBERSHIPS else next_action_counts(lake, day),
    )


def _rollback_of(lake: Lake, day: date) -> Rollback | None:
    """Return the rollback that took the night back, if any since it was audited last."""
    since = read_rollbacks(lake)[epoch_when_audited(lake, day) or 0 :]
    return next((each for each in reversed(since) if each.takes_back(day)), None)


def compared_night(lake: Lake, day: date, nights: int) -> date | None:
    """Return the night that the flows of so many nights compare with, as their manifest says: where nobody moved there is no row.

    None where no night so far back is stored, or the night stored no flows.
    """
    if not lake.has(SEGMENT_FLOWS, day=day):
        return None
    since = lake.manifest(addresses.partition(SEGMENT_FLOWS, day=day)).get("compared", {}).get(str(nights))
    return date.fromisoformat(since) if since else None


def _rows(lake: Lake, table: Table, day: date) -> Rows:
    rows: Rows = lake.read(table, day=day).to_pylist() if lake.has(table, day=day) else ()
    return rows


def _refined_rows(lake: Lake, table: Table, refined: date | None) -> Rows:
    """Return the rows of a table that the first night of a month writes; that night alone, as a table of nothing is not stored."""
    return _rows(lake, table, refined) if refined else ()


def _nearest_night(lake: Lake, day: date) -> date | None:
    near = [night for night in lake.nights(SEGMENT_PROFILES) if abs(night - day) <= NEAR]
    return min(near, key=lambda night: (abs(night - day), night), default=None)


def _strategies(lake: Lake, day: date, *, language: str, fallback: str) -> dict[tuple[str, str], Row]:
    rows = _rows(lake, SEGMENT_STRATEGIES, day)
    by_language = {each: {(row["scheme"], row["segment"]): row for row in rows if row["language"] == each} for each in (fallback, language)}
    return by_language[fallback] | by_language[language]


def _scheme_summaries(company: Company, schemes: Sequence[Any], profiled: set[str], language: str) -> list[SchemeSummary]:
    """Return the profiled schemes: behaviour first, and of a level those that rules decide first."""
    found = [
        SchemeSummary(
            each.name, each.titles.get(language, each.title), each.questions.get(language, each.question), each.level,
            getattr(each, "kind", "clusters"),
        )
        for each in (*schemes, *load_cluster_schemes(company))
        if each.name in profiled
    ]  # fmt: skip
    return sorted(found, key=lambda each: (each.level != "behavioural", LEVELS.index(each.level), SCHEME_KINDS.index(each.kind), each.name))
