"""A folder of downloads has more in it than tables: what is none is passed over, and named."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.onboarding import EXPORTS, export

from pipeline.errors import ConfigError, DataError
from pipeline.onboarding.file_looks import may_be_table
from pipeline.onboarding.new_company import NewCompany, make_company
from pipeline.onboarding.questions import Settings

PROSE = "Hello, these are the exports, as discussed.\nThe first one, from May, is newer.\n\nBest,\nKim\n"


def made_of(tmp_path: Path, given: Path) -> NewCompany:
    settings = Settings({"time_zone": "Europe/Berlin", "currency": "EUR"})
    now = datetime(2026, 1, 15, 12, tzinfo=UTC)
    return make_company(tmp_path / "shop", [given], settings, ask=None, command="segments init shop", now=now)


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    for name in ("notes.txt", "README", "ANSWERS.md", ".DS_Store", "~$orders.xlsx", "invoice.pdf"):
        (folder / name).write_text(PROSE, "utf-8")
    (folder / "old").mkdir()
    return folder


def test_what_is_no_table_is_passed_over_and_named(tmp_path: Path, downloads: Path) -> None:
    (downloads / "payments.csv").write_text(export("stripe_payments.csv"), "utf-8")
    made = made_of(tmp_path, downloads)
    assert [table.name for table in made.draft.tables] == ["payments"]
    said = "Not read, as they are no tables: .DS_Store, ANSWERS.md, README, invoice.pdf, notes.txt, old/, ~$orders.xlsx."
    assert said in made.draft.assumptions
    assert said in (made.folder / "README.md").read_text("utf-8")


def test_where_nothing_is_left_it_says_what_was_passed_over(tmp_path: Path, downloads: Path) -> None:
    with pytest.raises(ConfigError, match=r"may be a table\. Not read.*notes\.txt"):
        made_of(tmp_path, downloads)
    assert not (tmp_path / "shop").exists()


def test_a_file_that_is_named_itself_is_never_passed_over(tmp_path: Path, downloads: Path) -> None:
    with pytest.raises(ConfigError, match="ANSWERS"):
        made_of(tmp_path, downloads / "ANSWERS.md")


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("amazon.txt", export("amazon_all_orders.txt"), True),
        ("amazon.txt", (EXPORTS / "amazon_new_orders.txt").read_text("utf-8"), True),
        ("orders.dat", "Sales of May\n\nid;date;net\n1;2024-05-01;2,50\n2;2024-05-02;3\n", True),
        ("todo.txt", "milk\nbread\nsugar\n", False),
        ("log.txt", "a, b, c\n", False),
        ("notes.txt", PROSE, False),
        ("empty.txt", "", False),
        ("orders.csv.gz", "", True),
        ("empty.csv", "", True),
    ],
)
def test_a_text_is_a_table_where_its_lines_are_alike(tmp_path: Path, name: str, text: str, *, is_one: bool) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert may_be_table(tmp_path / name) is is_one


def test_a_compressed_file_that_is_cut_off_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "payments.csv.gz"
    path.write_bytes(gzip.compress(export("stripe_payments.csv").encode())[:-20])
    with pytest.raises(DataError, match=r"payments\.csv\.gz is cut off") as raised:
        made_of(tmp_path, path)
    assert raised.value.where == str(path)


def test_a_compressed_file_that_is_called_plain_is_said_to_be_compressed(tmp_path: Path) -> None:
    path = tmp_path / "payments.csv"
    path.write_bytes(gzip.compress(export("stripe_payments.csv").encode()))
    with pytest.raises(DataError, match=r"payments\.csv is compressed by gzip") as raised:
        made_of(tmp_path, path)
    assert raised.value.where == str(path)
