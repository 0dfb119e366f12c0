"""What our SQL runner, checksums and footers add to the bare statements of a night: the same SQL, with and without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd  # noqa: F401 - Arrow imports it when first asked for a list's array; imports are left out
import pyarrow as pa
from generate import LAST_DAY
from lakes import MEMORY_LIMIT, company, copied_lake, engine, linked_lake
from measure import Cost, Result, compared, cost
from sqlglot import exp

from pipeline.definitions.schemes import load_schemes
from pipeline.features import compute_features, compute_rollups, forget_caches
from pipeline.lake.engines import Engine, Files, Parameter, empty_select, parts_of, paths_by_condition
from pipeline.lake.file_parts import FilePart
from pipeline.lake.lake import Lake
from pipeline.lake.store import Store
from pipeline.lake.tables import Table
from pipeline.lake.version_parts import VersionParts
from pipeline.publication.gates.table_checks import check_tables
from pipeline.segmentation import write_memberships

BAR = 1.1


@dataclass(frozen=True, slots=True)
class Recording:
    """An engine that passes everything on, and keeps what it was asked as plain DuckDB statements."""

    engine: Engine
    store: Store
    folder: Path
    statements: list[str] = field(default_factory=list)

    def register(self, table: Table, files: Files) -> None:
        self.engine.register(table, files)
        kept = files if isinstance(files, VersionParts) else [self._kept(each) for each in files]
        self.statements.append(_view(self.store, table, parts_of(self.store, kept, self.folder)))

    def define(self, table: Table, statement: exp.Query) -> None:
        self.engine.define(table, statement)
        self.statements.append(f"CREATE OR REPLACE VIEW {table.name} AS {statement.sql('duckdb')}")

    def run(self, statement: exp.Query, parameters: Mapping[str, Parameter]) -> pa.RecordBatchReader:
        bare = statement.transform(lambda node: exp.convert(parameters[node.name]) if isinstance(node, exp.Placeholder) else node)
        target = self.folder / f"{len(self.statements)}.parquet"
        self.statements.append(f"COPY ({bare.sql('duckdb')}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        return self.engine.run(statement, parameters)

    def close(self) -> None:
        self.engine.close()

    def _kept(self, file: str | Path) -> str | Path:
        """Return a name that the file keeps: a night clears its desk."""
        if isinstance(file, str):
            return file
        kept = self.folder / f"{len(self.statements)}-{file.name}"
        kept.hardlink_to(file)
        return kept


def results(lake: Lake, scratch: Path, *, rounds: int) -> list[Result]:
    """Return what a night's statements cost in our hands as multiples of their bare cost, and with the audit of what they wrote."""
    with TemporaryDirectory(dir=scratch) as folder:
        next_night = linked_lake(lake, Path(folder) / "next")
        for days in (2, 1):
            cost(partial(run_night, next_night, LAST_DAY - timedelta(days=days)))
        full = copied_lake(next_night, Path(folder) / "full")
        forget_caches(full)
        names = {"a night computed from all rollups": full, "a night after another": next_night}
        return [result for name, start in names.items() for result in _results(name, start, Path(folder), rounds)]


def _results(name: str, start: Lake, scratch: Path, rounds: int) -> list[Result]:
    with TemporaryDirectory(dir=scratch) as folder:
        statements = _recorded(copied_lake(start, Path(folder) / "recorded"), Path(folder))
        rows = [_round(start, statements, Path(folder) / str(number)) for number in range(rounds)]
    bare, ours, audited = zip(*rows, strict=True)
    return [
        compared(f"{name}, run and written by us / bare DuckDB", ours, bare, bar=BAR),
        compared(f"{name}, with the audit of every row / bare DuckDB", audited, bare),
    ]


def _round(start: Lake, statements: Sequence[str], folder: Path) -> tuple[Cost, Cost, Cost]:
    lake = copied_lake(start, folder)
    bare = cost(partial(run_bare, statements))
    ours = cost(partial(run_night, lake, LAST_DAY), ready=load_definitions)
    audit = cost(partial(run_audit, lake))
    return bare, ours, ours.then(audit)


def _recorded(lake: Lake, folder: Path) -> list[str]:
    """Run a night's statements and return them as DuckDB takes them."""
    with engine(lake) as opened:
        recording = Recording(opened, lake.store, folder)
        _compute(lake, recording, LAST_DAY)
    return recording.statements


def load_definitions() -> None:
    """Load and prove what a process loads once; `definitions` measures that."""
    load_schemes(company())


def run_night(lake: Lake, day: date) -> None:
    """Compute rollups, features and segments of `day`, from the rollups of the days before."""
    with engine(lake) as opened:
        _compute(lake, opened, day)


def run_audit(lake: Lake) -> None:
    """Check what was computed."""
    with engine(lake) as opened:
        check_tables(company(), lake, opened, LAST_DAY)


def run_bare(statements: Sequence[str]) -> None:
    """Run statements one after the other."""
    connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT})
    connection.execute("SET TimeZone = 'UTC'")
    for statement in statements:
        connection.execute(statement)


def _compute(lake: Lake, chosen: Engine, day: date) -> None:
    compute_rollups(lake, chosen, day)
    compute_features(company(), lake, chosen, day)
    write_memberships(company(), lake, chosen, day)


def _view(store: Store, table: Table, parts: Sequence[FilePart]) -> str:
    columns = ", ".join(exp.column(column.name, quoted=True).sql("duckdb") for column in table.stored_columns)
    selects = [
        f"SELECT {columns} FROM read_parquet([{_listed(paths)}], hive_partitioning = false) WHERE {condition or 'TRUE'}"
        for (condition, _), paths in paths_by_condition(store, table, parts, "duckdb").items()
    ]
    return f"CREATE OR REPLACE VIEW {table.name} AS {' UNION ALL '.join(selects) or empty_select(table, 'duckdb')}"


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(f"'{path}'" for path in paths)
