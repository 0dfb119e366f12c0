"""What campaigns achieved: the arms of each beside its control, or why nothing may be told of it yet, or ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.reporting.pages.morning.figures import is_withheld
from pipeline.reporting.pages.morning.night_tables import NightTables, Row

ORDER = ("final", "too few", "running", "planned", "not comparable", "sample ratio")
SHOWN_CAMPAIGNS = 8
OWN = "own"


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm: the row of what the campaign is judged by, and what it brought in money where that may be told."""

    arm: str
    primary: Row | None
    value: Row | None


@dataclass(frozen=True, slots=True)
class CampaignCard:
    """A campaign, its arms and, where it has no random control, what those chosen had spent before."""

    campaign: Row
    arms: Sequence[ArmResult]
    spend_before: Row | None


def campaign_cards(tables: NightTables) -> list[CampaignCard]:
    """Return the campaigns, those with results first, then by the day they are due, the newest first, then own ones before a CRM's."""
    found = sorted(tables.campaigns, key=lambda row: (row["origin"] != OWN, row["campaign_id"]))
    found.sort(key=lambda row: row["due_date"], reverse=True)
    found.sort(key=lambda row: ORDER.index(row["state"]) if row["state"] in ORDER else len(ORDER))
    return [_card(tables, row) for row in found[:SHOWN_CAMPAIGNS]]


def _card(tables: NightTables, campaign: Row) -> CampaignCard:
    key = campaign["campaign_id"]
    rows = [row for row in tables.campaign_results if row["campaign_id"] == key and row["segment"] == "all" and row["is_headline"]]
    shown = [row for row in rows if not is_withheld(row["customer_count"]) and not is_withheld(row["control_count"])]
    values = {row["arm"]: row for row in tables.campaign_values if row["campaign_id"] == key and not is_withheld(row["customer_count"])}
    arms = sorted({row["arm"] for row in shown})
    large = {row["arm"] for row in shown if row["control_count"] or not is_withheld(tables.people_count - campaign["customer_count"])}
    checks = [row for row in tables.campaign_checks if row["campaign_id"] == key and row["check"] == "spend_before"]
    before = [row for row in checks if row["arm"] in large]
    return CampaignCard(
        campaign,
        [ArmResult(arm, _primary(shown, arm, campaign["primary_metric"]), values.get(arm)) for arm in arms],
        before[0] if before and campaign["state"] == "not comparable" and before[0]["arm_value"] is not None else None,
    )


def _primary(rows: Sequence[Row], arm: str, metric: str) -> Row | None:
    """Return the row of the metric that the campaign is judged by; the rate of those who ordered where that one may not be told."""
    shown = {row["metric"]: row for row in rows if row["arm"] == arm and row["difference"] is not None}
    return shown.get(metric) or shown.get("ordered")
