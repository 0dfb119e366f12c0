"""Runs nights of a company twice, by DuckDB in a folder and by the engine and store of a deployment, and compares every file."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.lake.tables import RAW_PREFIX
from pipeline.operations.conformance.workload import OwnNight, Workload, copied_workload, made_up_workload
from pipeline.operations.deployment import Deployment, open_lake, spark_remote_of_environment
from pipeline.operations.night import Night
from pipeline.operations.steps import STEPS

if TYPE_CHECKING:
    from pipeline.lake.lake import Lake

FOLDER = "conformance/"
# What a night leaves and readers go by. Pages name the commands to give, which tell the place of a lake.
COMPARED = ("tables/", "states/", "publications/")
MOST_NAMES = 5
_TODO = "Run nights with SEGMENTS_ENGINE=duckdb, and report this with the versions above."


@dataclass(frozen=True, slots=True)
class CheckedPart:
    """What was checked, and what holds of it."""

    name: str
    finding: str


def check_conformance(place: str, own: OwnNight | None = None, *, is_thorough: bool = False) -> Iterator[CheckedPart]:
    """Check that nights of the engine that the environment names, with the lake at `place`, leave what DuckDB leaves in a folder.

    They are nights of a made-up company, or of a company of one's `own`. A thorough check goes on with what operators do to nights:
    a backfill, a plan and its application, an erasure, a rollback.

    Yields what holds, part by part; raises the error of the first part that does not. What it writes, below `conformance/` of the lake,
    is removed. The lake's own tables are neither read nor changed.
    """
    from pipeline.lake.staging import temporary_folder

    remote = spark_remote_of_environment()
    yield from _check_engine(remote)
    with temporary_folder() as folder, _lake_of_its_own(place) as lake:
        lake.write_text("begun", "")  # the first change of all, before which a bucket is checked
        yield CheckedPart("store", f"takes and gives back objects: {lake.where()}")
        workload = copied_workload(own, folder / "company") if own else made_up_workload(folder / "company")
        deployment = Deployment.of_company(workload.company, folder / "lake")
        expected = replace(deployment, spark_remote=None)
        found = replace(deployment, lake=lake, spark_remote=remote)
        for day in workload.nights:
            seconds = _seconds_of_night(expected, day), _seconds_of_night(found, day)
            yield CheckedPart(f"night of {day}", "all six steps ended; {:,.0f} s on one machine, {:,.0f} s here".format(*seconds))
        count = _require_same_files(expected.lake, lake)
        yield CheckedPart("files", f"all {count:,} have the bytes that DuckDB gives them in a folder")
        if is_thorough:
            yield from _check_operations(expected, found, workload)


def _check_engine(remote: str | None) -> Iterator[CheckedPart]:
    if remote is None:
        yield CheckedPart("engine", "DuckDB, in this process")
        return
    from pipeline.lake.engines.spark_session import versions_at
    from pipeline.lake.executors.versions import lacking_packages

    versions = versions_at(remote)
    known = ", ".join(f"{name} {versions[name]}" for name in ("python", "pyarrow", "obstore") if name in versions)
    # Another server than Apache Spark has a version of its own.
    other = "" if versions["server"].startswith(versions["spark"]) else f", as a server of version {versions['server']} speaks it"
    yield CheckedPart("engine", f"Spark {versions['spark']}{other}; executors have {known}, and run the code of this program")
    lacking = " ".join(lacking_packages(versions))
    finding = f"beside the night, as executors lack {lacking}" if lacking else "in executors, where tables are large"
    yield CheckedPart("validation, erasure", finding)


def _check_operations(expected: Deployment, found: Deployment, workload: Workload) -> Iterator[CheckedPart]:
    """Do to both lakes what operators do, and compare what both then say and hold."""
    from pipeline.operations.conformance.operations import OPERATIONS

    for name, operate in OPERATIONS.items():
        there, here = operate(expected, workload), operate(found, workload)
        if here != there:
            what = f"after {name}: {here}; by DuckDB in a folder: {there}"
            raise DataError(what, where=found.lake.where(), todo=_TODO)
        count = _require_same_files(expected.lake, found.lake)
        yield CheckedPart(name, f"{here}; all {count:,} files are the same")


@contextmanager
def _lake_of_its_own(place: str) -> Iterator[Lake]:
    """Yield a lake below the one at `place`, gone afterwards; it claims nothing of that one, and takes none of its locks."""
    try:
        yield open_lake(f"{place.rstrip('/')}/{FOLDER}{secrets.token_hex(8)}")
    finally:
        # With what runs have left that were killed.
        open_lake(place).store.delete_all(FOLDER)


def _seconds_of_night(deployment: Deployment, day: date) -> float:
    """Run a night, and return how long it took by the clock."""
    begun, night = monotonic(), Night.of(deployment, day)
    for step in STEPS.values():
        step(night)
    return monotonic() - begun


def _require_same_files(expected: Lake, found: Lake) -> int:
    """Return how many files there are; raises DataError where one is missing, is too many, or has other bytes."""
    there, here = _digests(expected), _digests(found)
    names = there.keys() | here.keys()
    # First what was read, which all else is made of.
    different = sorted((name for name in names if there.get(name) != here.get(name)), key=lambda name: (not _is_raw(name), name))
    if different:
        what = f"{len(different):,} of {len(names):,} files are not those of DuckDB in a folder: {', '.join(different[:MOST_NAMES])}"
        todo = f"Where the source changed meanwhile, choose a day on which it does not, or a copy of it. Else: {_TODO}"
        raise DataError(what, where=found.where(), todo=todo if _is_raw(different[0]) else _TODO)
    return len(here)


def _is_raw(name: str) -> bool:
    return name.startswith(f"tables/{RAW_PREFIX}")


def _digests(lake: Lake) -> Mapping[str, str]:
    names = [name for prefix in COMPARED for name in lake.list_addresses(prefix)]
    return {name: sha256(lake.store.read(name)).hexdigest() for name in names}
