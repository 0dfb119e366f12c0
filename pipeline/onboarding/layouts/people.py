"""Tables with a row for each person: their part of a company."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.onboarding.attributes import AttributeColumn
from pipeline.onboarding.layouts.layout import TablePart, TableReading


def people_part(  # noqa: PLR0913
    reading: TableReading,
    *,
    customer: str,
    attributes: Sequence[AttributeColumn],
    created: str = "",
    consent: str = "",
    condition: str = "",
    rank: int = 2,
) -> TablePart:
    """Return what such a table gives a company.

    `customer`, `created` and `consent` are the SQL of a row's id, instant and agreement, `condition` says which rows count.
    """
    values = {
        "customer": customer,
        "created": created or "CAST(NULL AS TIMESTAMPTZ)",
        "attributes": attributes,
        "consent": consent,
        "condition": condition,
    }
    return TablePart(
        reading.table,
        people=reading.render("people", "people", **values),
        rank=rank,
        attributes=tuple(each.draft for each in attributes),
        consents=reading.render("people", "consents", **values) if consent else "",
    )
