"""The publication that a database target is brought to, and its rows as the target's tables have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake.tables import Table
from pipeline.publication.targets.customer_profiles import BATCH_ROWS, card_languages, customer_profiles
from pipeline.publication.targets.sessions import TargetSession, load_table
from pipeline.publication.targets.tables import (
    CLUSTERS,
    CURRENT,
    CUSTOMERS,
    MOVES,
    NEXT_ACTIONS,
    OPTIONAL,
    PREDICTIONS,
    PROFILES,
    PUBLICATIONS,
    SEGMENT_FIGURES,
    STAGED_NIGHT,
    STRATEGIES,
    TargetTable,
)

if TYPE_CHECKING:
    from pipeline.lake.engines import Engine


def _no_moves(_table: Table, _since: date) -> tuple[pa.RecordBatch, ...]:
    return ()


def _no_folder(_publication_id: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class PublishedNight:
    """A publication folder to bring the target to; on the way back, later days are taken back first.

    One that `is_empty` stands for none, and is not listed among the publications.
    Customers are spoken to in the language that their `language_attribute` names, where cards are written in it, else in `language`.
    `moves_since` gives the rows of a table of moves after a published day, of nights that were not published and came before this one.
    `folder_of` gives the folder of another publication that is kept, by its id, and `engine` what compares two of them.
    """

    day: date
    publication_id: str
    folder: Path
    is_way_back: bool = False
    is_empty: bool = False
    language: str = "en"
    language_attribute: str = ""
    moves_since: Callable[[Table, date], Iterable[pa.RecordBatch]] = _no_moves
    folder_of: Callable[[str], Path | None] = _no_folder
    engine: Callable[[], AbstractContextManager[Engine | None]] = nullcontext

    @property
    def settings_digest(self) -> str:
        """What rows of the target follow from besides the publication: how customers are spoken to."""
        languages = sorted(card_languages(self.folder, self.language))
        return sha256(repr((self.language, self.language_attribute, languages)).encode()).hexdigest()


def load_night(session: TargetSession, night: PublishedNight) -> None:
    """Describe `night` in a temporary table of one row."""
    counts = [pq.read_metadata(table_file(night.folder, table)).num_rows for table in (CURRENT, PROFILES)]
    values = (night.day, night.publication_id, *counts)
    row = dict(zip(PUBLICATIONS.column_names, values, strict=True))
    load_table(session, STAGED_NIGHT, [pa.RecordBatch.from_pylist([row])])


def published_rows(night: PublishedNight, table: TargetTable) -> Iterator[pa.RecordBatch]:
    """Yield what the publication holds of `table`; one of an older version holds nothing of tables that came since."""
    path = table_file(night.folder, table)
    if table is CUSTOMERS:
        yield from customer_profiles(night.folder, night.language, night.language_attribute)
    elif table not in (NEXT_ACTIONS, PREDICTIONS, STRATEGIES, CLUSTERS, MOVES, *OPTIONAL) or path.exists():
        file = pq.ParquetFile(path, page_checksum_verification=True)
        for batch in file.iter_batches(BATCH_ROWS, columns=table.column_names):
            rows = batch.select(table.column_names)
            rows = _without_empty_keys(rows, table) if table in SEGMENT_FIGURES else rows
            yield rows.filter(pc.is_valid(rows["expected_spend_amount"])) if table is PREDICTIONS else rows


def _without_empty_keys(rows: pa.RecordBatch, table: TargetTable) -> pa.RecordBatch:
    """Return `rows` with an empty text where a column of the key has no value: databases let no key be NULL."""
    for name in table.key:
        if rows[name].null_count:
            rows = rows.set_column(rows.schema.get_field_index(name), name, pc.fill_null(rows[name], ""))
    return rows


def table_file(folder: Path, table: TargetTable) -> Path:
    """Return the file of a publication's folder that holds the rows of `table`, if it has any."""
    return folder / f"{table.name}.parquet"
