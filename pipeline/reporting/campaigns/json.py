"""Plans and results of campaigns for a machine; amounts of money that are exact are texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.measurement.planning import CampaignPlan
from pipeline.reporting.campaigns.reports import CampaignReport


def plan_to_json(plan: CampaignPlan) -> str:
    """Return a plan as JSON."""
    return json.dumps({**asdict(plan), "can_tell_spend": plan.can_tell_spend}, indent=1, ensure_ascii=False, default=str)


def reports_to_json(reports: Sequence[CampaignReport]) -> str:
    """Return campaigns as JSON, each with the rows of the night's tables."""
    content = [{"night": report.night, **report.summary, **_tables(report)} for report in reports]
    return json.dumps({"campaigns": content}, indent=1, ensure_ascii=False, default=str)


def _tables(report: CampaignReport) -> dict[str, object]:
    return {"results": report.results, "values": report.values, "checks": report.checks}
