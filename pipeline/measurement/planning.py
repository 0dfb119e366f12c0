"""Before a campaign starts: whom it would reach, how they would be divided, and what effect it could show at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlglot import exp

from pipeline.calendar import ONE_DAY
from pipeline.definitions.campaigns import FEWEST_IN_ARM, CampaignDefinition
from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, DataError
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.rounding import rounded
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.measurement.arm_sums import ArmSums
from pipeline.measurement.assignment import drawn_arms, quotas_of, register_strata
from pipeline.measurement.audience import overlapping_campaigns, register_candidates, register_members
from pipeline.measurement.buyers import buyers_needed
from pipeline.measurement.measuring_session import MeasuringSession, measuring_session
from pipeline.measurement.sample_size import smallest_visible_mean_difference, smallest_visible_rate
from pipeline.measurement.staged_tables import MEMBERS_BY_RULE, STRATA
from pipeline.measurement.started_campaigns import is_started, store_campaign
from pipeline.measurement.sums import campaign_sums, define_people_with_spend, register_spend_before
from pipeline.publication.current import current_publication

MOST_DAYS_OLDER = 31
"""Nights may be missing: the night to reckon from may be so much older than the campaign is long."""


@dataclass(frozen=True, slots=True)
class PlannedArm:
    """One arm and how many customers it would have."""

    name: str
    is_control: bool
    customer_count: int


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """What a campaign would be, drawn from the customers of `night`.

    `excluded` counts customers of the audience who cannot take part, by reason. Visible effects are the smallest that 4 of 5 such campaigns
    find, in the smallest arm: as the rate or mean of that arm, and as a lift relative to the control; None where none can be seen.
    What the control would do is taken from what the audience of `reckoned_from`, an older night, did in as many days after it; where none
    is stored, from what today's did in as many days up to the night.
    """

    campaign_id: str
    title: str
    audience: str
    scheme: str
    night: date
    start_day: date
    end_day: date
    due_date: date
    day_count: int
    look_count: int
    audience_count: int
    excluded: Mapping[str, int]
    arms: tuple[PlannedArm, ...]
    stratum_count: int
    reckoned_from: date | None
    primary_metric: str
    metric_value: float | None
    visible_value: float | None
    visible_lift: float | None
    spend_value: float
    visible_spend: float | None
    visible_spend_lift: float | None
    correlation: float
    expected_control_buyers: float
    needed_control_buyers: int
    overlapping: tuple[str, ...]

    @property
    def can_tell_spend(self) -> bool:
        """Whether the control would have enough buyers for the spend to be told."""
        return self.expected_control_buyers >= self.needed_control_buyers


def plan_campaign(company: Company, lake: Lake, engine: Engine, campaign: CampaignDefinition) -> CampaignPlan:
    """Return what the campaign would be, by the live night; nothing is stored.

    Raises ConfigError where the file asks for what the company does not have, or too late; DataError where no night is stored.
    """
    night = _night(lake)
    with measuring_session(company, lake, engine, night) as session:
        plan, _ = _plan(session, campaign)
    return plan


def start_campaign(company: Company, lake: Lake, engine: Engine, campaign: CampaignDefinition) -> CampaignPlan:
    """Draw the arms of the campaign once and for all, store them, and return the plan that they go by.

    Raises what `plan_campaign` raises, and ConfigError where the campaign was started before, or an arm would be empty.
    """
    # Two that start at once would both take the same customers.
    with lake.lock("campaigns"):
        if is_started(lake, campaign.campaign_id):
            todo = "A campaign is assigned once. For another one copy the file under another name."
            raise ConfigError(f"the campaign `{campaign.campaign_id}` was started already", where=campaign.where, todo=todo)
        with measuring_session(company, lake, engine, _night(lake)) as session:
            plan, quotas = _plan(session, campaign)
            _require_room(campaign, plan)
            facts = {
                "counts": {arm.name: arm.customer_count for arm in plan.arms},
                "plan": {name: _json(value) for name, value in asdict(plan).items()},
            }
            store_campaign(lake, campaign, plan.night, drawn_arms(session, campaign, quotas), facts)
    return plan


def _night(lake: Lake) -> date:
    live, nights = current_publication(lake), lake.nights(CUSTOMER_SEGMENTS)
    if live is None and not nights:
        raise DataError("no night is stored, so there is nobody to assign", where=lake.where(), todo="Run a night first: segments run.")
    return live.day if live else nights[-1]


def _require_room(campaign: CampaignDefinition, plan: CampaignPlan) -> None:
    if campaign.start_day <= plan.night:
        what = f"`start_day` is {campaign.start_day}, but the night of {plan.night} knows of that day already"
        raise ConfigError(what, where=campaign.where, todo="Choose a later day: what was done before the start would count.")
    for arm in plan.arms:
        if arm.customer_count < FEWEST_IN_ARM:
            would = "have no customer" if not arm.customer_count else "have 1 customer"
            what = f"the arm `{arm.name}` would {would}: {sum(each.customer_count for each in plan.arms)} can take part"
            raise ConfigError(what, where=campaign.where, todo="Widen the audience, or give the arm a larger share.")


def _require_metric(session: MeasuringSession, campaign: CampaignDefinition) -> None:
    if campaign.primary_metric == "visited" and not session.has_visits:
        what = "`primary_metric` is `visited`, but this company does not say who visits"
        raise ConfigError(what, where=campaign.where, todo='Add sources/visits.sql, or judge it by "ordered" or "spend".')


def _plan(session: MeasuringSession, campaign: CampaignDefinition) -> tuple[CampaignPlan, dict[str, list[int]]]:
    _require_metric(session, campaign)
    register_candidates(session, campaign)
    counts = _candidate_counts(session)
    strata = register_strata(session, campaign)
    quotas = quotas_of(campaign, strata)
    sizes = [sum(quota[place] for quota in quotas.values()) for place in range(len(campaign.arms))]
    arms = tuple(PlannedArm(arm.name, arm.is_control, size) for arm, size in zip(campaign.arms, sizes, strict=True))
    plan = CampaignPlan(
        campaign_id=campaign.campaign_id,
        title=campaign.title,
        audience=campaign.audience,
        scheme=campaign.scheme,
        night=session.day,
        start_day=campaign.start_day,
        end_day=campaign.end_day,
        due_date=campaign.end_day + timedelta(days=session.company.lookback_days),
        day_count=campaign.day_count,
        look_count=campaign.look_count,
        audience_count=sum(counts.values()),
        excluded={reason: count for reason, count in counts.items() if reason},
        arms=arms,
        stratum_count=len(strata),
        primary_metric=campaign.primary_metric,
        overlapping=tuple(each.definition.campaign_id for each in overlapping_campaigns(session.lake, campaign)),
        **_visible_effects(session, campaign, arms),
    )
    return plan, quotas


def _candidate_counts(session: MeasuringSession) -> dict[str, int]:
    rows = session.engine.run(statement("campaign_candidate_counts"), {}).read_all().to_pylist()
    return {row["excluded_by"]: row["customer_count"] for row in rows}


def _visible_effects(session: MeasuringSession, campaign: CampaignDefinition, arms: tuple[PlannedArm, ...]) -> dict[str, Any]:
    before, reckoned_from = _past_window(session, campaign)
    control = next(arm.customer_count for arm in arms if arm.is_control)
    smallest = min(arm.customer_count for arm in arms if not arm.is_control)
    if before.customer_count < 2 or not (control and smallest):  # noqa: PLR2004 - a variance takes two
        return {**dict.fromkeys(_UNKNOWN), **_NO_SPEND}
    spend = before.spend
    deviation, value = float(spend.var_y) ** 0.5, float(spend.mean_y)
    explained = float(spend.cov**2 / (spend.var_x * spend.var_y)) if spend.var_x and spend.var_y else 0.0
    correlation = explained**0.5
    visible_spend = smallest_visible_mean_difference(deviation, smallest, control, correlation=correlation) if deviation else None
    if campaign.primary_metric == "spend":
        metric, visible = value, None if visible_spend is None else value + visible_spend
    else:
        rate = before.ordered if campaign.primary_metric == "ordered" else before.visited
        metric, visible = rate.value, smallest_visible_rate(rate.value, smallest, control)
    return {
        "reckoned_from": reckoned_from,
        "metric_value": rounded(metric),
        "visible_value": rounded(visible),
        "visible_lift": rounded(visible / metric - 1) if visible is not None and metric > 0 else None,
        "spend_value": rounded(value),
        "visible_spend": rounded(visible_spend),
        "visible_spend_lift": rounded(visible_spend / value) if visible_spend is not None and value > 0 else None,
        "correlation": rounded(correlation),
        "expected_control_buyers": rounded(before.ordered.value * control),
        "needed_control_buyers": buyers_needed(round(control / (control + smallest), 2)),
    }


_UNKNOWN = ("reckoned_from", "metric_value", "visible_value", "visible_lift", "visible_spend", "visible_spend_lift")
_NO_SPEND = {"spend_value": 0.0, "correlation": 0.0, "expected_control_buyers": 0.0, "needed_control_buyers": buyers_needed(0.5)}


def _past_window(session: MeasuringSession, campaign: CampaignDefinition) -> tuple[ArmSums, date | None]:
    """Return what the audience of an older night did in as many days after it as the campaign has, and that night.

    Where no such night is stored, what those who can take part did in as many days up to the live night. That says little of an audience of
    customers who have not ordered lately: they are in it for having done nothing in just these days.
    """
    latest = session.day - timedelta(days=campaign.day_count)
    oldest = latest - timedelta(days=MOST_DAYS_OLDER)
    for night in reversed([each for each in session.lake.nights(CUSTOMER_SEGMENTS) if oldest <= each <= latest]):
        try:
            register_members(replace(session, day=night), campaign)
        except ConfigError:
            # It lacks what the audience asks for, as it was computed before that was declared.
            continue
        members = exp.select("customer_id").from_(MEMBERS_BY_RULE.name).where(exp.column("is_member"))
        return _window_sums(session, members, night + ONE_DAY, campaign.day_count), night
    everybody = exp.select("customer_id").from_(STRATA.name)
    return _window_sums(session, everybody, latest + ONE_DAY, campaign.day_count), None


def _window_sums(session: MeasuringSession, customers: exp.Select, first: date, day_count: int) -> ArmSums:
    session.register_events(first - timedelta(days=session.company.window_days))
    register_spend_before(session, first, session.company.window_days)
    all_of_them = exp.alias_(exp.Literal.string("all"), "arm")
    no_segment = exp.alias_(exp.cast(exp.null(), "text"), "segment")
    no_spend = exp.alias_(exp.cast(exp.null(), "DECIMAL(18, 4)"), "spend_amount")
    define_people_with_spend(session, exp.select("customer_id", all_of_them, no_segment, no_spend).from_(customers.subquery("s")))
    return campaign_sums(session, first, first + timedelta(days=day_count - 1)).of_arm("all")


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
