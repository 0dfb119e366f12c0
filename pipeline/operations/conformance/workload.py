"""What is run on both: a company and its nights, with nothing that reaches anybody outside.

A company of one's own is run by a copy of its definitions. Its source is read where it is; its database, CRM, catalogue, sinks and
channels of news get nothing, and no gate stops a night, as not its data are in question but who computes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from pipeline.calendar import business_day
from pipeline.definitions.company import COMPANY_FILE, Company, load_company
from pipeline.definitions.company_sections import Target
from pipeline.definitions.definition_files import SUFFIXES
from pipeline.definitions.gate_limits import GATES
from pipeline.definitions.notify import NotifySettings
from pipeline.operations.conformance.made_up_company import ERASED, NIGHTS, add_late_lines, edit_definitions, write_made_up_company

_AUDIENCE = """title = "Two orders or more"
purpose = "Shows that a changed definition comes out alike."
owner = "segments conformance"
rule = "order_count >= 2"
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """A company and two nights of it, and what happens to it between them and a backfill, and before a plan.

    `erased` are customers to erase; none stands for the first two of the last night. Both changes may be made twice.
    """

    company: Company
    nights: tuple[date, date]
    erased: tuple[str, ...]
    add_late_rows: Callable[[Path], None]
    edit_definitions: Callable[[Path], None]


def made_up_workload(folder: Path) -> Workload:
    """Write the made-up company into `folder`, and return it with its nights."""
    return Workload(load_company(write_made_up_company(folder)), NIGHTS, ERASED, add_late_lines, edit_definitions)


@dataclass(frozen=True, slots=True)
class OwnNight:
    """A night of a company of one's own, which is run after the night before it."""

    company: Company
    day: date

    @classmethod
    def of(cls, folder: Path, day: date | None, *, now: datetime) -> OwnNight:
        """Return the night of `day`, else of the company's `last_day`, else of the last day that is over at the instant `now`.

        Raises ConfigError where the company's files are not valid, or the night or one of the two before cannot be run.
        """
        company = load_company(folder)
        chosen = day or company.last_day or business_day(now, company.zone)
        company.require_day(chosen - timedelta(2), now=now)  # a backfill runs the night before both
        return cls(company, company.require_day(chosen, now=now))


def copied_workload(own: OwnNight, folder: Path) -> Workload:
    """Return a company of one's own by a copy of its definitions in `folder`, with two nights of it."""
    company = own.company
    definitions = [path for name in SUFFIXES if name != "sinks" for path in (company.folder / name).rglob("*")]
    for path in (company.folder / COMPANY_FILE, *definitions):
        if path.is_file():
            copy = folder / path.relative_to(company.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    alone = replace(
        company,
        folder=folder,
        target=Target(),
        crm=None,
        iceberg=None,
        notify=NotifySettings(),
        limits=replace(company.limits, off=GATES),
        rejected_share_limit=1.0,
    )
    return Workload(alone, (own.day - timedelta(1), own.day), (), lambda _: None, _add_audience)


def _add_audience(folder: Path) -> None:
    file = folder / "audiences" / "conformance_check.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(_AUDIENCE, "utf-8")
