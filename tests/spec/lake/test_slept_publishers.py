"""A publisher that slept for longer than its lock lasts loses to whoever published meanwhile, and removes nothing of theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company
from support.object_store import CREDENTIALS, ObjectStore, reopened
from support.published_nights import no_connections, write_night

from pipeline.definitions.company import Company
from pipeline.errors import TransientError
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.bucket.leases import Leases
from pipeline.lake.lake import Lake
from pipeline.publication.current import current_publication, publication_ids
from pipeline.publication.publish import publish
from pipeline.publication.withdrawal import withdraw_publications

MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)


@dataclass
class Publishers:
    """Two machines on one bucket: one is about to publish Tuesday, and will be stopped; the other publishes Wednesday meanwhile."""

    company: Company
    awake: BucketStore
    asleep: BucketStore

    def publish(self, store: BucketStore, day: date) -> None:
        publish(self.company, Lake(store), day, connections=no_connections)

    def sleeping_before(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def sleep(*arguments: Any, **named: Any) -> Any:
            self.publish(self.awake, WEDNESDAY)
            return method(*arguments, **named)

        return sleep


@pytest.fixture
def publishers(object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publishers:
    awake = object_store.new_store(tmp_path / "awake")
    asleep = BucketStore(replace(reopened(awake, tmp_path / "asleep").settings(), lease_seconds=0.2), CREDENTIALS)
    publishers = Publishers(a_company(tmp_path), awake, asleep)
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        write_night(Lake(awake), publishers.company, day, {"ann": "loyal", "bob": f"of {day}"})
    publishers.publish(awake, MONDAY)
    # Of a process that is stopped nothing runs, the renewing of its lock neither.
    monkeypatch.setattr(Leases, "_keep_renewing", lambda *_: None)
    return publishers


def test_who_slept_before_the_pointer_moved_ends_with_another_run_published(
    publishers: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishers.asleep, "swap_pointer", publishers.sleeping_before(publishers.asleep.swap_pointer))
    with pytest.raises(TransientError, match=r"^another run published while 2025-03-04-\w+ was about to be"):
        publishers.publish(publishers.asleep, TUESDAY)
    live = current_publication(Lake(publishers.awake))
    assert live is not None
    assert live.day == WEDNESDAY


def test_who_slept_after_it_removes_nothing_that_another_run_needs(
    publishers: Publishers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(publishers.asleep, "remove_folders", publishers.sleeping_before(publishers.asleep.remove_folders))
    with pytest.raises(TransientError, match=r"^another run took over the lock `publish` while this one stood still"):
        publishers.publish(publishers.asleep, TUESDAY)
    found = Lake(reopened(publishers.awake, tmp_path / "third"))
    assert {name[:10] for name in publication_ids(found)} == {str(TUESDAY), str(WEDNESDAY)}
    live = current_publication(found)
    assert live is not None
    assert live.day == WEDNESDAY
    assert live.previous in publication_ids(found)


def test_who_slept_before_removing_the_pointer_leaves_the_one_that_another_run_laid(
    publishers: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishers.asleep, "remove_pointer", publishers.sleeping_before(publishers.asleep.remove_pointer))
    with pytest.raises(TransientError, match=r"^another run took over the lock `publish` while this one stood still"):
        withdraw_publications(publishers.company, Lake(publishers.asleep), MONDAY, reason="", connections=no_connections)
    live = current_publication(Lake(publishers.awake))
    assert live is not None
    assert live.day == WEDNESDAY
