"""Takes the pictures of the docs: `make docs-pictures`, or some of them with ARGS='summary morning-page'.

Each is a screenshot of what people see: nights of the demo company are run for it in a folder of their own, and Chromium takes
the picture. A picture has at most COLOURS colours, so that it stays below MOST_BYTES.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from io import BytesIO, StringIO
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from rich.terminal_theme import MONOKAI
from rich.text import Text

from local.airflow_home import read_login
from local.ports import LOOPBACK, free_port
from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.lake.addresses import morning_page
from pipeline.lake.lake import Lake
from pipeline.reporting.summary import print_summary
from pipeline.reporting.summary.where_next import MORE
from pipeline.reporting.terminal import Terminal

EVE, NIGHT = date(2014, 1, 27), date(2014, 1, 28)
FOLDER: Final = Path(__file__).resolve().parent / "pictures"
DEMO: Final = PROJECT_ROOT / "examples" / "adventureworks"
MOST_BYTES, COLOURS = 150_000, 64
COLUMNS, WIDTH, LINE_HEIGHT, MARGIN = 100, 900, 17.5, 18
DESK, PHONE, AIRFLOW = (1080, 1180), (390, 1180), (1280, 760)
TERMINAL: Final = (
    "<!doctype html><meta charset='utf-8'><style>body{{margin:0;background:#1e1d23;color:#e8e6e3;overflow:hidden}}"
    f"pre{{{{margin:{MARGIN}px;font:14px/{LINE_HEIGHT}px 'DejaVu Sans Mono',monospace}}}}</style><pre>{{code}}</pre>"
)
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")


class Demo:
    """Nights of the demo company in a folder: its last two, and the last one as it ends where most customers are missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.company = Path(shutil.copytree(DEMO, folder / "company"))
        self.lake, self.held_back = Lake(folder / "lake"), Lake(folder / "held_back")
        self._run(EVE, self.lake)
        shutil.copytree(self.lake.root, self.held_back.root, symlinks=True)
        self._run(NIGHT, self.lake)
        customers = self.company / "data" / "DimCustomer.parquet"
        pq.write_table(pq.read_table(customers).slice(0, 2000), customers)
        self._run(NIGHT, self.held_back, exit_code=6)
        shutil.copytree(DEMO, self.company, dirs_exist_ok=True)

    def _run(self, day: date, lake: Lake, *, exit_code: int = 0) -> None:
        program = [sys.executable, "-c", "from pipeline.cli import main; main()"]
        command = [*program, "run", "--company", str(self.company), "--lake", str(lake.root), "--day", str(day)]
        ended = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
        if ended.returncode != exit_code:
            raise SystemExit(f"the night of {day} ended with {ended.returncode}")


def draw_summary(browser: Browser, demo: Demo) -> bytes:
    """Return what a terminal of 100 columns shows at the end of a night."""
    console = Terminal(file=StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor")
    print_summary(load_company(demo.company), demo.lake, NIGHT, console=console)
    lines = [Text.from_ansi(line) for line in console.export_text(styles=True).splitlines()]
    # The commands at its end have the folders of this machine in them.
    last = next(number for number, line in enumerate(lines) if line.plain == MORE)
    shown = [Text("$ make run", style="bold green"), *lines[:last]]
    picture = Terminal(file=StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor")
    for line in shown:
        picture.print(line, soft_wrap=True)
    file = demo.folder / "summary.html"
    file.write_text(picture.export_html(theme=MONOKAI, code_format=TERMINAL, inline_styles=True), "utf-8")
    return _picture(browser, file, (WIDTH, round(2 * MARGIN + len(shown) * LINE_HEIGHT)))


def draw_morning_page(browser: Browser, demo: Demo) -> bytes:
    """Return the top of the morning page on a desk."""
    return _picture(browser, demo.lake.local(morning_page(NIGHT)), DESK)


def draw_morning_page_on_a_phone(browser: Browser, demo: Demo) -> bytes:
    """Return the top of the morning page on a phone."""
    return _picture(browser, demo.lake.local(morning_page(NIGHT)), PHONE)


def draw_held_back(browser: Browser, demo: Demo) -> bytes:
    """Return the top of the page of a night that a gate holds back, with commands as in a fresh checkout."""
    text = demo.held_back.local(morning_page(NIGHT)).read_text("utf-8")
    file = demo.folder / "held_back.html"
    file.write_text(text.replace(command_options(load_company(demo.company), demo.held_back), ""), "utf-8")
    return _picture(browser, file, (1080, 760))


def draw_airflow(browser: Browser, demo: Demo) -> bytes:
    """Return what Airflow shows of a night that it ran, as `make run` and `make ui` serve it."""
    home, port = demo.folder / "airflow", free_port()
    places = ["--company", str(demo.company), "--lake", str(demo.lake.root), "--home", str(home)]
    subprocess.run([sys.executable, "-m", "local.run_night", *places, "--day", str(NIGHT)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    serving = [sys.executable, "-m", "local.serve_ui", *places, "--port", str(port)]
    with subprocess.Popen(serving, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own words
        try:
            _wait_for_line(server, "Ctrl-C stops it.")
            page = browser.new_page(viewport={"width": AIRFLOW[0], "height": AIRFLOW[1]})
            page.goto(f"http://{LOOPBACK}:{port}/")
            user, password = read_login(home)
            page.fill("input[name=username]", user)
            page.fill("input[name=password]", password)
            page.click("button[type=submit]")
            page.wait_for_url("**/")
            page.goto(f"http://{LOOPBACK}:{port}/dags/nightly_segments")
            page.wait_for_selector("text=publish")
            page.wait_for_load_state("networkidle")
            return page.screenshot()
        finally:
            server.send_signal(signal.SIGINT)


PICTURES: Mapping[str, Callable[[Browser, Demo], bytes]] = {
    "summary": draw_summary,
    "morning-page": draw_morning_page,
    "morning-page-on-a-phone": draw_morning_page_on_a_phone,
    "held-back": draw_held_back,
    "airflow": draw_airflow,
}


def draw_pictures(names: list[str]) -> None:
    """Write these pictures; raises SystemExit where there is no Chromium, or a picture is too large."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit("Install chromium first: apt-get install chromium.")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        demo = Demo(Path(folder))
        # As root, in a container say, Chromium has no sandbox to run in; the pages are our own.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=options)
        for name in names:
            content = _small(PICTURES[name](browser, demo))
            if len(content) > MOST_BYTES:
                raise SystemExit(f"{name} has {len(content)} bytes, the limit is {MOST_BYTES}: show less of it.")
            (FOLDER / f"{name}.png").write_bytes(content)
        browser.close()


def _picture(browser: Browser, file: Path, size: tuple[int, int]) -> bytes:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(file.as_uri())
    content = page.screenshot()
    page.close()
    return content


def _wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process writes up to the line with `text`; raises SystemExit where it ends before."""
    for line in process.stderr or ():
        if text in line:
            return
    raise SystemExit("the interface of Airflow did not start: run `make ui` to see why")


def _small(content: bytes) -> bytes:
    image = Image.open(BytesIO(content)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    written = BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PICTURES)}; by default all")
    draw_pictures(parser.parse_args().names or list(PICTURES))
