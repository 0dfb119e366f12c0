"""What a night could not compute and which columns to look at, as a section of its page. Names and counts only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from html import escape

from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.reporting.column_warnings import column_warnings
from pipeline.segmentation import not_computed_on


@dataclass(frozen=True, slots=True)
class Remarks:
    """What was not computed, each with what it needs, and sentences about columns."""

    not_computed: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


NO_REMARKS = Remarks()


def remarks_of_night(company: Company, lake: Lake, day: date, known_on: date | None = None) -> Remarks:
    """Return the remarks on a night whose features are stored and whole; none else."""
    if not lake.has(CUSTOMER_FEATURES, day=day, known_on=known_on):
        return NO_REMARKS
    is_restated = known_on is not None and known_on != day
    try:
        lacking = not_computed_on(company, lake, day, known_on)
        return Remarks(lacking, () if is_restated else tuple(column_warnings(company, lake, day)))
    except DataError:
        # A night that is run again to mend its damaged features has them damaged still while its rows are checked.
        return NO_REMARKS


def remarks_section(remarks: Remarks) -> str:
    """Write out the section; empty without any remark."""
    lacking = [f"<code>{escape(name)}</code>: not computed: {escape(reason)}" for name, reason in remarks.not_computed.items()]
    return _list_section("Columns to look at", map(escape, remarks.warnings)) + _list_section("Not computed", lacking)


def _list_section(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f"<section><h2>{title}</h2><ul>{items}</ul></section>\n" if items else ""
