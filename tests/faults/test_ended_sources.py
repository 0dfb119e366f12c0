"""A first night long after the newest orders is held back, and what its message says to do works as it is written."""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import date
from pathlib import Path

import pytest
from support.nights import night_environment, run_night, write_shop
from support.published_nights import published_segments

from pipeline.cli import run_command_line
from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.publication.current import current_publication

pytestmark = pytest.mark.usefixtures("own_logging")

NEWEST, LONG_AFTER = date(2024, 1, 29), date(2024, 6, 1)
CUSTOMERS = [f"c{n}" for n in range(20)]
ORDERS = [f"o{day}-{n},1,c{(day * 3 + n) % 20},2024-01-{day:02} 10:00:00,1,{10 + n}.50,a" for day in range(2, 30) for n in range(3)]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GateClosed]:
    """Return the folder of a shop and a lake whose first night was held back, and what was said of it."""
    folder = tmp_path_factory.mktemp("ended")
    shop = write_shop(folder / "shop", ORDERS, customers=CUSTOMERS)
    with pytest.raises(GateClosed) as caught:
        run_night(shop, Lake(folder / "lake"), LONG_AFTER)
    return folder, caught.value


@pytest.fixture
def place(refused: tuple[Path, GateClosed], tmp_path: Path) -> tuple[Path, Lake]:
    folder = shutil.copytree(refused[0], tmp_path / "place", symlinks=True)
    return folder / "shop", Lake(folder / "lake")


def segments(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["segments", *words])
    with pytest.raises(SystemExit) as ended:
        run_command_line()
    return int(ended.value.code or 0)


def advised_command(said: GateClosed, place: tuple[Path, Lake]) -> list[str]:
    """Return the words of the command that is advised first, with the folders of the copy."""
    [command] = re.findall(r"newest order lines: segments (.*)", said.todo)
    folders = dict(zip(("--company", "--lake"), (str(place[0]), str(place[1].root)), strict=True))
    words = shlex.split(command)
    return [folders.get(before, word) for before, word in zip(["", *words], words, strict=False)]


def test_nothing_is_published_and_the_message_names_the_newest_day(refused: tuple[Path, GateClosed]) -> None:
    folder, said = refused
    assert current_publication(Lake(folder / "lake")) is None
    assert f"the newest order lines are of {NEWEST}, 124 days back; the limit of a first night is 56" in said.what
    page = (folder / "lake" / "reports" / f"day={LONG_AFTER}" / "index.html").read_text()
    assert f"segments run --day {NEWEST}" in page


def test_the_advised_night_is_published_though_the_source_was_read_on_a_later_day(
    refused: tuple[Path, GateClosed], place: tuple[Path, Lake], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert segments(monkeypatch, *advised_command(refused[1], place)) == 0
    undisturbed = Lake(tmp_path / "undisturbed")
    run_night(place[0], undisturbed, NEWEST)
    assert published_segments(place[1]) == published_segments(undisturbed)


def test_with_the_advised_last_day_a_run_without_a_day_is_published_and_the_status_is_well(
    refused: tuple[Path, GateClosed], place: tuple[Path, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, lake = place
    [line] = re.findall(r"write `(last_day = .*?)`", refused[1].todo)
    file = shop / "company.toml"
    file.write_text(f"{line}\n{file.read_text()}")
    with night_environment(shop, lake):
        assert segments(monkeypatch, "run") == 0
        assert segments(monkeypatch, "status") == 0
    live = current_publication(lake)
    assert live is not None
    assert live.day == NEWEST


def test_the_night_after_the_newest_goes_on_from_there(place: tuple[Path, Lake]) -> None:
    shop, lake = place
    run_night(shop, lake, NEWEST)
    newer = [f"n{n},1,c{n},2024-01-30 10:00:00,1,9.50,a" for n in range(3)]
    write_shop(shop, [*ORDERS, *newer], customers=CUSTOMERS)
    run_night(shop, lake, date(2024, 1, 30))
    assert lake.nights(CUSTOMER_SEGMENTS) == [NEWEST, date(2024, 1, 30), LONG_AFTER]
    live = current_publication(lake)
    assert live is not None
    assert live.day == date(2024, 1, 30)


def test_whoever_wants_the_night_all_the_same_says_why(place: tuple[Path, Lake], monkeypatch: pytest.MonkeyPatch) -> None:
    shop, lake = place
    with night_environment(shop, lake):
        assert segments(monkeypatch, "run", "--day", str(LONG_AFTER), "--override-gate", "freshness", "--reason", "closed for months") == 0
    assert current_publication(lake)


def test_a_quiet_shop_s_first_night_within_weeks_of_its_newest_order_is_published(tmp_path: Path) -> None:
    shop, lake = write_shop(tmp_path / "shop", ORDERS[:5], customers=CUSTOMERS), Lake(tmp_path / "lake")
    run_night(shop, lake, date(2024, 2, 20))
    assert current_publication(lake)
