"""Killed anywhere while it reads and checks events, a night run again has the bytes of an undisturbed one."""

from __future__ import annotations

from datetime import date
from functools import partial
from pathlib import Path

import pytest
from support.events import EMAIL_SQL, HEADER, write_email_shop, write_event
from support.killing import Killer
from support.nights import run_night, tree_bytes

from pipeline.lake.lake import Lake

FIRST, SECOND = date(2024, 3, 27), date(2024, 3, 28)
ROWS = ["m0,sent,bob,2024-02-27 10:00,1,0.5,2.5,false,", "m1,sent,ann,2024-03-26 10:00,,,,,2024-03-25", "m1,sent,ann,2024-03-27 10:00,,,,,"]
MOST = 12


def read(shop: Path, day: date, root: Path) -> None:
    run_night(shop, Lake(root), day, until="validate")


@pytest.mark.parametrize("with_new_column", [False, True], ids=["as declared", "with a column more"])
def test_a_night_that_died_is_mended_by_running_it_again(tmp_path: Path, killing: Killer, *, with_new_column: bool) -> None:
    shop = write_email_shop(tmp_path / "shop", ROWS)
    work = partial(read, shop, SECOND)
    root = tmp_path / "lakes" / "lake"
    read(shop, FIRST, root)
    write_event(shop, "email", EMAIL_SQL, [HEADER, *ROWS[:2], "m1,opened,ann,2024-03-28 10:00,,,,,"])
    if with_new_column:
        toml = shop / "company.toml"
        toml.write_text(toml.read_text("utf-8") + 'device = "text"\n', "utf-8")
        (shop / "sources" / "email.sql").write_text(EMAIL_SQL.replace("FROM", ", 'phone' AS device FROM"), "utf-8")
    killed = killing.killed_at_some(work, root, MOST)
    killing.done(work, killed)
    read(shop, SECOND, root)
    expected = tree_bytes(Lake(root), "tables")
    assert any("raw_email" in name and "2024-03-28" in name for name in expected)
    for lake in killed:
        assert tree_bytes(Lake(lake), "tables") == expected, lake.name
