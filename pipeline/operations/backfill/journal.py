"""The journal of one backfill: what is done, so that the same request goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipeline.lake.lake import Lake
from pipeline.operations.backfill.differences import Difference
from pipeline.operations.backfill.night import Outcome
from pipeline.operations.backfill.plan import PlannedNight, Stage


class Journal:
    """One line per finished stage of a night, in a private folder of the lake; a torn last line counts as not written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcomes = list(_outcomes(folder / "done.jsonl"))
        self._done = {(each.day, each.known, each.stage) for each in self.outcomes}

    def has(self, night: PlannedNight, stage: Stage) -> bool:
        """Return whether that stage of the night is done."""
        return (night.day, night.known, stage) in self._done

    def add(self, outcome: Outcome) -> None:
        """Write down that a stage of a night is done."""
        self.outcomes.append(outcome)
        self._done.add((outcome.day, outcome.known, outcome.stage))
        with (self.folder / "done.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome), default=str) + "\n")

    def remove(self) -> None:
        """Forget the backfill: nothing is left to resume."""
        shutil.rmtree(self.folder)


@contextmanager
def opened_journal(lake: Lake, digest: str) -> Iterator[Journal]:
    """Yield the journal of the backfill `digest`; raises LockTimeout where that very backfill is running."""
    folder = lake.root / "backfills" / digest
    with lake.lock(f"backfill-{digest}", timeout_seconds=0):
        folder.mkdir(parents=True, exist_ok=True)
        yield Journal(folder)


def _outcomes(file: Path) -> Iterator[Outcome]:
    if file.exists():
        for line in file.read_text("utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                yield _outcome(json.loads(line))


def _outcome(facts: dict[str, Any]) -> Outcome:
    differences = {
        against: Difference(**{**stored, "spend_amount": Decimal(stored["spend_amount"])})
        for against, stored in (facts["differences"] or {}).items()
    }
    days = {name: date.fromisoformat(facts[name]) for name in ("day", "known")}
    return Outcome(**{**facts, **days, "differences": differences or None})
