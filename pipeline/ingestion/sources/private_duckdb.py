"""A private DuckDB that queries of a company run in: it reads what it was given, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.errors import ConfigError, DataError, TransientError
from pipeline.ingestion.sources import SourceQuery
from pipeline.lake.engines.duckdb import confine_connection

BATCH_ROWS = 65_536
CATALOG = "source"


def open_confined_duckdb(
    folders: Iterable[Path], staging: Path, memory_limit: str, *, files: Sequence[str] = (), attached: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a database in memory that reads these folders and files; whoever opens it closes it.

    What it spills goes below `staging`. Names of tables are looked up in the file that is `attached`, read only.
    """
    spill = staging / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(spill),
        # Else a table that no file gives is looked for among the variables of this program.
        "python_enable_replacements": False,
        # Extensions are downloaded from elsewhere when a query first needs them.
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(config=settings)
    if attached:
        _attach_read_only(connection, attached)
    # Whether it may read a file, it decides by the pattern that it is asked for.
    roots = [each for folder in folders for each in dict.fromkeys((folder, Path(pattern_of(folder))))]
    confine_connection(connection, roots, files=files)
    return connection


def pattern_of(path: Path) -> str:
    """Return what DuckDB reads as this path alone: to it, `export [1].csv` is a pattern that `export 1.csv` fits."""
    return re.sub(r"([\[*?])", r"[\1]", str(path))


def select_schema(connection: duckdb.DuckDBPyConnection, query: SourceQuery) -> pa.Schema:
    """Return names and types of the columns that `query` gives.

    Raises ConfigError where it is no SELECT, DataError for a name that Arrow would cut off.
    """
    if [statement.type for statement in duckdb.extract_statements(query.text)] != [duckdb.StatementType.SELECT]:
        raise ConfigError(f"sources/{query.file.name} is no SELECT", where=str(query.file), todo="Write one SELECT.")
    relation = connection.sql(query.text, params=query.parameters or None)
    if places := [str(place) for place, name in enumerate(relation.columns, 1) if "\0" in name]:
        what = f"sources/{query.file.name} gives a column whose name has the character NUL: column {', '.join(places)}"
        raise DataError(
            what, where=str(query.file), todo="Have the file that it reads written again as text, or name its columns in the query."
        )
    found = relation.limit(0).to_arrow_reader(1).schema
    # The relation's names: Arrow's reader renames the second of two columns of one name, which would then pass as another one.
    return pa.schema([field.with_name(name) for field, name in zip(found, relation.columns, strict=True)])


def _attach_read_only(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    quoted = str(path).replace("'", "''")
    try:
        connection.execute(f"ATTACH '{quoted}' AS {CATALOG} (READ_ONLY, TYPE duckdb)")
        connection.execute(f"USE {CATALOG}")
    except duckdb.Error as error:
        connection.close()
        if "lock" in str(error):
            todo = "Run again when the program that writes to it is done, or read a copy."
            raise TransientError("the database is open for writing elsewhere", where=str(path), todo=todo) from None
        todo = f"Copy it again, or write it with a DuckDB of at most version {duckdb.__version__}."
        raise DataError(f"{path.name} is no DuckDB database that can be read", where=str(path), todo=todo) from None
