"""The summary fits a screen, the whole one shows every scheme: what a marketing person asks first, in a narrow and in a wide terminal."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from support.nights import run_night, write_shop
from support.object_store import ObjectStore

from pipeline.definitions.company import load_company
from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake
from pipeline.reporting.pages.morning.cards import actions_of
from pipeline.reporting.pages.morning.night_tables import read_night
from pipeline.reporting.summary import print_summary, print_whole_summary
from pipeline.reporting.summary.where_next import NightPlaces, next_text, places_text
from pipeline.reporting.terminal import Terminal

NIGHT = date(2024, 3, 31)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    orders = [f"o{n},1,c{n % 9},2024-03-{n % 28 + 1:02} 10:00:00,1,{n}.50,a" for n in range(1, 60)]
    folder = write_shop(tmp_path_factory.mktemp("shop"), [*orders, "x1,1,,2024-03-31 10:00:00,1,5,a"], customers=["c1", "new"])
    run_night(folder, Lake(folder / "lake"), NIGHT)
    return folder


def shown(shop: Path, show: Callable[..., None], *, width: int, day: date = NIGHT) -> str:
    console = Terminal(width=width, record=True, quiet=False, force_terminal=False, file=(shop / "shown").open("w"))
    show(load_company(shop), Lake(shop / "lake"), day, console=console)
    console.file.close()
    return console.export_text()


def summary(shop: Path, *, width: int, day: date = NIGHT) -> str:
    return shown(shop, print_whole_summary, width=width, day=day)


def short_summary(shop: Path, *, width: int = 100, day: date = NIGHT) -> str:
    return shown(shop, print_summary, width=width, day=day)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_short_one_says_who_they_are_what_to_do_and_what_went_wrong(shop: Path, width: int) -> None:
    text = short_summary(shop, width=width)
    assert "9 customers and 1 prospect. " in " ".join(text.split())
    assert "No earlier night is stored that it could be compared with." in text
    assert "To do today: the most urgent next actions" in text
    assert "1 rejected row: 1 raw_order_lines: customer id is given." in " ".join(text.split())
    assert "Not computed: age_band (needs birth_year), " in text
    assert len(re.findall(r"^  [1-9]\. ", text, re.MULTILINE)) <= 3
    assert "…" not in text


def test_the_short_one_says_nothing_of_what_the_page_does_not_show(shop: Path) -> None:
    assert "not shown" not in short_summary(shop)


def test_of_a_night_that_is_held_back_it_says_why_and_what_to_decide_and_shows_no_card(tmp_path: Path) -> None:
    orders = [f"o{n},1,c{n % 40},2024-03-{n % 28 + 1:02} 10:00:00,1,{n}.50,a" for n in range(200)]
    shop = write_shop(tmp_path, orders, customers=[f"c{n}" for n in range(40)])
    lake = Lake(shop / "lake")
    run_night(shop, lake, date(2024, 3, 28))
    with pytest.raises(GateClosed):
        run_night(shop, lake, NIGHT)
    text = short_summary(shop)
    assert "This night is not published: 2024-03-28 stays live." in text
    assert "freshness (order_lines): the newest order lines are of 2024-03-28" in text
    assert f'--day {NIGHT} --override-gate freshness --reason "..."' in text
    assert "1. " not in text


def test_a_command_in_what_went_wrong_stays_whole(tmp_path: Path) -> None:
    known, late = [f"o{n},1,c1,2024-03-{n:02} 10:00:00,1,{n}.50,a" for n in (2, 30, 31)], "o3,1,c2,2024-03-03 10:00:00,1,1.50,a"
    for lines, day in ((known, date(2024, 3, 30)), ([*known, late], NIGHT)):
        shop = write_shop(tmp_path, lines, customers=["c1", "c2"])
        run_night(shop, Lake(shop / "lake"), day)
    [line] = [line for line in short_summary(shop, width=80).splitlines() if "changed in the source" in line]
    assert line.rstrip().endswith(f"segments backfill --reread --from 2024-03-03 --to 2024-03-03 --company {shop} --lake {shop / 'lake'}")


def test_commands_stay_whole_wherever_the_program_is(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("/srv/programs of the shop") / ("x" * 60)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr("pipeline.reporting.summary.summary.MOST_FAULTS", 0)
    [line] = [line for line in short_summary(shop, width=80).splitlines() if "more: " in line]
    assert shlex.split(line)[-2:] == ["--day", str(NIGHT)]


def test_the_short_one_fits_a_screen_and_names_the_rest(shop: Path) -> None:
    lines = short_summary(shop).splitlines()
    assert len(lines) <= 40
    more = lines[lines.index("More") + 1 :]
    assert "summary --all" in more[0]
    assert "catalog" in more[1]
    # Commands and addresses stay whole, so that they can be pasted; everything else is within the screen.
    assert max(len(line.rstrip()) for line in lines[: lines.index("More")]) <= 100


def test_the_short_one_ends_with_the_morning_page(shop: Path) -> None:
    page = shop / "lake" / "reports" / f"day={NIGHT}" / "index.html"
    assert short_summary(shop, width=200).split()[-1] == page.resolve().as_uri()


def test_the_cards_are_those_of_the_morning_page(shop: Path) -> None:
    company, lake = load_company(shop), Lake(shop / "lake")
    cards = actions_of(read_night(company, lake, NIGHT, language="en")).cards
    told = re.findall(r"^  [1-9]\. (.*?): ([0-9,]+) customer", short_summary(shop), re.MULTILINE)
    assert told == [(card.title, f"{card.customer_count:,}") for card in cards[:3]]
    assert told


def test_what_changed_since_the_last_night_is_told_by_cause(tmp_path: Path) -> None:
    orders = [f"o{n},1,c{n},2024-02-{n % 28 + 1:02} 10:00:00,1,{n}.50,a" for n in range(1, 60)]
    shop = write_shop(tmp_path, [*orders, "n1,1,new,2024-03-31 10:00:00,1,7.50,a"], customers=[f"c{n}" for n in range(60)])
    for day in (date(2024, 3, 30), NIGHT):
        run_night(shop, Lake(shop / "lake"), day)
    text = short_summary(shop)
    assert "Since the night of 2024-03-30: RFM" in text
    assert "1 order for 8 EUR, after 0 orders for 0 EUR the day before." in text
    assert "1 joined" in text
    assert "--day 2024-03-29" not in text
    # The command that shows the rest shows the same night, also once there are later ones.
    [rest] = [line for line in short_summary(shop, day=date(2024, 3, 30)).splitlines() if "summary --all" in line]
    assert " --day 2024-03-30 " in rest


def test_whom_a_changed_setting_moved_is_not_said_to_have_been_moved_by_others(tmp_path: Path) -> None:
    orders = [f"o{n},1,c{n},2024-02-{n % 28 + 1:02} 10:00:00,1,{n}.50,a" for n in range(1, 60)]
    shop = write_shop(tmp_path, orders, customers=[f"c{n}" for n in range(60)])
    lake = Lake(shop / "lake")
    run_night(shop, lake, date(2024, 3, 30))
    settings = (shop / "company.toml").read_text("utf-8")
    (shop / "company.toml").write_text(f"window_days = 40\n{settings}", "utf-8")
    run_night(shop, lake, NIGHT, until="segment")
    text = " ".join(short_summary(shop).split())
    assert re.search(r"[0-9]+ did nothing: rules, models or earlier data changed[.,]", text)
    assert ", as rules, models or earlier data changed" in text
    assert "others bought" not in text
    assert "because of others" not in text


@pytest.mark.parametrize("width", [80, 120, 200])
def test_it_names_customers_segments_money_and_rejected_rows(shop: Path, width: int) -> None:
    text = summary(shop, width=width)
    assert "9 customers and 1 prospect. " in " ".join(text.split())
    assert "1,799.50 EUR net of refunds" in " ".join(text.replace("│", " ").split())
    assert all(title in text for title in ("Champions", "Lifecycle", "Value tiers", "Behaviour clusters"))
    assert "customer id is given" in text
    assert "…" not in text


def test_it_says_where_the_segments_are_and_what_to_try_next(shop: Path) -> None:
    text = summary(shop, width=120)
    assert "current/customer_segments.parquet" in text
    assert "--day 2024-03-30" in text


def test_it_ends_with_the_morning_page(shop: Path) -> None:
    page = shop / "lake" / "reports" / f"day={NIGHT}" / "index.html"
    assert summary(shop, width=200).split()[-1] == page.resolve().as_uri()


@pytest.mark.parametrize("name", ["my shop", "it's", 'a "b" $HOME'])
def test_what_to_try_next_can_be_pasted_whatever_folders_are_called(shop: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / name, symlinks=True))
    python, segments = [line for line in summary(folder, width=120).splitlines() if line.strip()][-4:-2]
    _, _, script = shlex.split(python)
    compile(script, "pasted", "exec")
    assert str(folder / "lake") in script.replace("\\", "") or name == "it's"
    words = shlex.split(segments)
    assert words[words.index("--company") + 1] == str(folder)
    assert words[words.index("--lake") + 1] == str(folder / "lake")


def test_an_older_night_is_not_said_to_be_live(shop: Path) -> None:
    lake = Lake(shop / "lake")
    run_night(shop, lake, date(2024, 3, 30))
    text = summary(shop, width=120, day=date(2024, 3, 30))
    assert "current/customer_segments.parquet" not in text
    assert "customer_segments/day=2024-03-30/part-0.parquet" in text.replace("\n", "")


def test_a_scheme_of_many_segments_shows_the_largest_and_says_where_the_others_are(tmp_path: Path) -> None:
    orders = [f"o{n},1,c{n},2024-03-{n % 28 + 1:02} 10:00:00,1,{n}.50,category {n % 20:02}" for n in range(100)]
    again = [f"p{n},1,c{n},2024-03-29 10:00:00,1,{n}.50,category {n % 20:02}" for n in range(100)]
    folder = write_shop(tmp_path, [*orders, *again], customers=[f"c{n}" for n in range(100)])
    run_night(folder, Lake(folder / "lake"), NIGHT)
    text = summary(folder, width=120)
    assert "and 11 smaller ones: segments catalog --scheme category_affinity" in text
    assert f"--scheme category_affinity --company {folder} --lake {folder / 'lake'}" in text
    assert text.count("category 0") + text.count("category 1") == 12


def test_of_a_lake_in_a_bucket_it_names_the_command_that_writes_plain_files(shop: Path, object_store: ObjectStore, tmp_path: Path) -> None:
    store = object_store.new_store(tmp_path / "cache")
    places = NightPlaces(load_company(shop), Lake(store), NIGHT)
    for text in (places_text(places).plain, next_text(places, scheme_count=3, is_alone=False).plain):
        assert f"{places.command('export FOLDER')}   # what is live, as plain files" in text
        assert str(tmp_path / "cache") not in text
    assert places.command("status").endswith(f"--lake {store.where().rstrip('/')}")
