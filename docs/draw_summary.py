"""Draws docs/summary.png and docs/morning-page.png from the live night of a lake: `make docs-picture`, after `make run`.

The first shows what a terminal of 100 columns shows of the summary. Chromium takes the picture, as its fonts draw the frame without gaps.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from io import StringIO
from pathlib import Path

from rich.terminal_theme import MONOKAI
from rich.text import Text

from pipeline.definitions.company import load_company
from pipeline.lake.addresses import morning_page
from pipeline.lake.lake import Lake
from pipeline.publication.current import current_publication
from pipeline.reporting.summary import print_summary
from pipeline.reporting.summary.where_next import MORE
from pipeline.reporting.terminal import Terminal

PICTURE, PAGE_PICTURE = (Path(__file__).resolve().parent / name for name in ("summary.png", "morning-page.png"))
PAGE_SIZE = "1080,1180"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COLUMNS, WIDTH, LINE_HEIGHT, MARGIN = 100, 900, 17.5, 18
PAGE = (
    "<!doctype html><meta charset='utf-8'><style>body{{margin:0;background:#1e1d23;color:#e8e6e3;overflow:hidden}}"
    f"pre{{{{margin:{MARGIN}px;font:14px/{LINE_HEIGHT}px 'DejaVu Sans Mono',monospace}}}}</style><pre>{{code}}</pre>"
)


def draw_summary(company_folder: Path, lake_folder: Path) -> None:
    """Write the pictures of the live night of the lake in `lake_folder`; raises SystemExit where nothing can draw it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    lake = Lake(lake_folder)
    live = current_publication(lake)
    if browser is None or live is None:
        raise SystemExit("Install chromium, and run a night first: make run.")
    console = Terminal(file=StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor")
    print_summary(load_company(company_folder), lake, live.day, console=console)
    lines = [Text.from_ansi(line) for line in console.export_text(styles=True).splitlines()]
    # The commands at its end have the folders of this machine in them.
    last = next(number for number, line in enumerate(lines) if line.plain == MORE)
    shown = [Text("$ make run", style="bold green"), *lines[:last]]
    picture = Terminal(file=StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor")
    for line in shown:
        picture.print(line, soft_wrap=True)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "summary.html"
        page.write_text(picture.export_html(theme=MONOKAI, code_format=PAGE, inline_styles=True), "utf-8")
        _take_picture(browser, page, PICTURE, size=f"{WIDTH},{round(2 * MARGIN + len(shown) * LINE_HEIGHT)}")
    _take_picture(browser, lake.local(morning_page(live.day)), PAGE_PICTURE, size=PAGE_SIZE)


def _take_picture(browser: str, page: Path, picture: Path, *, size: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # As root, in a container say, Chromium has no sandbox to run in; the page is our own and loads nothing.
        options = ["--headless", "--disable-gpu", "--hide-scrollbars", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        command = [
            browser,
            *options,
            f"--user-data-dir={folder}/profile",
            f"--window-size={size}",
            f"--screenshot={picture}",
            page.as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own words


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--company", type=Path, required=True)
    parser.add_argument("--lake", type=Path, required=True)
    asked = parser.parse_args()
    draw_summary(asked.company, asked.lake)
