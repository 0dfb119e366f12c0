"""A table that is known: its sample, its layout, and how its files are written."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.definitions.source_formats import TableFormat
from pipeline.onboarding.file_formats import FoundFormat
from pipeline.onboarding.layouts.layout import Layout
from pipeline.onboarding.table_sample import TableSample


@dataclass(frozen=True, slots=True)
class RecognisedTable:
    """A table with the layout that it has, and how its files are written."""

    sample: TableSample
    layout: Layout
    format: TableFormat
    found: FoundFormat = FoundFormat(TableFormat())  # noqa: RUF009 - both are frozen
