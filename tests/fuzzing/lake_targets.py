"""Stored files of a lake: whatever one of them holds, whoever reads it ends in an answer or in a message."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

from support.nights import NO_GATES, run_night, write_shop

from fuzzing.target import Fault, Outcome, Target, result_or_message
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night
from pipeline.publication.current import current_publication
from pipeline.reporting.history.history import read_history
from pipeline.reporting.status.json import to_json
from pipeline.reporting.status.status import read_status

NIGHT = date(2024, 3, 3)
ORDERS = [f"o{n},1,c{n % 5},2024-02-{20 + n % 9:02} 10:00:00,1,{n}.25,a" for n in range(20)]
TEXTS = (".json", ".jsonl", ".txt", ".toml")


def run_lake(data: bytes) -> Outcome:
    """Put the bytes behind the first line in the place of the file that it names, and ask for what a lake is asked for."""
    name, _, content = data.partition(b"\n")
    address = name.decode("utf-8", "replace")
    if address not in _files():
        return Outcome()
    night = _night()
    file = night.lake.root / address
    before = file.read_bytes()
    file.write_bytes(content)
    try:
        return _read_all(night)
    finally:
        file.write_bytes(before)


def _read_all(night: Night) -> Outcome:
    lake, outcome = night.lake, Outcome()
    with result_or_message(outcome):
        deployment = Deployment.of(night.deployment.company.folder, lake.root)
    if not outcome.is_accepted:
        return outcome
    with result_or_message(outcome):
        to_json(read_status(deployment.company, lake))
    with result_or_message(outcome):
        read_history(lake, day=NIGHT, known_on=None)
    with result_or_message(outcome):
        current_publication(lake)
    with result_or_message(outcome):
        if lake.read(CUSTOMER_SEGMENTS, day=NIGHT).num_rows != _row_count():
            raise Fault("a table lost rows, and nobody was told")
    outcome.is_accepted = not outcome.words
    return outcome


@cache
def _row_count() -> int:
    return int(_night().lake.read(CUSTOMER_SEGMENTS, day=NIGHT).num_rows)


@cache
def _night() -> Night:
    folder = Path(tempfile.mkdtemp(prefix="fuzzed-"))
    shop = write_shop(folder / "shop", ORDERS, customers=[f"c{n}" for n in range(5)], settings=NO_GATES)
    run_night(shop, Lake(folder / "lake"), NIGHT)
    night = Night.of(Deployment.of(shop, folder / "lake"), NIGHT)
    night.lake.write_text("rollbacks.json", "[]")
    return night


@cache
def _files() -> frozenset[str]:
    root = _night().lake.root
    tables = [
        root / "tables" / name / f"day={NIGHT}" / "part-0.parquet" for name in ("customer_segments", "gate_results", "validation_results")
    ]
    texts = [path for path in sorted(root.rglob("*")) if path.suffix in TEXTS and not {"staging", "locks"} & {*path.parts}]
    return frozenset(str(path.relative_to(root)) for path in (*tables, *texts))


def lake_seeds() -> Sequence[bytes]:
    """Return each of the files as it is."""
    root = _night().lake.root
    return [name.encode() + b"\n" + (root / name).read_bytes() for name in sorted(_files())]


LAKE_TARGETS = (Target("lake", run_lake, lake_seeds, ("null", "[]", "{}", "-1", "1e999", '"day"', '"2024-03-03"'), "latin-1"),)
