"""A table that is known: its sample, its layout, and how its files are written."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.definitions.source_formats import TableFormat
from pipeline.onboarding.file_formats import FoundFormat, with_key
from pipeline.onboarding.layouts.layout import Layout
from pipeline.onboarding.table_sample import TableSample


@dataclass(frozen=True, slots=True)
class RecognisedTable:
    """A table with the layout that it has, how its files are written, and, where they overlap, which counts and why."""

    sample: TableSample
    layout: Layout
    format: TableFormat
    found: FoundFormat = FoundFormat(TableFormat())  # noqa: RUF009 - both are frozen
    overlap: str = ""

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of its files, those of workbooks with the sheet that it is."""
        sheet = f", sheet {self.format.sheet}" if self.format.sheet else ""
        return tuple(f"{path.name}{sheet}" for path in self.sample.files)

    @property
    def keyed_format(self) -> TableFormat:
        """How its files are written, with the columns that say what a row is about."""
        spelled = [self.sample.spelling(name) for name in self.layout.key]
        return with_key(self.format, [name for name in spelled if name])
