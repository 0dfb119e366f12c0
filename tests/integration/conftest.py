"""A real PostgreSQL on a private Unix socket, and a fresh database for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.postgres import fresh_database, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Return the libpq URI of the maintenance database of a server that lives as long as the tests."""
    with running_postgres() as uri:
        yield uri


@pytest.fixture
def postgres_uri(postgres: str) -> Iterator[str]:
    """Return the libpq URI of an empty database that only this test uses."""
    with fresh_database(postgres) as uri:
        yield uri
