"""The way back: one command, after which readers see what they saw before, wherever it was killed."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company
from support.killing import Killer, copied
from support.nights import night_environment, tree_bytes, write_shop
from support.published_nights import (
    no_connections,
    publications,
    published_files,
    published_segments,
    target_rows,
    write_night,
)
from support.publishing_shops import MONDAY, NIGHTS, TUESDAY, WEDNESDAY, PublishingShop, a_publishing_shop

from pipeline.cli import run_command_line
from pipeline.definitions.company import Company
from pipeline.definitions.gate_limits import GateLimits
from pipeline.errors import DataError, GateClosed
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.publication.epoch import stamp_epoch
from pipeline.publication.gates import Override, require_open
from pipeline.publication.gates.audit import audit_night
from pipeline.publication.publish import current_publication, publish
from pipeline.publication.rollback import Rollback, roll_back
from pipeline.publication.rollback_log import read_rollbacks

pytest_plugins = ("integration.conftest",)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path, limits=GateLimits(off=("freshness",)))


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, lake: Lake) -> PublishingShop:
    return a_publishing_shop(request, tmp_path, lake)


def test_readers_of_files_and_database_see_again_what_they_saw_before(shop: PublishingShop) -> None:
    shop.publish(MONDAY)
    before = shop.seen()
    shop.publish(TUESDAY)
    done = shop.roll_back()
    assert shop.seen() == before
    assert (done.to_id[:10], done.from_id[:10]) == (str(MONDAY), str(TUESDAY))


def test_a_rerun_of_the_only_day_can_be_taken_back_too(shop: PublishingShop) -> None:
    shop.publish(MONDAY)
    before = shop.seen()
    shop.publish(MONDAY, NIGHTS[TUESDAY])
    shop.roll_back()
    assert shop.seen() == before


def test_after_a_rollback_the_next_night_moves_forward_as_if_the_one_taken_back_had_never_been(
    shop: PublishingShop, tmp_path: Path
) -> None:
    shop.publish(MONDAY)
    shop.publish(TUESDAY)
    shop.roll_back()
    published = shop.publish(WEDNESDAY)
    never = PublishingShop(
        a_company(tmp_path), Lake(tmp_path / "never"), no_connections, lambda: target_rows(tmp_path / "never" / "segments.sqlite")
    )
    never.publish(MONDAY)
    never.publish(WEDNESDAY)
    assert published_files(shop.lake) == published_files(never.lake)
    rows, others = repr_of(shop.rows()), repr_of(never.rows())
    # The night is computed beside the stored one before it, so that one's moves are needed to tell how it came about.
    assert {row[0] for row in rows.pop("segment_moves")} - {row[0] for row in others.pop("segment_moves")} == {str(TUESDAY)}
    assert rows == others
    assert publications(shop.lake) == {published.publication_id, published.previous}


def repr_of(rows: dict[str, list[Any]]) -> dict[str, list[tuple[str, ...]]]:
    """Return rows as text: SQLite keeps days and exact numbers as such."""
    return {name: [tuple(str(int(v) if isinstance(v, bool) else v) for v in row) for row in found] for name, found in rows.items()}


def test_the_night_that_was_taken_back_is_published_again_by_running_it_again(shop: PublishingShop) -> None:
    shop.publish(MONDAY)
    shop.publish(TUESDAY)
    after = shop.seen()
    shop.roll_back()
    shop.publish(TUESDAY)
    assert shop.seen() == after


def test_a_rollback_can_itself_be_taken_back_by_naming_the_publication(shop: PublishingShop) -> None:
    shop.publish(MONDAY)
    tuesday = shop.publish(TUESDAY)
    after = shop.seen()
    shop.roll_back()
    shop.roll_back(to=tuesday.publication_id)
    assert shop.seen() == after


def test_a_second_rollback_without_a_way_back_says_so_and_changes_nothing(shop: PublishingShop) -> None:
    for day in NIGHTS:
        shop.publish(day)
    shop.roll_back()
    before = shop.seen()
    with pytest.raises(DataError, match=f"no way leads back from {TUESDAY}"):
        shop.roll_back()
    assert shop.seen() == before


def test_nothing_published_cannot_be_taken_back(shop: PublishingShop) -> None:
    with pytest.raises(DataError, match="nothing is published"):
        shop.roll_back()


def test_readers_are_never_sent_to_a_damaged_publication(shop: PublishingShop) -> None:
    previous = shop.publish(MONDAY)
    shop.publish(TUESDAY)
    before = shop.seen()
    file = shop.lake.local(previous.file("customer_features"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="is damaged"):
        shop.roll_back()
    assert shop.seen() == before


def test_a_damaged_live_publication_can_be_left_by_naming_another(shop: PublishingShop) -> None:
    previous = shop.publish(MONDAY)
    before = shop.seen()
    shop.lake.write_text(f"{shop.publish(TUESDAY).prefix}manifest.json", "{")
    shop.roll_back(to=previous.publication_id)
    assert shop.seen() == before


def test_every_rollback_is_recorded_with_its_reason(
    lake: Lake, company: Company, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_shop(company.folder / "shop", [], customers=[])
    shop = PublishingShop(company, lake, no_connections, dict)
    monday, tuesday = shop.publish(MONDAY), shop.publish(TUESDAY)
    monkeypatch.setattr("sys.argv", ["segments", "rollback", "--reason", "prices were doubled"])
    with night_environment(folder, lake), pytest.raises(SystemExit) as ended:
        run_command_line()
    assert not ended.value.code
    assert f"{monday.publication_id} is live again; {tuesday.publication_id} was taken back" in capsys.readouterr().out
    assert read_rollbacks(lake) == [Rollback(tuesday.publication_id, monday.publication_id, "prices were doubled")]


# An attempt sleeps through it


def audited(shop: PublishingShop, day: date, segments: dict[str, str] | None = None) -> None:
    stamp_epoch(shop.lake, day)
    write_night(shop.lake, shop.company, day, segments or NIGHTS[day])
    with closing(DuckDBEngine(shop.lake.store, memory_limit="1GB")) as engine:
        results = audit_night(shop.company, shop.lake, engine, day, Override())
    require_open(day, results, where="page")


def test_an_attempt_that_wakes_after_the_rollback_publishes_nothing_and_a_new_run_does(lake: Lake, company: Company) -> None:
    shop = PublishingShop(company, lake, no_connections, partial(target_rows, lake.root / "segments.sqlite"))
    shop.publish(MONDAY)
    audited(shop, TUESDAY)
    publish(company, lake, TUESDAY, connections=no_connections)
    for _ in range(2):
        shop.roll_back()
        before = shop.seen()
        with pytest.raises(GateClosed, match=f"{TUESDAY} is not published: since it was audited, {TUESDAY}-.* was taken back"):
            publish(company, lake, TUESDAY, connections=no_connections)
        assert shop.seen() == before
        audited(shop, TUESDAY)
        assert publish(company, lake, TUESDAY, connections=no_connections).day == TUESDAY
    assert len(read_rollbacks(lake)) == 2


def test_a_night_judged_beside_what_was_taken_back_is_judged_again_first(lake: Lake, company: Company) -> None:
    shop = PublishingShop(company, lake, no_connections, dict)
    shop.publish(MONDAY)
    shop.publish(TUESDAY)
    audited(shop, WEDNESDAY)
    shop.roll_back()
    with pytest.raises(GateClosed, match=f"segments run --day {WEDNESDAY}"):
        publish(company, lake, WEDNESDAY, connections=no_connections)


def test_a_damaged_record_of_rollbacks_stops_what_goes_by_it(lake: Lake, company: Company) -> None:
    shop = PublishingShop(company, lake, no_connections, dict)
    shop.publish(MONDAY)
    audited(shop, TUESDAY)
    (lake.root / "rollbacks.json").write_text("[{")
    with pytest.raises(DataError, match=r"record of rollbacks cannot be read"):
        publish(company, lake, TUESDAY, connections=no_connections)


# The process dies


def roll_back_in(root: Path, to: str) -> None:
    roll_back(a_company(root), Lake(root), to=to, connections=no_connections)


def test_a_rollback_killed_anywhere_shows_all_of_one_night_and_its_retry_ends_it(killing: Killer, tmp_path: Path) -> None:
    root = tmp_path / "before"
    shop = PublishingShop(a_company(root), Lake(root), no_connections, dict)
    monday = shop.publish(MONDAY)
    shop.publish(TUESDAY)
    back = partial(roll_back_in, to=monday.publication_id)
    old, whole = sight(root), copied(root, "undisturbed")
    back(whole)
    for lake in killing.killed_everywhere(back, root):
        files, rows = sight(lake)
        assert files in (old[0], sight(whole)[0])
        assert rows in (old[1], sight(whole)[1])
        assert files == old[0] or rows != old[1], "the pointer moved before the database"
        back(lake)
        assert sight(lake) == sight(whole)
        assert read_rollbacks(Lake(lake)) == read_rollbacks(Lake(whole))
        assert tree_bytes(Lake(lake), "staging") == {}
        current = current_publication(Lake(lake))
        assert current is not None
        assert published_segments(Lake(lake)) == NIGHTS[MONDAY]


def sight(root: Path) -> tuple[dict[str, bytes], dict[str, list[Any]]]:
    return published_files(Lake(root)), target_rows(root / "segments.sqlite")
