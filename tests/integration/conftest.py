"""A real PostgreSQL on a private Unix socket, and a fresh database for each test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql
from support.postgres import running_postgres

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Return the libpq URI of the maintenance database of a server that lives as long as the tests."""
    with running_postgres() as uri:
        yield uri


@pytest.fixture
def postgres_uri(postgres: str) -> Iterator[str]:
    """Return the libpq URI of an empty database that only this test uses."""
    name = f"test_{next(_NUMBERS)}"
    _administer(postgres, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
    yield urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
    _administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


def _administer(uri: str, statement: str, database: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(database)))
