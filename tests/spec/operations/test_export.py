"""`segments export`: what is live, as plain files in one folder that is always whole."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company
from support.published_nights import no_connections, published_files, write_night

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, DataError, TransientError
from pipeline.lake import plain_folders
from pipeline.lake.lake import Lake
from pipeline.operations import export as operation
from pipeline.operations.export import export_live
from pipeline.publication.publish import publish

FIRST, SECOND = date(2024, 1, 1), date(2024, 1, 2)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path)


def publish_night(company: Company, lake: Lake, day: date, segment: str) -> None:
    write_night(lake, company, day, {"c1": segment})
    publish(company, lake, day, connections=no_connections)
    lake.write_text(f"reports/day={day}/index.html", f"<p>{segment}</p>")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_export_has_what_is_live_and_the_pages_and_nothing_else(company: Company, lake: Lake, tmp_path: Path) -> None:
    publish_night(company, lake, FIRST, "loyal")
    done = export_live(lake, tmp_path / "plain")
    found = files(tmp_path / "plain")
    assert {name.removeprefix("current/"): content for name, content in found.items() if name.startswith("current/")} == published_files(
        lake
    )
    assert found["reports/day=2024-01-01/index.html"] == b"<p>loyal</p>"
    assert {name.split("/")[0] for name in found} == {"current", "reports", "export.json"}
    assert (done.day, done.pages, "customer_segments" in done.tables) == (FIRST, 1, True)


def test_the_next_export_takes_the_place_of_the_last_one(company: Company, lake: Lake, tmp_path: Path) -> None:
    for day, segment in ((FIRST, "loyal"), (SECOND, "lost")):
        publish_night(company, lake, day, segment)
        export_live(lake, tmp_path / "plain")
    assert len([name for name in files(tmp_path / "plain") if name.startswith("reports/")]) == 2
    assert files(tmp_path / "plain" / "current") == published_files(lake)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("can_exchange", [True, False])
def test_an_export_that_fails_leaves_the_one_before(
    company: Company, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(plain_folders, "_exchange", lambda *_: False)
    publish_night(company, lake, FIRST, "loyal")
    export_live(lake, tmp_path / "plain")
    before = files(tmp_path / "plain")
    publish_night(company, lake, SECOND, "lost")
    path = lake.local("current/customer_segments.parquet").resolve()
    whole = path.read_bytes()
    path.write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
    with pytest.raises(DataError, match="customer_segments is damaged") as refused:
        export_live(lake, tmp_path / "plain")
    assert "segments run --day 2024-01-02" in refused.value.todo
    assert files(tmp_path / "plain") == before
    path.write_bytes(whole)
    export_live(lake, tmp_path / "plain")
    assert files(tmp_path / "plain") != before
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_folder_of_somebody_else_is_not_replaced(company: Company, lake: Lake, tmp_path: Path) -> None:
    publish_night(company, lake, FIRST, "loyal")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="something else is there"):
        export_live(lake, tmp_path / "theirs")
    assert files(tmp_path / "theirs") == {"letter.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    export_live(lake, tmp_path / "empty")


def test_before_the_first_night_there_is_nothing_to_export(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing is published yet"):
        export_live(lake, tmp_path / "plain")
    assert not (tmp_path / "plain").exists()


def test_a_publication_that_is_superseded_meanwhile_is_looked_for_again(
    company: Company, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_night(company, lake, FIRST, "loyal")
    seen: list[Any] = []
    read = operation.current_publication

    def read_then_publish(lake: Lake) -> Any:
        seen.append(live := read(lake))
        if len(seen) == 1:
            for day, segment in ((SECOND, "lost"), (date(2024, 1, 3), "loyal")):
                publish_night(company, lake, day, segment)
        return live

    monkeypatch.setattr(operation, "current_publication", read_then_publish)
    assert export_live(lake, tmp_path / "plain").day == date(2024, 1, 3)
    monkeypatch.setattr(operation, "current_publication", lambda _: seen[0])
    with pytest.raises(TransientError, match="changed again and again"):
        export_live(lake, tmp_path / "other")
