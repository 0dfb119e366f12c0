"""One function per task of the night. Each reads its inputs from the lake by (table, day) and writes by (table, day).

The company and the lake are named by SEGMENTS_COMPANY and SEGMENTS_LAKE, so a step is called with an ISO date alone.
What a step needs is imported inside it: Airflow parses the DAG without loading an engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.company import Company, load_company
from pipeline.connections import from_environment
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.engines import Engine
    from pipeline.lake import Lake

Connections = Callable[[str], str]
STEPS = ("extract", "validate", "features", "segment", "audit", "publish")


@dataclass(frozen=True, slots=True)
class Night:
    """One business day of one company in one lake, as night `known` knows it; the day itself unless it is restated."""

    company: Company
    lake: Lake
    day: date
    known: date


def extract(day: str, *, connections: Connections = from_environment, reread: bool = False) -> None:
    """Read customers and order lines from the source into raw partitions; a night already read only when asked to `reread`."""
    from pipeline.extract import extract as read_source

    with _night(day) as night:
        read_source(night.company, night.lake, night.day, connections=connections, reread=reread, memory_limit=_memory_limit())


def validate(day: str, *, connections: Connections = from_environment) -> None:  # noqa: ARG001
    """Divide raw rows into clean and rejected ones, or stop the night."""
    from pipeline.validate import validate_sources

    with _night(day) as night:
        validate_sources(night.company, night.lake, night.day)


def features(day: str, *, known: str | None = None, connections: Connections = from_environment) -> None:  # noqa: ARG001
    """Compute rollups and the features of every customer; with a later night `known`, as a restatement."""
    from pipeline.features import compute_features, compute_rollups

    with _night(day, known) as night:
        with _engine(night.lake) as engine:
            compute_rollups(night.lake, engine, night.day, known=night.known)
        with _engine(night.lake) as engine:
            compute_features(night.company, night.lake, engine, night.day, known=night.known)


def segment(day: str, *, known: str | None = None, connections: Connections = from_environment) -> None:  # noqa: ARG001
    """Assign every customer to a segment of every scheme, and profile the segments; with a later night `known`, as a restatement."""
    from pipeline.memberships import compute_segments

    with _night(day, known) as night, _engine(night.lake) as engine:
        compute_segments(night.company, night.lake, engine, night.day, known=night.known)


def audit(day: str, *, known: str | None = None, connections: Connections = from_environment) -> None:  # noqa: ARG001
    """Check what was computed before anyone sees it."""
    from pipeline.validate import validate_features, validate_segments

    with _night(day, known) as night:
        validate_features(night.company, night.lake, night.day, known=night.known)
        validate_segments(night.company, night.lake, night.day, known=night.known)


def publish(day: str, *, connections: Connections = from_environment) -> None:
    """Publish the night's tables to the database target and swap `current`."""
    from pipeline.publish.publication import publish as publish_night

    with _night(day) as night:
        publish_night(night.company, night.lake, night.day, connections=connections)


@contextmanager
def _night(day: str, known: str | None = None) -> Iterator[Night]:
    """Yield the night with its lock held, so that two runs of one day take turns."""
    from pipeline.lake import Lake

    company = load_company(Path(_setting("SEGMENTS_COMPANY")))
    night = Night(company, Lake(Path(_setting("SEGMENTS_LAKE"))), date.fromisoformat(day), date.fromisoformat(known or day))
    with night.lake.lock(f"day={night.day}"):
        yield night


@contextmanager
def _engine(lake: Lake) -> Iterator[Engine]:
    from pipeline.engines.duckdb import DuckDBEngine

    engine = DuckDBEngine(lake.root, memory_limit=_memory_limit())
    try:
        yield engine
    finally:
        engine.close()


def _memory_limit() -> str:
    return os.environ.get("SEGMENTS_MEMORY_LIMIT", "3GB")


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(f"{name} is not set", where="environment", todo=f"Set {name}, or run `segments run --help`.")
    return value
