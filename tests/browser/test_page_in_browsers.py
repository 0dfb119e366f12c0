"""The morning page in a real browser: nothing is loaded, everybody can use it, on a desk, on a phone, in the dark and on paper."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from support.morning_shops import FIRST_NIGHT, HELD_BACK, HOSTILE, WEEK_LATER, a_morning_shop, lose_most_orders
from support.morning_tables import a_night_of_everything, html_of
from support.nights import run_night

from pipeline.errors import GateClosed
from pipeline.lake.addresses import morning_page, page_index
from pipeline.lake.lake import Lake

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
Opener = Callable[..., Page]
DESK, PHONE = 1280, 390
NIGHTS = {"week": WEEK_LATER, "first": FIRST_NIGHT, "held back": HELD_BACK}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the files of the pages of a shop's first night, of a week later and of a night held back; of a tiny shop; and the list."""
    folder = tmp_path_factory.mktemp("shops")
    shop = a_morning_shop(folder / "shop", customer_count=300, name='<b>Shop</b> & "O\'Neil"')
    lake = Lake(folder / "lake")
    run_night(shop.folder, lake, FIRST_NIGHT)
    run_night(shop.folder, lake, WEEK_LATER)
    lose_most_orders(shop)
    with pytest.raises(GateClosed):
        run_night(shop.folder, lake, HELD_BACK)
    tiny = a_morning_shop(folder / "tiny", customer_count=12)
    tiny_lake = Lake(folder / "tiny_lake")
    run_night(tiny.folder, tiny_lake, FIRST_NIGHT)
    files = {name: lake.local(morning_page(day)) for name, day in NIGHTS.items()}
    everything = folder / "everything.html"
    everything.write_text(html_of(a_night_of_everything()), "utf-8")
    return {**files, "everything": everything, "tiny": tiny_lake.local(morning_page(FIRST_NIGHT)), "list": lake.local(page_index())}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opener]:
    opened: list[Page] = []

    def open_file(file: Path, *, width: int = DESK, is_dark: bool = False) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark" if is_dark else "light")
        opened.append(page)
        page.goto(file.as_uri())
        return page

    yield open_file
    for page in opened:
        page.close()


LOOKS = [("week", DESK, False), ("week", DESK, True), ("week", PHONE, False), ("held back", DESK, False), ("held back", PHONE, True)]
OTHER_LOOKS = [
    ("tiny", PHONE, False),
    ("tiny", DESK, True),
    ("first", DESK, False),
    ("first", PHONE, True),
    ("list", PHONE, False),
    ("list", DESK, True),
]
EVERYTHING = [("everything", DESK, False), ("everything", PHONE, True)]


@pytest.mark.parametrize(("name", "width", "is_dark"), [*LOOKS, *OTHER_LOOKS, *EVERYTHING])
def test_everybody_can_use_it_and_nothing_sticks_out_sideways(
    pages: dict[str, Path], open_page: Opener, name: str, width: int, is_dark: bool
) -> None:
    page = open_page(pages[name], width=width, is_dark=is_dark)
    # What is closed is looked at too.
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
    assert [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]] == []


def test_nothing_is_loaded_and_nothing_runs(browser: Browser, pages: dict[str, Path]) -> None:
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.goto(pages["week"].as_uri(), wait_until="load")
    assert requests == [pages["week"].as_uri()]
    assert messages == []
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.querySelectorAll('link, img, iframe, object, embed').length") == 0
    page.close()


def test_names_stay_text(pages: dict[str, Path], open_page: Opener) -> None:
    page = open_page(pages["week"])
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.locator("header .company").inner_text() == '<b>Shop</b> & "O\'Neil"'
    # Marks of direction do not reach a title; all else does.
    shown = "".join(letter for letter in HOSTILE if letter.isprintable())
    assert page.locator("#schemes bdi").filter(has_text="O'Neil").first.inner_text().strip() in {HOSTILE, shown}


def test_definitions_open_and_close_by_keyboard(pages: dict[str, Path], open_page: Opener) -> None:
    page = open_page(pages["week"])
    button = page.locator("button.why").first
    meaning = page.locator(f"#{button.get_attribute('popovertarget')}")
    assert not meaning.is_visible()
    button.focus()
    page.keyboard.press("Enter")
    assert meaning.is_visible()
    page.keyboard.press("Escape")
    assert not meaning.is_visible()


def test_details_are_closed_on_a_phone_and_open_on_a_desk_and_on_paper(pages: dict[str, Path], open_page: Opener) -> None:
    phone, desk = open_page(pages["week"], width=PHONE), open_page(pages["week"], width=DESK)
    assert not phone.locator("#grid table").is_visible()
    phone.locator("#grid summary").click()
    assert phone.locator("#grid table").is_visible()
    assert desk.locator("#grid table").is_visible()
    desk.emulate_media(media="print")
    assert desk.locator("#grid table").is_visible()
    assert not desk.locator("nav").is_visible()
    assert desk.pdf().startswith(b"%PDF")


def test_a_table_can_be_taken_away(pages: dict[str, Path], open_page: Opener) -> None:
    page = open_page(pages["week"])
    with page.expect_download() as download:
        page.locator("#customers .get a").click()
    assert download.value.suggested_filename == f"segments-{WEEK_LATER}.csv"
    first, *rows = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert first == "segment,customers,share,by_themselves,by_ranking,by_rules_or_data,share_of_sales,sales_each"
    assert rows


def test_a_night_that_was_held_back_says_so_first(pages: dict[str, Path], open_page: Opener) -> None:
    page = open_page(pages["held back"])
    assert page.locator("h1").inner_text() == "Tuesday, June 11, 2024"
    assert "held back" in page.locator("#held-back").inner_text()
    assert "Monday, June 10, 2024" in page.locator(".alert").inner_text()
    listed = open_page(pages["list"]).locator(".nights li").all_inner_texts()
    assert [text.splitlines()[0] for text in listed] == [
        "Tuesday, June 11, 2024 Not published",
        "Monday, June 10, 2024",
        "Monday, June 3, 2024",
    ]
