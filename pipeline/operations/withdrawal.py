"""Start over from a day: what was published since is withdrawn, and what was computed since is removed.

What was read stays, with what was set aside of it, and so do erasures, campaigns that began, and what sinks acknowledged. A withdrawn
night counts as never run. Every part can be repeated: after a kill the same command completes it.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    ALL_TABLES,
    CUSTOMER_SEGMENT_INTERVALS,
    CUSTOMER_SEGMENTS,
    LATE_DAYS,
    MISDATED_DAYS,
    REJECTED_ROWS,
    VALIDATION_RESULTS,
    Partition,
)
from pipeline.operations.deployment import Deployment
from pipeline.operations.quiet_lake import quiet_lake

if TYPE_CHECKING:
    from pipeline.publication.withdrawal import WithdrawnPublications

log = logging.getLogger("pipeline.operations.withdrawal")
# What reading found: it cannot be found again where nothing of the source has changed.
FINDINGS = frozenset(table.name for table in (LATE_DAYS, MISDATED_DAYS, REJECTED_ROWS, VALIDATION_RESULTS))


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is withdrawn since a day: publications, and what was computed, by kind, as addresses.

    `night_before` is the newest night that stays computed, if any.
    """

    since: date
    publications: WithdrawnPublications
    computed: dict[str, list[str]]
    night_before: date | None

    @property
    def nights(self) -> list[date]:
        """The nights that have something computed, in order."""
        return sorted({addresses.date_in(each, "day") for each in self.computed["tables"]})

    @property
    def is_empty(self) -> bool:
        """Whether nothing is published or computed since."""
        return not (self.publications.withdrawn_ids or any(self.computed.values()))


def plan_withdrawal(deployment: Deployment, since: date) -> Withdrawal:
    """Return what a withdrawal of all since a day comes to, and do nothing."""
    from pipeline.publication.withdrawal import publications_to_withdraw

    lake = deployment.lake
    tables = [table for table in ALL_TABLES if table.partition is Partition.NIGHT and table.name not in FINDINGS]
    prefixes = [prefix for table in tables for prefix in (addresses.partitions(table), addresses.restatements(table))]
    stored = [each for prefix in prefixes for each in lake.list_addresses(prefix) if "day=" in each]
    models, refits, definitions, pages = (
        lake.list_addresses(prefix) for prefix in (addresses.MODELS, addresses.REFITS, addresses.DEFINITIONS, addresses.REPORTS)
    )
    computed = {
        "tables": [each for each in stored if addresses.date_in(each, "day") >= since],
        "models": [each for each in models if each.endswith(".json") and _fitted_on(lake, each) >= since],
        "refits": [each for each in refits if date.fromisoformat(each.split("/")[2]) >= since],
        "definitions": [each for each in definitions if date.fromisoformat(addresses.stem(each)) >= since],
        "pages": [each for each in pages if "day=" in each and addresses.date_in(each, "day") >= since],
    }
    before = max((night for night in lake.nights(CUSTOMER_SEGMENTS) if night < since), default=None)
    return Withdrawal(since, publications_to_withdraw(lake, since), computed, before)


def withdraw(deployment: Deployment, since: date, *, reason: str = "") -> Withdrawal:
    """Withdraw what was published since a day, remove what was computed since, and return what was done.

    Raises LockTimeout where a night runs, DataError where the publication to go back to is damaged, TransientError where disk or
    database failed.
    """
    from pipeline.publication.iceberg import register_live
    from pipeline.publication.withdrawal import withdraw_publications
    from pipeline.segmentation import write_intervals

    lake = deployment.lake
    with quiet_lake(lake):
        planned = plan_withdrawal(deployment, since)
        # Readers first: whatever breaks off afterwards, nobody sees a night whose tables are going.
        withdraw_publications(
            deployment.company, lake, since, reason=reason, connections=deployment.connections, memory_limit=deployment.memory_limit
        )
        lake.store.delete_all(addresses.BACKFILLS)  # one that goes on would take withdrawn nights for done
        _forget_unfitted_nights(lake, since)
        # Made of all nights: it is written anew from those that stay.
        lake.store.delete_all(addresses.partitions(CUSTOMER_SEGMENT_INTERVALS))
        # Tables last: as long as one is there, the plan of another attempt still counts its night.
        for kind in ("models", "refits", "definitions", "pages", "tables"):
            for address in planned.computed[kind]:
                lake.delete(address)
        if planned.night_before:
            with deployment.engine() as engine:
                write_intervals(lake, engine, planned.night_before)
    _write_pages(deployment)
    register_live(deployment.company, lake, catalogs=deployment.catalogs)
    log.info("all since %s is withdrawn, nights: %s", since, len(planned.nights))
    return planned


def _fitted_on(lake: Lake, address: str) -> date:
    """Return the night that a model was fitted to; that it is named by where the file does not say."""
    try:
        return date.fromisoformat(json.loads(lake.read_text(address))["day"])
    except (ValueError, KeyError, TypeError):
        return date.fromisoformat(addresses.stem(address))


def _forget_unfitted_nights(lake: Lake, since: date) -> None:
    for address in lake.list_addresses(addresses.MODELS, suffix=".txt"):
        lines = lake.read_text(address).split()
        kept = [line for line in lines if line < since.isoformat()]
        if kept != lines:
            lake.write_text(address, "".join(f"{line}\n" for line in kept))


def _write_pages(deployment: Deployment) -> None:
    """Write the page of the night that is live again, and the list of all."""
    from pipeline.publication.current import known_live_day
    from pipeline.reporting.pages.morning import write_morning_pages

    live = known_live_day(deployment.lake)
    write_morning_pages(deployment.company, deployment.lake, [live] if live else [])
