"""The site of docs/ in a real browser: every page on a phone, for everybody, in the dark, from a folder, without the network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

REPO = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
PAGES = sorted(str(page.relative_to(REPO / "docs").with_suffix(".html")) for page in (REPO / "docs").rglob("*.md"))
DESK, PHONE = 1280, 390
PATIENCE = 120_000.0  # milliseconds, on a machine that does much else
SERIOUS = {"serious", "critical"}
SMALLEST_FONT = 12  # of text to read, in pixels; marks and footnotes may be smaller
IN_THE_DARK = ("index.html", "get-started/first-night.html", "guides/segments.html", "reference/exit-codes.html")
TEXTS = """() => [...document.querySelectorAll('article p, article li, article td, article pre')]
    .map(each => parseFloat(getComputedStyle(each).fontSize))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder]
    subprocess.run(command, cwd=REPO, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": PHONE, "height": 844})
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """Yield the address under which `make docs-serve` would show the site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_read_on_a_phone_by_everybody_and_loads_nothing_from_elsewhere(site: Path, phone: Page, name: str) -> None:
    requests: list[str] = []
    listen = requests.append
    phone.on("request", lambda request: listen(request.url))
    phone.goto((site / name).as_uri())
    assert [each for each in requests if not each.startswith(("file:", "data:", "blob:"))] == []
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE, "the page scrolls sideways"
    assert min(phone.evaluate(TEXTS), default=SMALLEST_FONT) >= SMALLEST_FONT
    assert serious_findings(phone) == []


@pytest.mark.parametrize("name", IN_THE_DARK)
def test_a_page_is_read_in_the_dark_and_on_a_desk(site: Path, browser: Browser, name: str) -> None:
    page = browser.new_page(viewport={"width": DESK, "height": 800}, color_scheme="dark")
    page.set_default_timeout(PATIENCE)
    page.goto((site / name).as_uri())
    assert page.evaluate("document.body.getAttribute('data-md-color-scheme')") == "slate"
    assert page.evaluate("document.documentElement.scrollWidth") <= DESK
    assert serious_findings(page) == []
    page.close()


def test_on_a_phone_the_menu_leads_to_every_part_of_the_site(site: Path, phone: Page) -> None:
    phone.goto((site / "index.html").as_uri())
    link = phone.locator("nav.md-nav--primary").get_by_text("Exit codes", exact=True)
    expect(link).not_to_be_in_viewport()
    phone.locator("label[for=__drawer].md-header__button").click()
    phone.locator("nav.md-nav--primary").get_by_text("Reference", exact=True).first.click()
    link.click()
    phone.wait_for_url("**/reference/exit-codes.html")


def test_search_finds_a_word_of_the_glossary(served: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": DESK, "height": 800})
    page.set_default_timeout(PATIENCE)
    page.goto(served)
    query = page.locator("input[name=query]")
    query.click()
    # Before that it hears nothing of what is typed.
    expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching", timeout=PATIENCE)
    query.press_sequentially("tombstone")  # `fill` presses no key, and keys are what it hears
    page.locator(".md-search-result__item a[href*='glossary']").first.wait_for()
    page.close()


def serious_findings(page: Page) -> list[tuple[str, str]]:
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    return [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"] if each["impact"] in SERIOUS]
