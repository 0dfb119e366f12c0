"""A first look at a file: how it is written, by its kind."""

from __future__ import annotations

from pathlib import Path

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import ConfigError
from pipeline.ingestion.sources.compressed_files import open_bytes
from pipeline.ingestion.sources.table_files import SUFFIXES
from pipeline.onboarding.file_formats import FoundFormat, text_format
from pipeline.onboarding.given_files import TEXTS

_REMEDIES = {
    ".zip": "Unpack it, and give the files in it.",
    ".pdf": "Export the list as CSV or Excel.",
    ".numbers": "Export it as Excel or CSV.",
}


def look_at_file(path: Path, *, given_encoding: str = "") -> list[FoundFormat]:
    """Return how the file is written; of a workbook, for each sheet that may be a table.

    Raises ConfigError for a kind of file that no night reads, DataError for one that is damaged.
    """
    name = path.name.lower()
    kind = next((SUFFIXES[suffix] for suffix in SUFFIXES if name.endswith(suffix)), "CSV" if path.suffix.lower() in TEXTS else "")
    if kind == "workbook":
        from pipeline.onboarding.workbook_formats import workbook_formats

        return workbook_formats(path)
    if kind == "CSV":
        with open_bytes(path) as file:
            return [text_format(file.read(), given_encoding=given_encoding)]
    if not kind:
        todo = _REMEDIES.get(path.suffix.lower(), "Give a CSV file, a workbook (.xlsx, .xls, .ods), JSON lines or Parquet.")
        raise ConfigError(f"{path.name} is no table that can be read", where=str(path), todo=todo)
    return [FoundFormat(TableFormat())]
