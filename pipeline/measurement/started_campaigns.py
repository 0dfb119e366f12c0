"""What was stored when campaigns were started: who is in which arm, and in the file's footer all else that the start fixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from pipeline.definitions.campaigns import CampaignDefinition, read_campaign
from pipeline.definitions.definition_files import Definition
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.schema_versions import SCHEMA_VERSION
from pipeline.lake.tables import CAMPAIGN_ASSIGNMENTS
from pipeline.measurement.campaign import Campaign, own_campaign


@dataclass(frozen=True, slots=True)
class StartedCampaign:
    """A campaign that was assigned from the customers of `night`; `counts` are its customers by arm, `plan` what was printed then."""

    definition: CampaignDefinition
    night: date
    counts: Mapping[str, int]
    plan: Mapping[str, Any]
    address: str

    @property
    def campaign(self) -> Campaign:
        """The campaign as it is measured."""
        return own_campaign(self.definition, self.counts, smallest_visible_lift=self.plan.get("visible_lift"))


def is_started(lake: Lake, campaign_id: str) -> bool:
    """Return whether the campaign was assigned already."""
    return lake.exists(addresses.campaign_partition(CAMPAIGN_ASSIGNMENTS, campaign_id))


def started_campaigns(lake: Lake) -> list[StartedCampaign]:
    """Return the campaigns that were started, by id; raises DataError for a file that cannot be read."""
    found = lake.list_addresses(addresses.partitions(CAMPAIGN_ASSIGNMENTS), suffix=addresses.PART)
    return [_started(lake, address) for address in found]


def store_campaign(
    lake: Lake, definition: CampaignDefinition, night: date, rows: Iterable[pa.RecordBatch], facts: Mapping[str, Any]
) -> None:
    """Store the arms of a campaign, sorted by customer, and what its start fixed."""
    manifest = {
        "table": CAMPAIGN_ASSIGNMENTS.name,
        SCHEMA_VERSION: CAMPAIGN_ASSIGNMENTS.schema_version,
        "campaign": definition.campaign_id,
        "definition": definition.text,
        "night": night.isoformat(),
        **facts,
    }
    with lake.disk_errors("store the campaign"):
        lake.write_file(
            CAMPAIGN_ASSIGNMENTS.schema, rows, addresses.campaign_partition(CAMPAIGN_ASSIGNMENTS, definition.campaign_id), manifest
        )


def _started(lake: Lake, address: str) -> StartedCampaign:
    manifest = lake.manifest(address)
    name = PurePosixPath(address).parent.name.partition("=")[2]
    return StartedCampaign(
        definition=read_campaign(Definition(Path(lake.where(address)).with_name(f"{name}.toml"), manifest["definition"])),
        night=date.fromisoformat(manifest["night"]),
        counts=manifest["counts"],
        plan=manifest["plan"],
        address=address,
    )
