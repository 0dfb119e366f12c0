"""Nights of features alone: from caches and without, and how many customers each recomputed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date

from pipeline.definitions.company import Company
from pipeline.features import compute_features, compute_rollups
from pipeline.features.cache import forget_caches
from pipeline.lake.addresses import CACHES
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, POPULATION_BASELINES, POPULATION_RHYTHM


@dataclass(frozen=True)
class NightsInOrder:
    """Nights that were computed one after the other: the bytes of each, and how many customers each recomputed, of how many."""

    company: Company
    lake: Lake
    written: dict[date, list[bytes]]
    recomputed: list[tuple[int, int]]


def compute_in_order(company: Company, lake: Lake, nights: Sequence[date]) -> NightsInOrder:
    with recomputed_customers() as recomputed:
        written = {night: compute(company, lake, night) for night in nights}
    return NightsInOrder(company, lake, written, recomputed)


def compute(company: Company, lake: Lake, day: date, *, known_on: date | None = None) -> list[bytes]:
    """Compute a night and return the bytes of its tables."""
    with closing(DuckDBEngine(lake.store, memory_limit="1GB", threads=1)) as engine:
        compute_rollups(lake, engine, day, known_on=known_on)
        compute_features(company, lake, engine, day, known_on=known_on)
    tables = (POPULATION_RHYTHM, POPULATION_BASELINES, CUSTOMER_FEATURES)
    return [lake.path(table, day=day, known_on=known_on).read_bytes() for table in tables]


def computed_without_caches(company: Company, lake: Lake, day: date, *, known_on: date | None = None) -> list[bytes]:
    """Compute a night from its rollups alone and leave the caches as they were."""
    caches, aside = lake.root / CACHES, lake.root / "aside"
    caches.rename(aside)
    written = compute(company, lake, day, known_on=known_on)
    forget_caches(lake)
    aside.rename(caches)
    return written


@contextmanager
def recomputed_customers() -> Iterator[list[tuple[int, int]]]:
    """Yield a list that each night in the block adds to: how many customers it recomputed, of how many."""
    counts: list[tuple[int, int]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            name, *words = record.getMessage().replace(",", "").split()
            if name == "customer_states:":
                counts.append((int(words[0]), int(words[2])))

    logger, listener = logging.getLogger("pipeline.features.customer_states"), Listener(logging.INFO)
    before = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield counts
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)
