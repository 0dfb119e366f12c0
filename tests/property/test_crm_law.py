"""Law of a CRM's tables: whoever loads only rows with larger numbers than all seen holds what is live, whatever was published."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import date, timedelta
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.builders import a_company, write_rows
from support.published_nights import no_connections, publications, write_night

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import CrmSettings
from pipeline.errors import DataError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CRM_CHANGES, CRM_MEMBERS, CRM_PROFILES, RAW_CONSENTS
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.publication.publish import current_publication, publish
from pipeline.publication.rollback import roll_back
from pipeline.publication.withdrawal import withdraw_publications

MONDAY, DAY = date(2025, 3, 3), timedelta(days=1)
PEOPLE, SEGMENTS = "abcdefgh", ("new", "loyal", "lost")
OPERATIONS = ("night", "night", "night", "rerun", "rerun", "rollback", "erase", "withdraw_consent", "start_over")
Row = dict[str, Any]


class Reader:
    """Holds profiles by customer, and lists by what changes told of them."""

    def __init__(self) -> None:
        self.profiles: dict[str, Row] = {}
        self.lists: set[tuple[str, str]] = set()
        self._seen = 0

    def load(self, lake: Lake) -> None:
        rows, changes = _published(lake, CRM_PROFILES.name), _published(lake, CRM_CHANGES.name)
        if not self._seen:
            self.lists = {(row["customer_id"], row["list_name"]) for row in _published(lake, CRM_MEMBERS.name)}
        for row in changes if self._seen else ():
            if row["change_seq"] > self._seen:
                self._follow(row)
        self.profiles |= {row["customer_id"]: row for row in rows if row["change_seq"] > self._seen}
        numbers = [row["change_seq"] for row in (*rows, *changes)]
        assert max(numbers) >= self._seen
        self._seen = max(numbers)

    def _follow(self, row: Row) -> None:
        entry = (row["customer_id"], row["list_name"])
        if row["list_name"] is None:
            gone = {each for each in self.lists if each[0] == row["customer_id"]} if row["reason"] == "erasure" else set()
            self.lists -= gone
        elif row["change"] == "added":
            assert entry not in self.lists
            self.lists.add(entry)
        else:
            self.lists.remove(entry)


def _published(lake: Lake, table: str) -> list[Row]:
    rows: list[Row] = pq.read_table(lake.root / "current" / f"{table}.parquet").to_pylist()
    return rows


class Walk:
    """A random life of one lake."""

    def __init__(self, company: Company, lake: Lake, seed: int) -> None:
        self._company, self._lake, self._chance = company, lake, random.Random(seed)
        self._day, self._erased = MONDAY, set[str]()
        self._answers = dict.fromkeys(PEOPLE, True)

    def night(self) -> None:
        self._day += timedelta(days=1)
        self.rerun()

    def rerun(self) -> None:
        here = [name for name in PEOPLE if name not in self._erased and self._chance.random() < 0.8] or ["z"]
        write_night(self._lake, self._company, self._day, {name: self._chance.choice(SEGMENTS) for name in here})
        publish(self._company, self._lake, self._day, connections=no_connections)

    def rollback(self) -> None:
        with suppress(DataError):  # only two publications are kept
            roll_back(self._company, self._lake, connections=no_connections)
        self._day = max(date.fromisoformat(name[:10]) for name in publications(self._lake))

    def erase(self) -> None:
        name = self._chance.choice(PEOPLE)
        self._erased.add(name)
        erase_customers(Deployment(self._company, self._lake, no_connections), [name])

    def start_over(self) -> None:
        """Withdraw some of the last nights; where that leaves nothing, an older one is published, by then perhaps without somebody."""
        since = self._day - timedelta(days=self._chance.choice((0, 1, 9)))
        withdraw_publications(self._company, self._lake, since, reason="", connections=no_connections)
        live = current_publication(self._lake)
        self._day = live.day if live else since - timedelta(days=self._chance.choice((1, 5)))
        if live is None:
            if self._chance.random() < 0.5:
                self.erase()
            self.rerun()

    def withdraw_consent(self) -> None:
        self._answers[self._chance.choice(PEOPLE)] = self._chance.random() < 0.5
        rows = [{"customer_id": name, "is_consenting": each} for name, each in self._answers.items() if name not in self._erased]
        write_rows(self._lake, RAW_CONSENTS, rows, known_on=self._day)
        self.rerun()

    def step(self) -> None:
        getattr(self, self._chance.choice(OPERATIONS))()


@pytest.mark.parametrize("seed", [3, 8])
def test_a_reader_of_new_numbers_holds_what_is_live(tmp_path: Path, lake: Lake, seed: int) -> None:
    (tmp_path / "sources").mkdir()
    company = a_company(tmp_path, crm=CrmSettings())
    company.source_file("consents").write_text("SELECT 1")
    write_rows(lake, RAW_CONSENTS, [{"customer_id": name, "is_consenting": True} for name in PEOPLE], known_on=MONDAY)
    walk, reader = Walk(company, lake, seed), Reader()
    walk.night()
    for _ in range(12):
        reader.load(lake)
        walk.step()
        reader.load(lake)
        live = {row["customer_id"]: row for row in _published(lake, CRM_PROFILES.name)}
        _require_holds_live(reader, lake)
        with closing(connect(lake.root / "segments.sqlite")) as connection:
            held = connection.execute("SELECT customer_id, row_hash, change_seq FROM crm_profiles").fetchall()
        assert {row[0]: row[1:] for row in held} == {name: (row["row_hash"], row["change_seq"]) for name, row in live.items()}


def _require_holds_live(reader: Reader, lake: Lake) -> None:
    assert reader.profiles == {row["customer_id"]: row for row in _published(lake, CRM_PROFILES.name)}
    assert reader.lists == {(row["customer_id"], row["list_name"]) for row in _published(lake, CRM_MEMBERS.name)}


def take_back(company: Company, lake: Lake) -> None:
    [before] = [name for name in publications(lake) if name.startswith(str(MONDAY))]
    roll_back(company, lake, to=before, connections=no_connections)


def withdraw_the_last(company: Company, lake: Lake) -> None:
    withdraw_publications(company, lake, MONDAY + DAY, reason="", connections=no_connections)


def withdraw_all(company: Company, lake: Lake) -> None:
    withdraw_publications(company, lake, MONDAY, reason="", connections=no_connections)
    publish(company, lake, MONDAY, connections=no_connections)


def unlink(company: Company, lake: Lake) -> None:
    """Do what the error says of a damaged manifest."""
    (lake.root / "current").unlink()
    publish(company, lake, MONDAY + DAY, connections=no_connections)


@pytest.mark.parametrize(("way_out", "damage"), [(take_back, ""), (withdraw_the_last, "[]"), (withdraw_all, None), (unlink, "{}")])
def test_numbers_go_on_where_the_manifest_of_what_is_live_cannot_be_read(
    tmp_path: Path, lake: Lake, way_out: Callable[[Company, Lake], None], damage: str | None
) -> None:
    (tmp_path / "sources").mkdir()
    company, reader = a_company(tmp_path, crm=CrmSettings()), Reader()
    for day, segments in ((MONDAY, {"a": "new", "b": "loyal", "c": "lost"}), (MONDAY + DAY, {"a": "loyal", "b": "lost", "d": "new"})):
        write_night(lake, company, day, segments)
        publish(company, lake, day, connections=no_connections)
        reader.load(lake)
    manifest = lake.root / "current" / "manifest.json"
    if damage is None:
        manifest.unlink()
    else:
        manifest.write_text(damage)
    way_out(company, lake)
    reader.load(lake)
    _require_holds_live(reader, lake)
    write_night(lake, company, MONDAY + 2 * DAY, {"a": "new", "e": "new"})
    publish(company, lake, MONDAY + 2 * DAY, connections=no_connections)
    reader.load(lake)
    _require_holds_live(reader, lake)
