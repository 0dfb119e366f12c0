"""Campaigns as the newest published night that tells of each has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.definitions.campaigns import CampaignState, load_campaigns
from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_CHECKS, CAMPAIGN_RESULTS, CAMPAIGN_SUMMARIES, CAMPAIGN_VALUES, Table
from pipeline.measurement.results import unreported_rows
from pipeline.measurement.started_campaigns import started_campaigns
from pipeline.publication.current import current_publication
from pipeline.spelling import did_you_mean

NOT_STARTED = "not started"
NOT_DUE, WITHHELD = 2, 6
_EXIT_CODES = {
    NOT_STARTED: NOT_DUE,
    CampaignState.PLANNED: NOT_DUE,
    CampaignState.RUNNING: NOT_DUE,
    CampaignState.SAMPLE_RATIO: WITHHELD,
    CampaignState.NOT_COMPARABLE: WITHHELD,
}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """One campaign as `night` tells of it, in rows of the night's tables; None where no night does yet."""

    night: date | None
    summary: Row
    results: tuple[Row, ...] = ()
    values: tuple[Row, ...] = ()
    checks: tuple[Row, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where the results are final, 2 where they are not due yet, 6 where they are withheld for good."""
        return _EXIT_CODES.get(self.summary["state"], 0)


def campaign_reports(company: Company, lake: Lake) -> list[CampaignReport]:
    """Return the campaigns of the newest night that tells of any, and those that were started or written since; by id."""
    nights = _measured_nights(lake)
    measured = _reports_of_night(lake, nights[-1]) if nights else {}
    unmeasured = _unmeasured_reports(company, lake)
    # One that was due more than a year ago is in older nights alone.
    older = _newest_reports(lake, nights[:-1], unmeasured.keys() - measured.keys())
    return [report for _, report in sorted({**unmeasured, **older, **measured}.items())]


def campaign_report(company: Company, lake: Lake, campaign_id: str) -> CampaignReport:
    """Return the campaign as the newest night that tells of it has it; raises ConfigError for one that nobody knows."""
    if found := _newest_reports(lake, _measured_nights(lake), {campaign_id}):
        return found[campaign_id]
    unmeasured = _unmeasured_reports(company, lake)
    if campaign_id not in unmeasured:
        what = f"there is no campaign `{campaign_id}`{did_you_mean(campaign_id, unmeasured)}"
        raise ConfigError(what, where="ID", todo=f"To see all that are known: segments campaign results{command_options(company, lake)}")
    return unmeasured[campaign_id]


def _measured_nights(lake: Lake) -> list[date]:
    """Return the nights that tell of campaigns, without those after the live one: what is held back may go by wrong data."""
    live, nights = current_publication(lake), lake.nights(CAMPAIGN_SUMMARIES)
    return [night for night in nights if live is None or night <= live.day]


def _newest_reports(lake: Lake, nights: Sequence[date], campaign_ids: Collection[str]) -> dict[str, CampaignReport]:
    """Return these campaigns, each as the newest of `nights` has it that has it at all."""
    found: dict[str, CampaignReport] = {}
    for night in reversed(nights):
        if not (lacking := set(campaign_ids) - found.keys()):
            break
        # There may be years of nights, and most tell of none of them.
        if not lacking.isdisjoint(lake.read_columns(CAMPAIGN_SUMMARIES, ["campaign_id"], day=night)["campaign_id"].to_pylist()):
            reports = _reports_of_night(lake, night)
            found |= {name: reports[name] for name in lacking & reports.keys()}
    return found


def _reports_of_night(lake: Lake, night: date) -> dict[str, CampaignReport]:
    tables = (CAMPAIGN_RESULTS, CAMPAIGN_VALUES, CAMPAIGN_CHECKS)
    rows = {table.name: _rows_by_campaign(lake, table, night) for table in tables}
    return {
        summary["campaign_id"]: CampaignReport(
            night, summary, *(tuple(rows[table.name].get(summary["campaign_id"], ())) for table in tables)
        )
        for summary in lake.read(CAMPAIGN_SUMMARIES, day=night).to_pylist()
    }


def _rows_by_campaign(lake: Lake, table: Table, night: date) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in lake.read(table, day=night).to_pylist():
        found.setdefault(row["campaign_id"], []).append(row)
    return found


def _unmeasured_reports(company: Company, lake: Lake) -> dict[str, CampaignReport]:
    """Return the campaigns that were started, and those of files that were not."""
    reports: dict[str, CampaignReport] = {}
    for name, definition in load_campaigns(company).items():
        summary = {"campaign_id": name, "title": definition.title, "state": NOT_STARTED, "is_holdout": definition.is_holdout}
        days = {"start_day": definition.start_day, "end_day": definition.end_day, "due_date": None}
        reports[name] = CampaignReport(None, summary | days)
    for started in started_campaigns(lake):
        rows = unreported_rows(started.campaign, started.night, company.lookback_days)
        reports[started.definition.campaign_id] = CampaignReport(None, rows.summary)
    return reports
