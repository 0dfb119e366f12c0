"""What the gates said of a night, as stored beside it and as told in its publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.tables import GATE_RESULTS
from pipeline.publication.current import day_of_publication
from pipeline.publication.gates import GateResult, GateState

# An epoch is a number of rollbacks, and stored nights know it by this name.
EPOCH_KEY = "rollback_count"


@dataclass(frozen=True, slots=True)
class GateRecord:
    """The results of a night, and the id of the publication that it was compared with, if any."""

    compared_with: str | None
    results: Sequence[GateResult]

    @property
    def is_of_reading(self) -> bool:
        """Whether the night was refused before it was read, so that one gate alone was judged."""
        return [result.gate for result in self.results] == ["vanished"]


def store_gates(lake: Lake, day: date, record: GateRecord, *, epoch: int = 0) -> None:
    """Write the record of a night that was audited in `epoch`, replacing what was there."""
    rows = pa.Table.from_pylist([asdict(result) for result in record.results], schema=GATE_RESULTS.schema)
    manifest = {"compared_with": record.compared_with, EPOCH_KEY: epoch}
    lake.write(GATE_RESULTS, sorted_by(rows, GATE_RESULTS.key).to_batches(), day=day, manifest=manifest)


def stored_gates(lake: Lake, day: date) -> GateRecord | None:
    """Return the record of a night, or None where it was never judged."""
    if not lake.has(GATE_RESULTS, day=day):
        return None
    path = addresses.partition(GATE_RESULTS, day=day)
    return GateRecord(lake.manifest(path)["compared_with"], [_read_result(row) for row in lake.read(GATE_RESULTS, day=day).to_pylist()])


def epoch_when_audited(lake: Lake, day: date) -> int | None:
    """Return the epoch in which the night was audited, or None where it was never judged."""
    if not lake.has(GATE_RESULTS, day=day):
        return None
    return int(lake.manifest(addresses.partition(GATE_RESULTS, day=day)).get(EPOCH_KEY, 0))


def epoch_when_live_was_audited(lake: Lake, publication_id: str) -> int | None:
    """Return the epoch in which the night of the live publication was audited; None where nobody knows, or nothing is live."""
    with suppress(DataError, ValueError):
        return epoch_when_audited(lake, day_of_publication(publication_id))
    return None


def gates_to_manifest(record: GateRecord | None) -> dict[str, Any] | None:
    """Return the record as the manifest of a publication holds it."""
    return asdict(record) if record else None


def gates_from_manifest(content: Mapping[str, Any] | None) -> GateRecord | None:
    """Return the record that the manifest of a publication holds."""
    return GateRecord(content["compared_with"], [_read_result(row) for row in content["results"]]) if content else None


def _read_result(row: Mapping[str, Any]) -> GateResult:
    return GateResult(**{**row, "state": GateState(row["state"])})
