"""Before a campaign starts: whom it would reach, how they would be divided, and what effect it could show at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta

from pipeline.definitions.campaigns import FEWEST_IN_ARM, CampaignDefinition
from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, DataError
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.measurement.assignment import drawn_arms, quotas_of, register_strata
from pipeline.measurement.audience import overlapping_campaigns, register_candidates
from pipeline.measurement.measuring_session import MeasuringSession, measuring_session
from pipeline.measurement.started_campaigns import is_started, store_campaign
from pipeline.measurement.visible_effects import visible_effects
from pipeline.publication.current import current_publication


@dataclass(frozen=True, slots=True)
class PlannedArm:
    """One arm and how many customers it would have."""

    name: str
    is_control: bool
    customer_count: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a campaign cannot be started, and what to do about it."""

    what: str
    todo: str


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """What a campaign would be, drawn from the customers of `night`.

    `excluded` counts customers of the audience who cannot take part, by reason. Visible effects are the smallest that 4 of 5 such campaigns
    find, in the smallest arm: as the rate or mean of that arm, and as a lift relative to the control; None where none can be seen.
    What the control would do is taken from what the audience of `reckoned_from`, an older night, did in as many days after it; where none
    is stored, from what today's did in as many days up to the night. Buyers are those of the smaller of control and smallest arm.
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
    expected_buyers: float
    needed_buyers: int
    overlapping: tuple[str, ...]
    refusal: Refusal | None

    @property
    def can_tell_spend(self) -> bool:
        """Whether there would be enough buyers for the spend to be told."""
        return self.expected_buyers >= self.needed_buyers


def plan_campaign(company: Company, lake: Lake, engine: Engine, campaign: CampaignDefinition) -> CampaignPlan:
    """Return what the campaign would be, by the live night; nothing is stored.

    Raises ConfigError where the file asks for what the company does not have; DataError where no night is stored.
    """
    night = _night(lake)
    with measuring_session(company, lake, engine, night) as session:
        plan, _ = _plan(session, campaign)
    return plan


def start_campaign(company: Company, lake: Lake, engine: Engine, campaign: CampaignDefinition) -> CampaignPlan:
    """Draw the arms of the campaign once and for all, store them, and return the plan that they go by.

    Raises what `plan_campaign` raises, and ConfigError where the plan says that it cannot be started.
    """
    # Two that start at once would both take the same customers.
    with lake.lock("campaigns"), measuring_session(company, lake, engine, _night(lake)) as session:
        plan, quotas = _plan(session, campaign)
        if plan.refusal:
            raise ConfigError(plan.refusal.what, where=campaign.where, todo=plan.refusal.todo)
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


def _refusal(lake: Lake, campaign: CampaignDefinition, night: date, arms: Sequence[PlannedArm]) -> Refusal | None:
    """Return why the campaign cannot be started; None where it can."""
    if is_started(lake, campaign.campaign_id):
        todo = "A campaign is assigned once. For another one copy the file under another name."
        return Refusal(f"the campaign `{campaign.campaign_id}` was started already", todo)
    if campaign.start_day <= night:
        what = f"`start_day` is {campaign.start_day}, but the night of {night} knows of that day already"
        return Refusal(what, "Choose a later day: what was done before the start would count.")
    for arm in arms:
        if arm.customer_count < FEWEST_IN_ARM:
            would = "have no customer" if not arm.customer_count else "have 1 customer"
            what = f"the arm `{arm.name}` would {would}: {sum(each.customer_count for each in arms)} can take part"
            return Refusal(what, "Widen the audience, or give the arm a larger share.")
    return None


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
    control = next(arm.customer_count for arm in arms if arm.is_control)
    smallest = min(arm.customer_count for arm in arms if not arm.is_control)
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
        refusal=_refusal(session.lake, campaign, session.day, arms),
        **visible_effects(session, campaign, smallest, control),
    )
    return plan, quotas


def _candidate_counts(session: MeasuringSession) -> dict[str, int]:
    rows = session.engine.run(statement("campaign_candidate_counts"), {}).read_all().to_pylist()
    return {row["excluded_by"]: row["customer_count"] for row in rows}


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
