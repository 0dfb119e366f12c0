"""The page of a stored night, written beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pipeline.definitions.company import Company
from pipeline.ingestion.validation import stored_results
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import VALIDATION_RESULTS
from pipeline.publication.gates import GateResult
from pipeline.reporting.pages.remarks import remarks_of_night
from pipeline.reporting.pages.validation import validation_page


def write_validation_page(
    company: Company, lake: Lake, day: date, *, known_on: date | None = None, gates: Sequence[GateResult] = ()
) -> None:
    """Write the page of the night's stored results, and of what its gates said where they have been judged.

    A night that was never validated gets none.
    """
    if not lake.has(VALIDATION_RESULTS, day=day, known_on=known_on):
        return
    results = stored_results(lake, day, known_on=known_on)
    rejected = {(table, rule): count for table, rule, count in results.rejected}
    page = validation_page(company.name, day, results.rule_results, rejected, gates, remarks=remarks_of_night(company, lake, day, known_on))
    lake.write_text(addresses.validation_page(day, known_on), page)
