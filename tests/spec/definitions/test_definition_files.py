"""Files of a company folder: one that would never be read, or cannot be, is refused by its name."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest
from support.nights import write_shop
from support.users import as_nobody

from pipeline.definitions.company import load_company
from pipeline.definitions.schemes import load_schemes
from pipeline.errors import ConfigError


def a_shop(folder: Path) -> Path:
    return write_shop(folder / "shop", [], customers=[])


def refusal(shop: Path) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        load_schemes(load_company(shop))
    assert refused.value.where
    assert refused.value.todo
    return refused.value


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sources/consent.sql", "consents.sql"),
        ("sources/visit.sql", "visits.sql"),
        ("sources/Consents.sql", "consents.sql"),
        ("sources/CONSENTS.SQL", "consents.sql"),
        ("sources/consents.sql.txt", "consents.sql"),
        ("sources/consents.sq", "consents.sql"),
        ("sources/erasure.sql", "erasures.sql"),
        ("sources/notes", ""),
        ("sources/old/consents.sql", ""),
        ("expectations/order_lines.json", "raw_order_lines.json"),
        ("expectations/raw_order_line.json", "raw_order_lines.json"),
        ("expectations/raw_order_lines.jsn", "raw_order_lines.json"),
        ("expectations/customer_segments.toml", "customer_segments.json"),
        ("segments/wine_club.tml", "wine_club.toml"),
        ("segments/wine_club.TOML", "wine_club.toml"),
        ("segments/wine_club", "wine_club.toml"),
        ("source/consents.sql", "sources"),
        ("Segments/wine_club.toml", "segments"),
        ("expectation/raw_order_lines.json", "expectations"),
    ],
)
def test_a_file_that_would_never_be_read_is_refused_with_the_name_that_was_meant(tmp_path: Path, name: str, meant: str) -> None:
    shop = a_shop(tmp_path)
    (shop / name).parent.mkdir(parents=True, exist_ok=True)
    (shop / name).write_text("SELECT customer_id, FALSE AS is_consenting FROM customers")
    error = refusal(shop)
    assert error.where == str(shop / "/".join(name.split("/")[:2])) or error.where == str((shop / name).parent)
    assert (f"(did you mean `{meant}`?)" in error.what) == bool(meant)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "sources/README.md",
        "sources/.consents.sql.swp",
        "sources/consents.sql~",
        "segments/#rfm.toml#",
        "expectations/.gitkeep",
        "notes/sources.txt",
        "sources/erasures.sql",
        "data/consent.csv",
    ],
)
def test_notes_backups_of_editors_and_data_lie_beside_definitions(tmp_path: Path, name: str) -> None:
    shop = a_shop(tmp_path)
    (shop / name).parent.mkdir(parents=True, exist_ok=True)
    (shop / name).write_text("anything")
    load_schemes(load_company(shop))


def test_the_folder_of_the_data_may_have_any_name(tmp_path: Path) -> None:
    shop = a_shop(tmp_path)
    (shop / "data").rename(shop / "source")
    settings = shop / "company.toml"
    settings.write_text(settings.read_text() + '[source]\npath = "source"\n')
    assert load_company(shop).source.folder == shop / "source"


@pytest.mark.parametrize("folder", ["segments", "expectations", "sources"])
def test_the_lock_link_of_an_editor_disturbs_nobody(tmp_path: Path, folder: str) -> None:
    shop = a_shop(tmp_path)
    (shop / folder).mkdir(exist_ok=True)
    (shop / folder / ".#rfm.toml").symlink_to("somebody@host.1234:5678")
    load_schemes(load_company(shop))


@pytest.mark.parametrize("name", ["segments/rfm.toml", "expectations/raw_customers.json", "sources/customers.sql", "sources/visits.sql"])
@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
def test_a_definition_that_is_no_file_is_refused(tmp_path: Path, name: str, what: str) -> None:
    path = a_shop(tmp_path) / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    {"folder": path.mkdir, "link": lambda: path.symlink_to("nowhere"), "pipe": lambda: os.mkfifo(path)}[what]()
    error = refusal(path.parents[1])
    assert error.what == f"`{name}` is no file"
    assert error.where == str(path)


@pytest.mark.parametrize("name", ["company.toml", "segments/rfm.toml"])
def test_a_definition_that_may_not_be_read_says_who_must_let_it(tmp_path: Path, name: str) -> None:
    shop = a_shop(tmp_path)
    path = shop / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    path.chmod(0)
    with as_nobody(tmp_path):
        error = refusal(shop)
    assert error.what == "cannot be read: permission denied"
    assert error.where == str(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("name = 'Café'".encode("latin-1"), "not UTF-8 text from line 1 on"),
        ("\nname = 'a'\nx = 'ß'".encode("latin-1"), "not UTF-8 text from line 3 on"),
        ("name = 'a'".encode("utf-16"), "UTF-16 text"),
        (("a = " + "[" * 100_000).encode(), "not valid TOML: nested too deep"),
        (b"a = '" + b"x" * 2_000_000 + b"'", "longer than 1,000,000 bytes"),
    ],
)
@pytest.mark.parametrize("name", ["company.toml", "segments/rfm.toml"])
def test_a_definition_that_is_no_text_is_refused(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    path = a_shop(tmp_path) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    error = refusal(tmp_path / "shop")
    assert error.what == what
    assert error.where == str(path)


def test_a_byte_order_mark_is_no_part_of_a_definition(tmp_path: Path) -> None:
    path = a_shop(tmp_path) / "company.toml"
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert load_company(path.parent).name == "Shop"
