"""A company that publishes the same few nights into one of the two databases, and takes them back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import Target
from pipeline.lake.lake import Lake
from pipeline.publication.publish import Publication, publish
from pipeline.publication.rollback import Rollback, roll_back
from pipeline.publication.withdrawal import withdraw_publications
from support.builders import a_company
from support.published_nights import TARGET_TABLES, no_connections, published_files, target_rows, write_night

SUNDAY, MONDAY, TUESDAY, WEDNESDAY = (date(2025, 3, day) for day in (2, 3, 4, 5))
NIGHTS = {
    SUNDAY: {"ada": "loyal", "eve": "new"},
    MONDAY: {"ada": "loyal", "bob": "lost", "cleo": "loyal"},
    TUESDAY: {"ada": "lost", "bob": "lost", "dan": "loyal"},
    WEDNESDAY: {"ada": "loyal", "dan": "loyal"},
}


class PublishingShop:
    """A company that publishes nights from `lake`; `rows` are those that readers of its database see."""

    def __init__(self, company: Company, lake: Lake, connections: Callable[[str], str], rows: Callable[[], dict[str, Any]]) -> None:
        self.company, self.lake, self.connections, self.rows = company, lake, connections, rows

    def publish(self, day: date, segments: dict[str, str] | None = None) -> Publication:
        write_night(self.lake, self.company, day, segments or NIGHTS[day])
        return publish(self.company, self.lake, day, connections=self.connections)

    def roll_back(self, to: str | None = None) -> Rollback:
        return roll_back(self.company, self.lake, to=to, connections=self.connections)

    def withdraw(self, since: date) -> None:
        withdraw_publications(self.company, self.lake, since, reason="", connections=self.connections)

    def seen(self) -> tuple[dict[str, bytes], dict[str, Any]]:
        return published_files(self.lake), self.rows()


def a_publishing_shop(request: pytest.FixtureRequest, tmp_path: Path, lake: Lake) -> PublishingShop:
    """Return a shop that publishes into the database that the request's parameter names."""
    if request.param == "sqlite":
        return PublishingShop(a_company(tmp_path), lake, no_connections, partial(target_rows, lake.root / "segments.sqlite"))
    uri = request.getfixturevalue("postgres_uri")
    company = a_company(tmp_path, target=Target(kind="postgresql", connection="crm"))
    return PublishingShop(company, lake, lambda _: uri, partial(_postgresql_rows, uri, company.target.schema))


def _postgresql_rows(uri: str, schema: str) -> dict[str, Any]:
    with psycopg.connect(uri) as connection:
        return {name: sorted(connection.execute(f'SELECT * FROM "{schema}"."{name}"'), key=repr) for name in TARGET_TABLES}
