"""Law 9: a reader sees one whole publication, and `current` never goes back in time."""

from __future__ import annotations

import json
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import a_company
from support.published_nights import SCHEME, manifest, no_connections, publications, published_segments, target_rows, write_night

from pipeline.lake.lake import Lake
from pipeline.publication.publish import current_publication, publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MONDAY = date(2025, 3, 3)
DAYS = st.integers(0, 3).map(lambda offset: MONDAY + timedelta(days=offset))
SEGMENTS = st.dictionaries(st.sampled_from(["ada", "bob", "cleo"]), st.sampled_from(["loyal", "lost"]))
NIGHTS = st.lists(st.tuples(DAYS, SEGMENTS), min_size=1, max_size=6)


@dataclass
class Readers:
    """What readers must see after a series of calls: the last content of the last day published."""

    contents: dict[date, dict[str, str]] = field(default_factory=dict)

    def publish(self, day: date, segments: dict[str, str]) -> None:
        if not self.contents or day >= max(self.contents):
            self.contents[day] = segments

    @property
    def day(self) -> date:
        return max(self.contents)

    def intervals(self) -> set[tuple[str, str, str, str, str | None]]:
        """Return the history, rebuilt from every day's content with no regard for how it was reached."""
        found: set[tuple[str, str, str, str, str | None]] = set()
        before: dict[str, tuple[str, date]] = {}
        for day in sorted(self.contents):
            now = self.contents[day]
            kept = {who: held for who, held in before.items() if now.get(who) == held[0]}
            found |= {(who, SCHEME, segment, str(since), str(day)) for who, (segment, since) in before.items() if who not in kept}
            before = {who: kept.get(who, (segment, day)) for who, segment in now.items()}
        return found | {(who, SCHEME, segment, str(since), None) for who, (segment, since) in before.items()}


@settings(max_examples=12, deadline=None, derandomize=True)
@given(nights=NIGHTS)
def test_any_series_of_nights_and_reruns_shows_the_last_content_of_the_last_day(nights: list[tuple[date, dict[str, str]]]) -> None:
    with a_lake() as lake:
        company, readers = a_company(lake.root), Readers()
        for day, segments in nights:
            write_night(lake, company, day, segments)
            returned = publish(company, lake, day, connections=no_connections)
            readers.publish(day, segments)
            assert returned == current_publication(lake)
            assert returned.day == readers.day
            assert published_segments(lake) == readers.contents[readers.day]
            assert publications(lake) == {returned.publication_id} | ({returned.previous} if returned.previous else set())
        rows = target_rows(lake.root / "segments.sqlite")
        assert {row[0]: row[2] for row in rows["customer_segments"]} == readers.contents[readers.day]
        assert set(rows["customer_segment_history"]) == readers.intervals()
        assert [row[0] for row in rows["publications"]] == [str(day) for day in sorted(readers.contents)]


@settings(max_examples=4, deadline=None, derandomize=True)
@given(segments=st.lists(SEGMENTS, min_size=3, max_size=3), reruns=st.lists(st.integers(0, 2), max_size=2))
def test_whatever_was_rerun_the_way_back_is_the_day_before(segments: list[dict[str, str]], reruns: list[int]) -> None:
    with a_lake() as lake:
        company = a_company(lake.root)
        for place, content in enumerate(segments):
            day = MONDAY + timedelta(days=place)
            for shown in (*(segments[rerun] for rerun in reruns), content):
                write_night(lake, company, day, shown)
                publication = publish(company, lake, day, connections=no_connections)
            if place:
                assert str(publication.previous).startswith(str(day - timedelta(days=1)))


def test_a_reader_at_any_moment_sees_one_whole_publication_and_time_moves_forward(tmp_path: Path) -> None:
    lake, company = Lake(tmp_path / "lake"), a_company(tmp_path)
    nights = [(MONDAY + timedelta(days=n // 2), {"ada": "loyal" if n % 2 else "lost"}) for n in range(8)]
    write_night(lake, company, *nights[0])
    publish(company, lake, MONDAY, connections=no_connections)
    with reading(lambda: whole_publication(lake)) as seen:
        for day, segments in nights:
            write_night(lake, company, day, segments)
            publish(company, lake, day, connections=no_connections)
            publish(company, lake, MONDAY, connections=no_connections)
    days = [content["day"] for content in seen]
    assert days == sorted(days)
    assert len(set(days)) > 1
    assert days[-1] == manifest(lake)["day"]


def whole_publication(lake: Lake) -> dict[str, Any]:
    """Read as a careful reader does: follow the pointer once, then read every file and compare its digest."""
    while True:
        folder = (lake.root / "current").resolve()
        try:
            content: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
            digests = {name: sha256((folder / f"{name}.parquet").read_bytes()).hexdigest() for name in content["tables"]}
        except FileNotFoundError:  # two swaps passed since: the folder is gone as a whole
            continue
        assert digests == {name: table["sha256"] for name, table in content["tables"].items()}
        return content


@contextmanager
def reading(read: Callable[[], dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Call a reader over and over in a second thread while the block runs; yield what it returned."""
    seen: list[dict[str, Any]] = []
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            seen.append(read())
        seen.append(read())

    with ThreadPoolExecutor(1) as pool:
        readings = pool.submit(repeat)
        try:
            yield seen
        finally:
            over.set()
        readings.result()


@contextmanager
def a_lake() -> Iterator[Lake]:
    """Yield a lake for one example; a fixture would be shared by all of them."""
    with tempfile.TemporaryDirectory() as folder:
        yield Lake(Path(folder))
