"""What the last run of each step and of each sync took and did, noted in the lake for monitors: a small file each, overwritten every time.

Nothing is computed from them, so a lake without them has all there is to know of its customers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import Enum
from typing import Any

from pipeline.activation.sync import SyncReport
from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake


class SyncState(Enum):
    """How a sync ended."""

    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What a step of the night of `day` took, whether or not it succeeded; processor time is that of its worker processes too."""

    day: date
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class SyncRecord:
    """How the last sync of a sink ended, in customers: planned ones by change, and what became of them; both empty where it broke off.

    `synced_id` is the publication that the sink was brought to last by a sync that was done, or none.
    """

    state: SyncState
    planned: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    synced_id: str | None = None


def write_step_record(lake: Lake, step: str, record: StepRecord) -> None:
    """Write the record of a step."""
    lake.write_text(addresses.step_record(step), json.dumps({**asdict(record), "day": record.day.isoformat()}))


def read_step_record(lake: Lake, step: str) -> StepRecord | None:
    """Return the record of a step; None where there is none that can be read."""
    content = _content_at(lake, addresses.step_record(step))
    return StepRecord(date.fromisoformat(content["day"]), content["seconds"], content["cpu_seconds"]) if content else None


def write_sync_record(lake: Lake, sink: str, state: SyncState, report: SyncReport | None) -> None:
    """Write how the sync of a sink ended; `report` says what it did, None where it broke off before there was one."""
    before = read_sync_record(lake, sink)
    synced_id = before.synced_id if before else None
    if report and state is SyncState.DONE:
        synced_id = report.publication_id
    record = SyncRecord(state, _planned(report), _outcomes(report), synced_id)
    lake.write_text(addresses.sync_record(sink), json.dumps({**asdict(record), "state": state.value}))


def read_sync_record(lake: Lake, sink: str) -> SyncRecord | None:
    """Return how the last sync of a sink ended; None where that is not known."""
    content = _content_at(lake, addresses.sync_record(sink))
    return SyncRecord(**{**content, "state": SyncState(content["state"])}) if content else None


def _planned(report: SyncReport | None) -> dict[str, int]:
    plan = report and report.plan
    return {"added": plan.added_count, "changed": plan.changed_count, "removed": plan.removed_count} if plan else {}


def _outcomes(report: SyncReport | None) -> dict[str, int]:
    if report is None:
        return {}
    return {"written": report.written_count, "unchanged": report.unchanged_count, "refused": report.refused_count}


def _content_at(lake: Lake, address: str) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(lake.read_text(address))
    # One that a failing disk left unreadable says nothing; the next run writes it anew.
    except (FileNotFoundError, DataError, ValueError):
        return None
    return content
