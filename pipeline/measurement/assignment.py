"""Drawing the arms of a campaign: once, by a salted hash, with the planned shares in every segment and tenth of spend."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from pipeline.definitions.campaigns import CampaignDefinition
from pipeline.lake.statements import statement
from pipeline.lake.tables import CAMPAIGN_ASSIGNMENTS
from pipeline.measurement.arm_quotas import arm_quotas
from pipeline.measurement.measuring_session import MeasuringSession
from pipeline.measurement.staged_tables import QUOTAS, STRATA


def register_strata(session: MeasuringSession, campaign: CampaignDefinition) -> dict[str, int]:
    """Put the candidates that `register_candidates` found into strata, in a drawn order, and return the strata's sizes."""
    session.stage(STRATA, session.engine.run(statement(STRATA.name), {"salt": campaign.salt, "campaign": campaign.campaign_id}))
    sizes = session.engine.run(statement("campaign_strata_sizes"), {}).read_all().to_pylist()
    return {row["stratum"]: row["customer_count"] for row in sizes}


def quotas_of(campaign: CampaignDefinition, strata: Mapping[str, int]) -> dict[str, list[int]]:
    """Return how many customers of each stratum each arm gets, in the order of the campaign's arms."""
    return arm_quotas(strata, [arm.share_parts for arm in campaign.arms], salt=f"{campaign.salt}:{campaign.campaign_id}")


def drawn_arms(session: MeasuringSession, campaign: CampaignDefinition, quotas: Mapping[str, list[int]]) -> pa.RecordBatchReader:
    """Return the rows of `campaign_assignments`, by the strata that were registered last."""
    rows = []
    for stratum, counts in sorted(quotas.items()):
        after = 0
        for arm, count in zip(campaign.arms, counts, strict=True):
            row = {"stratum": stratum, "arm": arm.name, "is_control": arm.is_control, "after_place": after, "until_place": after + count}
            rows.append(row)
            after += count
    session.stage(QUOTAS, pa.Table.from_pylist(rows, schema=QUOTAS.schema))
    return session.engine.run(statement(CAMPAIGN_ASSIGNMENTS.name), {})
