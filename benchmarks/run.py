"""`make bench`: measures what is promised of speed, and prints every ratio beside its bar."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import audiences
import bucket_lake
import campaigns
import cluster
import commands
import crm_tables
import declared_features
import definitions_step
import duckdb
import first_night
import full_recompute
import morning_page
import nights
import predictions
import previews
import publication_ends
import refits
import runner_overhead
import score_methods
import state_step
import validation
from generate import Shop
from lakes import PROJECT_ROOT, stored_lake
from measure import GIB, Result, print_results
from rich.console import Console

BENCHES = (
    "first",
    "validation",
    "features",
    "state",
    "declared",
    "runner",
    "nights",
    "definitions",
    "refits",
    "scores",
    "predictions",
    "audiences",
    "preview",
    "crm",
    "ends",
    "campaigns",
    "page",
    "commands",
    "cluster",
)
FAST_PEERS = ("DuckDB by hand", "Polars")
ALL_PEERS = (*FAST_PEERS, "pandas", "PySpark")


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure on: one busy year, three years of fewer customers, and of others, nights of the demo, customers to cluster.

    `declared` is the shop whose features are declared; plans are made for `customers`.
    """

    year: Shop
    history: Shop
    declared: Shop
    rounds: int
    nights: int
    peers: tuple[str, ...]
    customers: int
    clustered: int


SIZES = {
    "tiny": Size(
        Shop(4_000, 300, 60), Shop(4_000, 300, 90), Shop(4_000, 300, 90), 1, 1, ("DuckDB by hand", "Polars", "pandas"), 1_000, 5_000
    ),
    "small": Size(
        Shop(3_000_000, 120_000, 365), Shop(3_000_000, 150_000, 1095), Shop(3_000_000, 120_000, 1095), 1, 3, FAST_PEERS, 200_000, 5_000_000
    ),
    "medium": Size(
        Shop(10_000_000, 400_000, 365),
        Shop(10_000_000, 500_000, 1095),
        Shop(10_000_000, 400_000, 1095),
        3,
        10,
        ALL_PEERS,
        1_000_000,
        5_000_000,
    ),
    "large": Size(
        Shop(100_000_000, 4_000_000, 365),
        Shop(30_000_000, 1_500_000, 1095),
        Shop(30_000_000, 1_200_000, 1095),
        1,
        365,
        FAST_PEERS,
        1_000_000,
        5_000_000,
    ),
}


def measured(bench: str, size: Size, folder: Path) -> list[Result]:
    """Return the results of one bench."""
    measures: Mapping[str, Callable[[], list[Result]]] = {
        "first": lambda: first_night.results(size.year, folder, rounds=size.rounds),
        "validation": lambda: validation.results(stored_lake(size.year, folder), folder, rounds=size.rounds),
        "features": lambda: full_recompute.results(stored_lake(size.year, folder), folder, rounds=size.rounds, names=size.peers),
        "state": lambda: state_step.results(stored_lake(size.history, folder), folder, rounds=size.rounds),
        "declared": lambda: declared_features.results(stored_lake(size.declared, folder), folder, rounds=size.rounds),
        "runner": lambda: runner_overhead.results(stored_lake(size.history, folder), folder, rounds=size.rounds),
        "nights": lambda: nights.results(folder, rounds=size.rounds, days=size.nights),
        "definitions": lambda: definitions_step.results(folder, customers=size.customers, rounds=size.rounds),
        "refits": lambda: refits.results(
            folder, customers=size.clustered, nights=3 if size.clustered < refits.MANY else 30, rounds=size.rounds
        ),
        "scores": lambda: score_methods.results(folder),
        "predictions": lambda: predictions.results(folder),
        "audiences": lambda: audiences.results(folder, customers=size.customers, rounds=size.rounds),
        "preview": lambda: previews.results(stored_lake(size.year, folder), folder, customers=size.customers, rounds=size.rounds),
        "campaigns": lambda: campaigns.results(folder, customers=size.customers, rounds=size.rounds),
        "page": lambda: morning_page.results(folder, customers=size.customers, rounds=size.rounds),
        "cluster": lambda: [
            *bucket_lake.results(stored_lake(size.year, folder), folder, rounds=size.rounds),
            *cluster.results(stored_lake(size.year, folder), folder),
        ],
        "commands": lambda: commands.results(folder, rounds=size.rounds),
        "ends": lambda: [
            *publication_ends.target_results(folder, memberships=5 * size.customers, rounds=size.rounds),
            *publication_ends.iceberg_results(folder, memberships=5 * size.customers, rounds=size.rounds),
        ],
        "crm": lambda: [
            *crm_tables.results(folder, customers=size.customers, rounds=size.rounds),
            *crm_tables.publish_results(folder, customers=size.customers, rounds=size.rounds),
        ],
    }
    return measures[bench]()


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--only", choices=BENCHES, action="append", help="one bench; may be given again")
    parser.add_argument("--folder", type=Path, default=PROJECT_ROOT / ".bench", help="where lakes are kept")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    results = []
    for bench in asked.only or BENCHES:
        print(f"measuring {bench}", file=sys.stderr)
        results += measured(bench, SIZES[asked.size], asked.folder)
    console = Console(width=120)
    console.print(machine())
    print_results(results, console)


def machine() -> str:
    """Return what the figures were measured on."""
    memory = int(Path("/proc/meminfo").read_text("utf-8").split()[1]) * 1024 / GIB
    cores = Path("/proc/cpuinfo").read_text("utf-8").count("processor\t")
    return f"{platform.machine()}, {cores} cores, {memory:.0f} GiB; Python {platform.python_version()}, DuckDB {duckdb.__version__}"


if __name__ == "__main__":
    main()
