"""Planning and starting a campaign of the company's own, by the live night."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.definitions.campaigns import load_campaign
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import holding_off_erasures

if TYPE_CHECKING:
    from pipeline.measurement.planning import CampaignPlan


def plan_campaign_of_file(deployment: Deployment, file: Path) -> CampaignPlan:
    """Return what the campaign of a file would be; nothing is written."""
    from pipeline.measurement.planning import plan_campaign

    campaign = load_campaign(file)
    with deployment.engine() as engine:
        return plan_campaign(deployment.company, deployment.lake, engine, campaign)


def start_campaign_of_file(deployment: Deployment, file: Path) -> CampaignPlan:
    """Assign the customers of the campaign of a file, once, and return the plan that it goes by."""
    from pipeline.measurement.planning import start_campaign

    campaign = load_campaign(file)
    # Whoever is erased meanwhile must not be stored again.
    with holding_off_erasures(deployment.lake), deployment.engine() as engine:
        return start_campaign(deployment.company, deployment.lake, engine, campaign)
