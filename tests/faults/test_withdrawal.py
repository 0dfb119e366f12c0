"""Starting over: nights that ought never to have been published are withdrawn, wherever that is killed, and older ones follow."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from sqlite3 import connect

import pytest
from support.builders import a_company, write_rows
from support.killing import Killer
from support.nights import night_environment, run_night, tree_bytes, write_shop
from support.published_nights import no_connections, publications, target_rows
from support.publishing_shops import MONDAY, NIGHTS, SUNDAY, TUESDAY, WEDNESDAY, PublishingShop, a_publishing_shop

from pipeline.cli import run_command_line
from pipeline.definitions.company_sections import CrmSettings
from pipeline.errors import GateClosed, LockTimeout
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, EXTRACTIONS, RAW_CONSENTS, RAW_ORDER_LINES
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers, holding_off_erasures
from pipeline.operations.withdrawal import plan_withdrawal, withdraw
from pipeline.publication.publish import current_publication
from pipeline.publication.rollback_log import read_rollbacks
from pipeline.reporting.status.status import NightState, read_status

pytest_plugins = ("integration.conftest",)
pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, lake: Lake) -> PublishingShop:
    return a_publishing_shop(request, tmp_path, lake)


def test_the_newest_publication_before_the_day_is_live_again_in_files_and_database(shop: PublishingShop) -> None:
    shop.publish(MONDAY)
    before = shop.seen()
    shop.publish(WEDNESDAY)
    shop.withdraw(TUESDAY)
    assert shop.seen() == before
    assert {name[:10] for name in publications(shop.lake)} == {str(MONDAY)}
    shop.withdraw(TUESDAY)
    assert shop.seen() == before


def test_where_none_was_published_before_nothing_is_live_and_an_older_night_is_published_as_the_first(shop: PublishingShop) -> None:
    shop.publish(TUESDAY)
    shop.publish(WEDNESDAY)
    shop.withdraw(TUESDAY)
    assert current_publication(shop.lake) is None
    assert not (shop.lake.root / "current").is_symlink()
    assert {name: rows for name, rows in shop.rows().items() if rows} == {}
    shop.withdraw(TUESDAY)  # as after a kill
    first = shop.publish(SUNDAY)
    assert first.previous is None
    seen = shop.seen()
    assert [row[0] for row in seen[1]["publications"]] in ([SUNDAY], [str(SUNDAY)])
    assert {row[0] for row in seen[1]["customer_segment_history"]} == set(NIGHTS[SUNDAY])
    assert {name[:10] for name in publications(shop.lake)} == {str(SUNDAY)}
    shop.publish(MONDAY)
    assert {name[:10] for name in publications(shop.lake)} == {str(SUNDAY), str(MONDAY)}


def test_what_was_published_before_the_day_lasts_until_then_in_the_history(shop: PublishingShop) -> None:
    shop.publish(SUNDAY)
    before = shop.rows()["customer_segment_history"]
    for day in (MONDAY, TUESDAY):
        shop.publish(day)
    shop.withdraw(MONDAY)  # the publication of Sunday is kept no more
    assert current_publication(shop.lake) is None
    history = shop.rows()["customer_segment_history"]
    assert [row[:-1] for row in history] == [row[:-1] for row in before]
    assert {str(row[-1]) for row in history} == {str(MONDAY)}
    shop.publish(SUNDAY)
    assert shop.rows()["customer_segment_history"] == before


def test_another_lake_begins_anew_beside_a_database_that_holds_newer_nights(shop: PublishingShop, tmp_path: Path) -> None:
    shop.publish(TUESDAY)
    target = shop.lake.root / "segments.sqlite"
    anew = Lake(tmp_path / "anew")
    if target.exists():
        anew.root.mkdir()
        shutil.move(target, anew.root / "segments.sqlite")
        shop.rows = partial(target_rows, anew.root / "segments.sqlite")
    shop.lake = anew
    shop.withdraw(SUNDAY)
    shop.publish(SUNDAY)
    assert {row[0] for row in shop.rows()["customer_segments"]} == set(NIGHTS[SUNDAY])


# A CRM's tables


def crm_rows(lake: Lake) -> dict[str, tuple[bool, int]]:
    """Return whether each customer of the database is a member, and the number of the last change."""
    with closing(connect(lake.root / "segments.sqlite")) as connection:
        found = connection.execute("SELECT customer_id, is_member, change_seq FROM crm_profiles").fetchall()
    return {customer: (bool(is_member), seq) for customer, is_member, seq in found}


@pytest.fixture
def crm_shop(tmp_path: Path, lake: Lake) -> PublishingShop:
    (tmp_path / "sources").mkdir()
    return PublishingShop(a_company(tmp_path, crm=CrmSettings()), lake, no_connections, partial(crm_rows, lake))


def test_whoever_follows_numbers_learns_that_everybody_left_and_who_came_back(crm_shop: PublishingShop) -> None:
    crm_shop.publish(TUESDAY)
    shown = crm_shop.rows()
    crm_shop.withdraw(TUESDAY)
    gone = crm_shop.rows()
    assert {name: is_member for name, (is_member, _) in gone.items()} == dict.fromkeys(NIGHTS[TUESDAY], False)
    assert min(seq for _, seq in gone.values()) > max(seq for _, seq in shown.values())
    crm_shop.publish(SUNDAY)
    back = crm_shop.rows()
    assert {name for name, (is_member, _) in back.items() if is_member} == set(NIGHTS[SUNDAY])
    assert min(back[name][1] for name in NIGHTS[SUNDAY]) > max(seq for _, seq in gone.values())


def test_numbers_go_on_though_somebody_is_erased_while_nothing_is_live(crm_shop: PublishingShop) -> None:
    crm_shop.publish(TUESDAY)
    crm_shop.withdraw(TUESDAY)
    gone = crm_shop.rows()
    erase_customers(Deployment(crm_shop.company, crm_shop.lake, no_connections), ["bob"])
    crm_shop.publish(SUNDAY)
    back = crm_shop.rows()
    assert min(back[name][1] for name in NIGHTS[SUNDAY]) > max(seq for _, seq in gone.values())


def test_numbers_go_on_though_a_night_reached_the_database_alone_since_all_was_withdrawn(
    crm_shop: PublishingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm_shop.publish(TUESDAY)
    crm_shop.withdraw(TUESDAY)
    with monkeypatch.context() as dying:
        dying.setattr("pipeline.publication.publish.make_current", _die)
        with pytest.raises(MemoryError):
            crm_shop.publish(WEDNESDAY)
    shown = crm_shop.rows()
    assert {name for name, (is_member, _) in shown.items() if is_member} == set(NIGHTS[WEDNESDAY])
    crm_shop.withdraw(TUESDAY)
    gone = crm_shop.rows()
    assert not any(is_member for is_member, _ in gone.values())
    assert min(gone[name][1] for name in NIGHTS[WEDNESDAY]) > max(seq for _, seq in shown.values())


def _die(*_: object) -> None:
    raise MemoryError


def test_numbers_go_on_though_consents_are_damaged_when_all_is_withdrawn(crm_shop: PublishingShop) -> None:
    crm_shop.company.source_file("consents").write_text("SELECT 1")
    write_rows(crm_shop.lake, RAW_CONSENTS, [{"customer_id": name, "is_consenting": True} for name in NIGHTS[TUESDAY]], known_on=SUNDAY)
    crm_shop.publish(TUESDAY)
    shown = crm_shop.rows()
    consents = crm_shop.lake.path(RAW_CONSENTS, known_on=SUNDAY)
    whole = consents.read_bytes()
    consents.write_bytes(whole[:-20])
    crm_shop.withdraw(TUESDAY)
    consents.write_bytes(whole)
    crm_shop.publish(SUNDAY)
    assert min(seq for _, seq in crm_shop.rows().values()) > max(seq for _, seq in shown.values())


# With all that a night computes

NEWEST, AFTER, LONG_AFTER = date(2024, 1, 28), date(2024, 1, 29), date(2024, 6, 1)
CUSTOMERS = [f"c{n}" for n in range(12)]
ORDERS = [f"o{day}-{n},1,c{(day * 3 + n) % 12},2024-01-{day:02} 10:00:00,1,{10 + n}.50,a" for day in range(2, 30) for n in range(2)]


@pytest.fixture(scope="module")
def wrong_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a shop and a lake whose first night, months after the newest orders, is live."""
    folder = tmp_path_factory.mktemp("wrong")
    shop = write_shop(folder / "shop", ORDERS, customers=CUSTOMERS, settings='[gates]\noff = ["freshness"]\n')
    lake = Lake(folder / "lake")
    run_night(shop, lake, LONG_AFTER)
    erase_customers(Deployment.of(shop, lake.root), ["c11"])
    return folder


