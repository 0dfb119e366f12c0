"""The morning page as data: every section computed from the night's tables, and which of them are not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from pipeline.reporting.pages.morning.campaigns import CampaignCard, campaign_cards
from pipeline.reporting.pages.morning.cards import Actions, actions_of
from pipeline.reporting.pages.morning.figures import (
    SHOWN_PLACES,
    SHOWN_SEGMENTS,
    ClusterFigures,
    GridCell,
    SchemeFigures,
    cluster_figures,
    concentration_curve,
    concentration_rows,
    scheme_figures,
    score_grid,
)
from pipeline.reporting.pages.morning.flow_diagram import FlowDiagram, flow_diagram
from pipeline.reporting.pages.morning.in_short import Alarm, Sentence, sentences_of
from pipeline.reporting.pages.morning.insights import SegmentTaste, next_categories, segment_tastes, telling_schemes
from pipeline.reporting.pages.morning.language import PageLanguage
from pipeline.reporting.pages.morning.movement import Cause, counts_by_cause, flows_of
from pipeline.reporting.pages.morning.night_tables import NightTables, Row, SchemeSummary
from pipeline.reporting.pages.morning.proposals import proposals
from pipeline.reporting.pages.morning.sales import Trend, sales_trend
from pipeline.reporting.pages.morning.surveys import SurveyQuestion, survey_questions
from pipeline.reporting.pages.morning.verdict import Verdict, verdict_of

LIFECYCLE = "lifecycle"


@dataclass(frozen=True, slots=True)
class Tiles:
    """The four figures: trends of 28 days, None where the night stored no days of sales, and customers and prospects tonight."""

    sales: Trend | None
    orders: Trend | None
    new_customers: Trend | None
    customer_count: int


@dataclass(frozen=True, slots=True)
class ClusterGroups:
    """The clusters of a scheme, and in what they have drifted from those that its model was fitted to."""

    scheme: SchemeSummary
    clusters: Sequence[ClusterFigures]
    drifts: Sequence[Row]


@dataclass(frozen=True, slots=True)
class MorningPage:
    """What the page says; a section without data is None or empty. `not_shown` names those that are left out for that.

    `judged` are the tables of the night that the verdict is on, `tables` those that the figures are of: an earlier night's where it
    was refused.
    """

    tables: NightTables
    judged: NightTables
    verdict: Verdict
    in_short: Sequence[Sentence]
    tiles: Tiles | None = None
    actions: Actions | None = None
    customers: SchemeFigures | None = None
    moves_by_cause: Mapping[Cause, int] = field(default_factory=dict)
    flow: FlowDiagram | None = None
    grid: Sequence[Sequence[GridCell]] = ()
    lifecycle: SchemeFigures | None = None
    concentration: Sequence[Row] = ()
    concentration_curve: Sequence[Row] = ()
    clusters: Sequence[ClusterGroups] = ()
    places: Sequence[SchemeFigures] = ()
    tastes: Sequence[SegmentTaste] = ()
    next_categories: Sequence[Row] = ()
    questions: Sequence[SurveyQuestion] = ()
    campaigns: Sequence[CampaignCard] = ()
    proposals: Sequence[Row] = ()
    telling_schemes: Sequence[Row] = ()
    schemes: Sequence[SchemeFigures] = ()
    small_scheme_count: int = 0
    not_shown: Sequence[str] = ()

    @property
    def headline(self) -> str:
        """What the list of all nights says of this one: what held it back, else its first sentence."""
        if self.judged.rollback:
            return self.judged.rollback.reason
        if self.verdict.outcome.is_refused and self.verdict.closed_gates:
            return self.verdict.closed_gates[0].words
        if self.verdict.outcome.is_refused and self.verdict.broken_rules:
            rule = self.verdict.broken_rules[0]
            return f"{rule['source_table'].removeprefix('raw_')}: {rule['rule'].replace('_', ' ')}"
        return self.in_short[0].text if self.in_short else ""


def morning_page(judged: NightTables, shown: NightTables | None, language: PageLanguage, *, live_day: date | None = None) -> MorningPage:
    """Return the page of the night that was `judged`, with the figures of the night that is `shown`: none before any is good.

    `live_day` is the night that everybody sees, where that is known.
    """
    tables = shown or judged
    verdict = verdict_of(judged, figures_day=shown.day if shown else None, live_day=live_day)
    if shown is None or not tables.profiles:
        return MorningPage(tables, judged, verdict, _refusal_sentence(language))
    names, main = [scheme.name for scheme in tables.schemes], tables.main_scheme
    flows = flows_of(tables.flows, main)
    lifecycle = scheme_figures(tables, LIFECYCLE) if LIFECYCLE in names and main != LIFECYCLE else None
    all_schemes = [scheme_figures(tables, name, most=SHOWN_SEGMENTS) for name in names]
    page = MorningPage(
        tables,
        judged,
        verdict,
        sentences_of(tables, verdict, language),
        _tiles(tables),
        actions_of(tables),
        scheme_figures(tables, main),
        counts_by_cause(flows),
        flow_diagram(flows, [row["segment"] for row in tables.profiles_of(main)]),
        score_grid(tables),
        lifecycle if lifecycle and lifecycle.is_shown else None,
        concentration_rows(tables),
        concentration_curve(tables),
        _cluster_groups(tables),
        _places(tables),
        segment_tastes(tables),
        next_categories(tables),
        survey_questions(tables),
        campaign_cards(tables),
        proposals(tables),
        telling_schemes(tables),
        [figures for figures in all_schemes if figures.is_shown],
        sum(not figures.is_shown for figures in all_schemes),
    )
    return replace(page, not_shown=_not_shown(page, language))


def _refusal_sentence(language: PageLanguage) -> list[Sentence]:
    return [Sentence(language.gettext("No night has been published yet, so there are no figures to show."), Alarm("publication", "none"))]


def _tiles(tables: NightTables) -> Tiles:
    columns = ("spend_amount", "order_count", "new_customer_count")
    sales, orders, new_customers = (sales_trend(tables, column) for column in columns)
    return Tiles(sales, orders, new_customers, tables.people_count)


def _cluster_groups(tables: NightTables) -> list[ClusterGroups]:
    groups = [
        ClusterGroups(
            scheme,
            cluster_figures(tables, scheme.name),
            [row for row in tables.drifts if row["scheme"] == scheme.name and row["is_beyond"]],
        )
        for scheme in tables.schemes
        if scheme.kind == "clusters"
    ]
    return [group for group in groups if any(cluster.differences for cluster in group.clusters)]


def _places(tables: NightTables) -> list[SchemeFigures]:
    found = [scheme_figures(tables, each.name, most=SHOWN_PLACES, is_ranked=True) for each in tables.schemes if each.level == "geographic"]
    # A list of a single place says nothing.
    return [figures for figures in found if sum(not each.is_withheld and each.customer_count > 0 for each in figures.segments) > 1]


def _not_shown(page: MorningPage, language: PageLanguage) -> list[str]:
    lacking = {
        language.gettext("Sales of the last 28 days"): page.tiles is None or page.tiles.sales is None,
        language.gettext("Who moved, and why"): page.flow is None and page.tables.compared_night is None,
        language.gettext("How recently, how much"): not page.grid,
        language.gettext("From first look to gone"): page.lifecycle is None,
        language.gettext("Where the money comes from"): not page.concentration,
        language.gettext("Groups found in the data"): not page.clusters,
        language.gettext("Where customers live"): not page.places,
        language.gettext("What they buy more than others"): not page.tastes,
        language.gettext("What your campaigns achieved"): not page.campaigns,
        language.gettext("Ideas for better segments"): not page.proposals,
    }
    return [title for title, is_lacking in lacking.items() if is_lacking]
