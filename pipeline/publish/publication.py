"""Publish a night: an immutable folder, the database target, then the one pointer that readers follow.

    publications/<day>-<digest>/<table>.parquet + manifest.json    named by content, complete or not there
    current -> publications/<day>-<digest>                         swapped by one rename, never to an older day

After a swap only the current publication and its previous are kept.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.company import Company
from pipeline.errors import DataError, TransientError
from pipeline.lake import Lake, reading
from pipeline.publish.postgresql import publish_to_postgresql
from pipeline.publish.sqlite import publish_to_sqlite
from pipeline.publish.target import BATCH_ROWS, Night
from pipeline.tables import DAY, PUBLISHED_TABLES, Table

log = logging.getLogger("pipeline.publish")

MANIFEST = "manifest.json"
DIGEST_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Publication:
    """One published night; `previous` is the id of the publication that a rollback leads to, if any."""

    day: date
    publication_id: str
    previous: str | None
    row_counts: Mapping[str, int]
    folder: Path


def publish(
    company: Company,
    lake: Lake,
    day: date,
    *,
    tables: Sequence[Table] = PUBLISHED_TABLES,
    connections: Callable[[str], str],
) -> Publication:
    """Publish the night of `day` and return what is current then; a day older than the current one changes nothing.

    Readers keep the old publication until the last rename; after any failure the same call may be made again.
    Raises DataError where a partition is absent or damaged, TransientError where disk or database failed.
    """
    with lake.lock("publish"):
        current = current_publication(lake)
        if current is not None and day < current.day:
            log.warning("%s stays published: %s is older", current.publication_id, day)
            return current
        with _disk(lake):
            publication = _build(company, lake, day, tables, current)
        _publish_to_target(company, lake, publication, connections)
        with _disk(lake):
            _point_to(lake, publication)
            _sweep(lake, publication)
        log.info("%s is published, %s rows", publication.publication_id, f"{sum(publication.row_counts.values()):,}")
    return publication


def current_publication(lake: Lake) -> Publication | None:
    """Return what `current` points to, or None where nothing was ever published.

    Raises DataError where the pointer leads nowhere or its manifest cannot be read.
    """
    link = lake.root / "current"
    if not os.path.lexists(link):
        return None
    try:
        return _publication(lake, json.loads((link / MANIFEST).read_text("utf-8")))
    except (OSError, ValueError, KeyError):
        raise DataError(
            "the current publication is damaged: its manifest cannot be read",
            where=str(link),
            todo="Remove the link `current`, then run the day again: segments run --day YYYY-MM-DD.",
        ) from None


def _publication(lake: Lake, manifest: Mapping[str, Any]) -> Publication:
    return Publication(
        day=date.fromisoformat(manifest["day"]),
        publication_id=manifest["publication_id"],
        previous=manifest["previous"],
        row_counts={name: table["rows"] for name, table in manifest["tables"].items()},
        folder=_folder(lake, manifest["publication_id"]),
    )


def _folder(lake: Lake, publication_id: str) -> Path:
    return lake.root / "publications" / publication_id


def _build(company: Company, lake: Lake, day: date, tables: Sequence[Table], current: Publication | None) -> Publication:
    """Write the folder of `day` beside the others; nobody reads it yet, unless it is current and the same."""
    staged = lake.root / "staging" / "publication"
    shutil.rmtree(staged, ignore_errors=True)
    written = {table.name: _write_table(lake, company.table(table), day, staged) for table in tables}
    content = {"day": day.isoformat(), "tables": written, "policies": _policies(company)}
    publication_id = f"{day}-{_digest(content)}"
    manifest = {**content, "publication_id": publication_id, "previous": _previous(lake, current, day, publication_id)}
    lake.write_text(staged / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    _install(staged, _folder(lake, publication_id))
    return _publication(lake, manifest)


def _policies(company: Company) -> dict[str, Any]:
    return {
        "company": company.name,
        "time_zone": company.zone.key,
        "currency": company.currency,
        "first_day": company.first_day.isoformat(),
        "window_days": company.window_days,
        "lookback_days": company.lookback_days,
        "rejected_share_limit": company.rejected_share_limit,
    }


def _digest(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]


def _previous(lake: Lake, current: Publication | None, day: date, publication_id: str) -> str | None:
    """Return where a rollback leads: the last publication of an earlier day, so that no rerun of a day hides it.

    A rerun that has none leads to the publication it replaces; never to itself, though a retry finds itself current.
    """
    if current is None:
        return None
    ways_back = (current.publication_id,) if current.day < day else (current.previous, current.publication_id)
    return next((way for way in ways_back if way and way != publication_id and _folder(lake, way).is_dir()), None)


def _write_table(lake: Lake, table: Table, day: date, folder: Path) -> dict[str, Any]:
    path = folder / f"{table.name}.parquet"
    schema = pa.schema([(DAY.name, DAY.kind.arrow), *table.schema])
    rows = lake.write_file(schema, _dated(lake.path(table, day=day), table, day), path, {"table": table.name, "day": day})
    with path.open("rb") as file:
        return {"rows": rows, "sha256": file_digest(file, "sha256").hexdigest()}


def _dated(path: Path, table: Table, day: date) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a partition after a column with its day."""
    names = list(table.column_names)
    with reading(table, path, piece="night"):
        for batch in _partition(path, table).iter_batches(BATCH_ROWS, columns=names):
            days = pa.repeat(pa.scalar(day, DAY.kind.arrow), batch.num_rows)
            yield pa.RecordBatch.from_arrays([days, *batch.select(names).columns], names=[DAY.name, *names])


