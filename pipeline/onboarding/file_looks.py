"""A first look at a file: how it is written, by its kind."""

from __future__ import annotations

import csv
from pathlib import Path

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import ConfigError
from pipeline.ingestion.sources.compressed_files import read_blocks, require_named_compression
from pipeline.ingestion.sources.table_files import FileKind, file_kind
from pipeline.onboarding.file_formats import LINES_LOOKED_AT, SEPARATORS, FoundFormat, text_format

TEXTS = (".txt", ".dat", ".tab")  # text tables by another name, which no night reads
FEWEST_COLUMNS, LEAST_SHARE = 3, 0.5
_REMEDIES = {
    ".zip": "Unpack it, and give the files in it.",
    ".pdf": "Export the list as CSV or Excel.",
    ".numbers": "Export it as Excel or CSV.",
}


def look_at_file(path: Path, *, given_encoding: str = "") -> list[FoundFormat]:
    """Return how the file is written; of a workbook, for each sheet that may be a table.

    Raises ConfigError for a kind of file that no night reads, DataError for one that is damaged.
    """
    kind = _kind(path)
    if kind == "workbook":
        from pipeline.onboarding.workbook_formats import workbook_formats

        return workbook_formats(path)
    if kind == "CSV":
        require_named_compression(path)
        return [text_format(b"".join(read_blocks(path)), given_encoding=given_encoding)]
    if not kind:
        todo = _REMEDIES.get(path.suffix.lower(), "Give a CSV file, a workbook (.xlsx, .xls, .ods), JSON lines or Parquet.")
        raise ConfigError(f"{path.name} is no table that can be read", where=str(path), todo=todo)
    return [FoundFormat(TableFormat())]


def may_be_table(path: Path) -> bool:
    """Return whether a file that was found in a folder is of a kind that may be a table: no note, no lock of a workbook, nothing hidden.

    A text file is one where most lines have as many cells as its header.
    """
    if path.name.startswith((".", "~$")) or not _kind(path):
        return False
    if path.suffix.lower() not in TEXTS:
        return True
    content = path.read_bytes()
    declared = text_format(content).format
    lines = content.decode(declared.encoding, errors="replace").splitlines()[declared.header_row - 1 :][:LINES_LOOKED_AT]
    widths = [[len(row) for row in csv.reader(lines, delimiter=separator) if row] for separator in SEPARATORS]
    return any(
        found and found[0] >= FEWEST_COLUMNS and len(found) > 1 and found[1:].count(found[0]) >= LEAST_SHARE * (len(found) - 1)
        for found in widths
    )


def _kind(path: Path) -> FileKind | None:
    return "CSV" if path.suffix.lower() in TEXTS else file_kind(path)
