"""One run over the campaigns of a night: its engine, a private folder, and who cannot be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.features import CacheSession, MergeHistory, Survivors
from pipeline.features.united_rows import register_event_days
from pipeline.lake import addresses
from pipeline.lake.engines import Engine, Parameter
from pipeline.lake.expressions import union_all
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import (
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMER_ID,
    CUSTOMER_SURVIVORS,
    VISITS,
    VISITS_SOURCE,
    Table,
)
from pipeline.measurement.staged_tables import KNOWN, KNOWN_IDS, UNMEASURED
from pipeline.publication.left_out import known_left_out_customers


@dataclass(frozen=True)
class MeasuringSession:
    """Night `day` of a company, its engine, and a `folder` that is gone afterwards."""

    company: Company
    lake: Lake
    engine: Engine
    day: date
    folder: Path
    _staged: dict[str, Path] = field(default_factory=dict)

    @property
    def survivors(self) -> Survivors:
        """Who is whose by the end of the night."""
        return MergeHistory(self.lake, self.company.zone).survivors(self.day, self.day)

    @property
    def has_visits(self) -> bool:
        """Whether the company says who visited."""
        return self.company.source_file(VISITS_SOURCE).is_file()

    def stage(self, table: Table, rows: pa.Table | pa.RecordBatchReader, *, key: str = "") -> Path:
        """Write rows into the folder and make them readable as `table`; return the file."""
        path = self.folder / f"{table.name}{key}.parquet"
        self.lake.write_private_file(table.schema, rows.to_batches() if isinstance(rows, pa.Table) else rows, path, {})
        self.engine.register(table, [path])
        return path

    def stage_ids(self, table: Table, ids: pa.Array | pa.ChunkedArray | None) -> None:
        """Make distinct ids readable as a table of them."""
        found = pa.array([], pa.string()) if ids is None else ids
        self.stage(table, pa.table([found.unique().drop_null()], table.schema).sort_by(CUSTOMER_ID.name))

    def compute(self, table: Table, parameters: Mapping[str, Parameter], *, key: str = "") -> Path:
        """Work out the statement of a table once, and make its rows readable; one that was worked out under `key` is taken again."""
        name = f"{table.name}{key}"
        if key and name in self._staged:
            self.engine.register(table, [self._staged[name]])
        else:
            self._staged[name] = self.stage(table, self.engine.run(statement(table.name), parameters), key=key)
        return self._staged[name]

    def register_people(self) -> None:
        """Make readable who is left out of publications tonight, and who is known, also under the ids of merged customers."""
        self.stage_ids(UNMEASURED, known_left_out_customers(self.company, self.lake, self.day).ids)
        self.engine.register(KNOWN, [addresses.partition(CUSTOMER_FEATURES, day=self.day)])
        ids = [exp.select("customer_id").from_(KNOWN.name)]
        if self.survivors:
            self.stage(CUSTOMER_SURVIVORS, self.survivors.rows)
            is_merged = exp.column("customer_id").neq(exp.column("survivor_id"))
            ids.append(exp.select("customer_id").from_(CUSTOMER_SURVIVORS.name).where(is_merged))
        else:
            self.engine.register(CUSTOMER_SURVIVORS, [])
        self.engine.define(KNOWN_IDS, union_all(ids))

    def register_events(self, first_day: date) -> None:
        """Make what customers did from a day on readable, as the night knows it, under the id of who is left of merged ones."""
        session = CacheSession(self.lake, self.engine, self.folder, MergeHistory(self.lake, self.company.zone))
        for table in (CUSTOMER_DAYS, VISITS):
            if table is VISITS and not self.has_visits:
                self.engine.register(VISITS, [])
                continue
            versions = self.lake.versions_known(table, through=self.day, known_on=self.day)
            register_event_days(session, table, [each for each in versions if each.day >= first_day], self.survivors)


@contextmanager
def measuring_session(company: Company, lake: Lake, engine: Engine, day: date) -> Iterator[MeasuringSession]:
    """Yield a session over a night, with its people registered."""
    with lake.private_folder() as folder:
        session = MeasuringSession(company, lake, engine, day, folder)
        session.register_people()
        yield session


def concatenated_ids(pieces: Sequence[pa.ChunkedArray]) -> pa.Array | None:
    """Return the ids of all pieces; None where there are none."""
    chunks = [chunk for piece in pieces for chunk in piece.chunks]
    return pa.concat_arrays(chunks) if chunks else None