@pytest.fixture
def place(wrong_night: Path, tmp_path: Path) -> tuple[Path, Lake]:
    folder = shutil.copytree(wrong_night, tmp_path / "place", symlinks=True)
    return folder / "shop", Lake(folder / "lake")


def withdraw_all(root: Path) -> None:
    """Withdraw everything of the lake in `root`; for a child that is killed."""
    withdraw(Deployment.of(root.parent / "shop", root), date(2024, 1, 1))


def test_a_withdrawn_night_counts_as_never_run_and_what_was_read_stays(place: tuple[Path, Lake], tmp_path: Path) -> None:
    shop, lake = place
    read = tree_bytes(lake, "tables/raw_order_lines", "tables/order_lines", "tables/rejected_rows", "erasures")
    done = withdraw(Deployment.of(shop, lake.root), date(2024, 1, 1), reason="a mistake")
    assert done.nights == [LONG_AFTER]
    assert tree_bytes(lake, "tables/raw_order_lines", "tables/order_lines", "tables/rejected_rows", "erasures") == read
    assert lake.nights(EXTRACTIONS) == lake.nights(CUSTOMER_SEGMENTS) == []
    assert lake.list_addresses("reports/") == ["reports/index.html"]
    company = Deployment.of(shop, lake.root).company
    assert read_status(company, lake).newest is None
    assert [(each.withdrawn_since, each.reason) for each in read_rollbacks(lake)] == [("2024-01-01", "a mistake")]
    run_night(shop, lake, AFTER)
    undisturbed = Lake(tmp_path / "undisturbed")
    write_shop(shop, ORDERS, customers=CUSTOMERS[:-1], settings='[gates]\noff = ["freshness"]\n')
    run_night(shop, undisturbed, AFTER)
    assert lake.read(CUSTOMER_SEGMENTS, day=AFTER) == undisturbed.read(CUSTOMER_SEGMENTS, day=AFTER)
    assert tree_bytes(lake, "tables/customer_segment_intervals") == tree_bytes(undisturbed, "tables/customer_segment_intervals")
    status = read_status(company, lake).newest
    assert status is not None
    assert (status.day, status.outcome) == (AFTER, NightState.LIVE)


