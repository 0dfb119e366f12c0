"""Pictures of the documentation are screenshots that a script takes, small, used, and told in words to who cannot see them."""

from __future__ import annotations

import importlib.util
import re
import struct
from pathlib import Path

import pytest

from pipeline.definitions.company import PROJECT_ROOT

SCRIPT = PROJECT_ROOT / "docs" / "draw_pictures.py"
FOLDER = PROJECT_ROOT / "docs" / "pictures"
PAGES = (PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").rglob("*.md")))
PICTURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<path>[^)]+)\)")
FEWEST_WORDS = 5
WIDEST = 1300  # pixels; what is wider is shown smaller than it was

_spec = importlib.util.spec_from_file_location("draw_pictures", SCRIPT)
assert _spec
assert _spec.loader
draw_pictures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(draw_pictures)

SHOWN = [(page, found) for page in PAGES for found in PICTURE.finditer(page.read_text("utf-8"))]


def test_every_picture_is_one_that_the_script_takes_and_a_page_shows() -> None:
    files = sorted(FOLDER.iterdir())
    assert {file.name for file in files} == {f"{name}.png" for name in draw_pictures.PICTURES}
    assert {(page.parent / found["path"]).resolve() for page, found in SHOWN} == set(files)


@pytest.mark.parametrize(("page", "found"), SHOWN, ids=lambda value: value.name if isinstance(value, Path) else value["path"])
def test_a_picture_is_told_in_words(page: Path, found: re.Match[str]) -> None:
    assert len(found["alt"].split()) >= FEWEST_WORDS, f"{page}: {found.group()}"


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.stem)
def test_a_picture_is_small(file: Path) -> None:
    content = file.read_bytes()
    assert len(content) <= draw_pictures.MOST_BYTES
    width, _ = struct.unpack(">II", content[16:24])
    assert width <= WIDEST
