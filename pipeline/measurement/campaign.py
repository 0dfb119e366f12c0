"""A campaign as it is measured, whether the company assigned it or its CRM did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pipeline.definitions.campaigns import CONTROL, CampaignDefinition
from pipeline.measurement.looks import Look, looks

OWN, SOURCE = "own", "source"
KEPT_DAYS = 366
"""For so long after its results were due a campaign is told of: those of a year, so that a CRM's past ones are seen on the first night."""


@dataclass(frozen=True, slots=True)
class MeasuredArm:
    """One arm: `planned_share` is None where nobody says how large it was to be."""

    name: str
    is_control: bool
    planned_share: float | None
    cost_per_contact: Decimal
    assigned_count: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """What measuring needs to know of a campaign; `is_random` says whether arms were drawn at random."""

    campaign_id: str
    title: str
    origin: str
    audience: str
    scheme: str
    channel: str
    start_day: date
    end_day: date
    look_count: int
    primary_metric: str
    margin_share: float | None
    fixed_cost: Decimal
    is_holdout: bool
    is_random: bool
    arms: tuple[MeasuredArm, ...]
    smallest_visible_lift: float | None = None

    @property
    def control(self) -> MeasuredArm | None:
        """The arm that nothing was done for; None where there is none."""
        return next((arm for arm in self.arms if arm.is_control), None)

    @property
    def treated(self) -> tuple[MeasuredArm, ...]:
        """The other arms, by name."""
        return tuple(sorted((arm for arm in self.arms if not arm.is_control), key=lambda arm: arm.name))

    @property
    def is_comparable(self) -> bool:
        """Whether its arms differ by chance alone but for what was done."""
        return self.is_random and self.control is not None and bool(self.treated)

    def due_date(self, lookback_days: int) -> date:
        """Return the first night that knows all of it: rows come in late for so many days."""
        return self.end_day + timedelta(days=lookback_days)

    def look_on(self, night: date, lookback_days: int) -> Look | None:
        """Return the look that a night tells; None where it is too early."""
        due = [
            look
            for look in looks(self.start_day, self.end_day, count=self.look_count)
            if look.last_day + timedelta(days=lookback_days) <= night
        ]
        return due[-1] if due else None

    def is_reported_on(self, night: date, lookback_days: int) -> bool:
        """Return whether a night tells of the campaign at all."""
        return night <= self.due_date(lookback_days) + timedelta(days=KEPT_DAYS)


def own_campaign(definition: CampaignDefinition, counts: Mapping[str, int], *, smallest_visible_lift: float | None) -> Campaign:
    """Return a campaign of the company's own of whose arms so many were assigned."""
    return Campaign(
        campaign_id=definition.campaign_id,
        title=definition.title,
        origin=OWN,
        audience=definition.audience,
        scheme=definition.scheme,
        channel=definition.channel,
        start_day=definition.start_day,
        end_day=definition.end_day,
        look_count=definition.look_count,
        primary_metric=definition.primary_metric,
        margin_share=definition.margin_share,
        fixed_cost=definition.fixed_cost,
        is_holdout=definition.is_holdout,
        is_random=True,
        arms=tuple(
            MeasuredArm(arm.name, arm.is_control, arm.share, arm.cost_per_contact, counts.get(arm.name, 0)) for arm in definition.arms
        ),
        smallest_visible_lift=smallest_visible_lift,
    )


def source_campaign(row: Mapping[str, Any], counts: Mapping[str, int]) -> Campaign:
    """Return the campaign of a row of `campaigns`, with so many members by arm."""
    share = row["control_share"]
    others = sum(count for arm, count in counts.items() if arm != CONTROL)
    arms = []
    for name, count in sorted(counts.items()):
        is_control = name == CONTROL
        planned = None
        if share is not None and others:
            # Of the other arms only their sum is known: each is taken to be as large of it as it is.
            planned = share if is_control else (1 - share) * count / others
        arms.append(MeasuredArm(name, is_control, planned, Decimal(0) if is_control else row["cost_per_contact"] or Decimal(0), count))
    return Campaign(
        campaign_id=row["campaign_id"],
        title=row["title"] or row["campaign_id"],
        origin=SOURCE,
        audience="",
        scheme=row["scheme"] or "",
        channel=row["channel"] or "",
        start_day=row["start_day"],
        end_day=row["end_day"],
        look_count=1,
        primary_metric=row["primary_metric"] or "ordered",
        margin_share=row["margin_share"],
        fixed_cost=row["cost_amount"] or Decimal(0),
        is_holdout=False,
        is_random=bool(row["is_random"]),
        arms=tuple(arms),
    )
