"""Two neighbouring nights, and where what is worked out on the way from one to the other is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import Scheme
from pipeline.features import CacheSession, MergeHistory
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import Table
from pipeline.segmentation.joined_columns import JoinedColumns


@dataclass(frozen=True, slots=True)
class MoveComparison:
    """A night with its schemes and audiences, the night before it that it is compared with, and a private folder for tables on the way."""

    company: Company
    lake: Lake
    engine: Engine
    before: date
    day: date
    folder: Path
    schemes: Sequence[Scheme]
    audiences: Sequence[Scheme] = ()

    @property
    def session(self) -> CacheSession:
        return CacheSession(self.lake, self.engine, self.folder, MergeHistory(self.lake, self.company.zone))

    @property
    def is_new_month(self) -> bool:
        """Whether what is frozen for a month is frozen anew."""
        return self.before.replace(day=1) != self.day.replace(day=1)

    def joined_columns(self, night: date) -> JoinedColumns:
        """Return what rules look at beside features, as of a night: tonight's lists, since they are part of tonight's rules."""
        return JoinedColumns([self.company], self.lake, self.engine, night, night, self.folder / f"joined_{night}")

    def store_table(self, table: Table, rows: pa.RecordBatchReader) -> Path:
        """Write `rows` to the private folder, make them readable as `table`, and return where they are."""
        path = self.folder / f"{table.name}.parquet"
        self.lake.write_private_file(table.schema, rows, path, {})
        self.engine.register(table, [path])
        return path