def _partition(path: Path, table: Table) -> pq.ParquetFile:
    file = pq.ParquetFile(path, page_checksum_verification=True)
    if file.schema_arrow.names != list(table.column_names):
        raise DataError(
            f"{table.name} was written with other columns than it has now",
            where=str(path),
            todo="Run that day again: segments run --day YYYY-MM-DD.",
        )
    return file


def _install(staged: Path, folder: Path) -> None:
    """Move a finished folder into place; on one of the same id it lays the same bytes, so that damage heals."""
    for path in (*staged.iterdir(), staged):
        _flush(path)
    folder.parent.mkdir(exist_ok=True)
    if folder.is_dir():
        for path in sorted(staged.iterdir()):
            path.replace(folder / path.name)
        staged.rmdir()
    else:
        staged.rename(folder)
    _flush(folder)
    _flush(folder.parent)


def _publish_to_target(company: Company, lake: Lake, publication: Publication, connections: Callable[[str], str]) -> None:
    night = Night(publication.day, publication.publication_id, publication.folder)
    if company.target.kind == "postgresql":
        is_merged = publish_to_postgresql(connections(company.target.connection), company.target, night)
    else:
        is_merged = publish_to_sqlite(lake.root / "segments.sqlite", night)
    if not is_merged:
        log.warning("the database target keeps its later day; %s was not merged", publication.publication_id)


def _point_to(lake: Lake, publication: Publication) -> None:
    staged = lake.root / "staging" / "current"
    staged.unlink(missing_ok=True)
    staged.symlink_to(Path("publications", publication.publication_id))
    staged.replace(lake.root / "current")
    _flush(lake.root)


def _sweep(lake: Lake, publication: Publication) -> None:
    """Remove every publication but the current one and its previous; each leaves its place whole."""
    swept = lake.root / "staging" / "swept"
    shutil.rmtree(swept, ignore_errors=True)
    for folder in sorted(_folder(lake, "").iterdir()):
        if folder.name not in (publication.publication_id, publication.previous):
            folder.rename(swept)
            shutil.rmtree(swept)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk(lake: Lake) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError(
            f"could not publish: {error.strerror}",
            where=str(error.filename or lake.root),
            todo="Free space or mend the disk, then run again.",
        ) from None