def test_good_nights_before_it_stay_with_their_pages_and_history(place: tuple[Path, Lake], tmp_path: Path) -> None:
    shop, lake = place[0], Lake(tmp_path / "lake")
    run_night(shop, lake, NEWEST)
    pages, intervals = (tree_bytes(lake, folder) for folder in ("reports", "tables/customer_segment_intervals"))
    run_night(shop, lake, LONG_AFTER)
    withdraw(Deployment.of(shop, lake.root), AFTER)
    live = current_publication(lake)
    assert live is not None
    assert live.day == NEWEST
    assert tree_bytes(lake, "tables/customer_segment_intervals") == intervals
    assert tree_bytes(lake, "reports") == pages
    run_night(shop, lake, AFTER)


def test_wherever_it_is_killed_the_same_call_completes_it(place: tuple[Path, Lake], killing: Killer) -> None:
    _, lake = place
    killed = killing.killed_at_some(withdraw_all, lake.root, 8)
    withdraw_all(lake.root)
    killing.done(withdraw_all, killed)
    for each in map(Lake, killed):
        assert current_publication(each) is None
        assert tree_bytes(each, "tables", "publications", "models", "definitions", "reports") == tree_bytes(
            lake, "tables", "publications", "models", "definitions", "reports"
        )
        assert target_rows(each.root / "segments.sqlite") == target_rows(lake.root / "segments.sqlite")
    run_night(killed[len(killed) // 2].parent / "shop", Lake(killed[len(killed) // 2]), NEWEST)


def test_it_says_beforehand_what_goes_and_does_nothing_without_a_yes(
    place: tuple[Path, Lake], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop, lake = place
    before = tree_bytes(lake, "tables", "publications", "reports", "definitions")
    monkeypatch.setattr("sys.argv", ["segments", "withdraw", "--since", "2024-05-01"])
    with night_environment(shop, lake), pytest.raises(SystemExit) as ended:
        run_command_line()
    assert not ended.value.code
    said = capsys.readouterr().out
    assert f"1 night, {LONG_AFTER} to {LONG_AFTER}" in said
    assert "live afterwards: nothing" in said
    assert "Nothing was done. Do it with --yes." in said
    assert tree_bytes(lake, "tables", "publications", "reports", "definitions") == before


def test_it_is_refused_while_a_night_runs_and_a_night_that_was_under_way_is_not_published(
    place: tuple[Path, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, lake = place
    monkeypatch.setattr("pipeline.operations.quiet_lake.WAIT_SECONDS", 0)
    with holding_off_erasures(lake), pytest.raises(LockTimeout, match="a night, a backfill or an erasure is under way"):
        withdraw(Deployment.of(shop, lake.root), LONG_AFTER)
    assert current_publication(lake) is not None
    run_night(shop, lake, LONG_AFTER, until="segment")
    withdraw(Deployment.of(shop, lake.root), AFTER)
    run_night_from_features(shop, lake)


def run_night_from_features(shop: Path, lake: Lake) -> None:
    from support.nights import night_of

    from pipeline.operations import steps

    night = night_of(shop, lake, LONG_AFTER)
    steps.features(night)
    steps.segment(night)
    with pytest.raises(GateClosed, match="all since 2024-01-29 was withdrawn"):
        steps.audit(night)


def test_a_lake_of_nothing_and_a_day_after_everything_come_to_nothing(place: tuple[Path, Lake]) -> None:
    shop, lake = place
    assert plan_withdrawal(Deployment.of(shop, lake.root), date(2024, 6, 2)).is_empty
    withdraw(Deployment.of(shop, lake.root), date(2024, 6, 2))
    live = current_publication(lake)
    assert live is not None
    assert live.day == LONG_AFTER
    assert lake.event_days(RAW_ORDER_LINES).versions
