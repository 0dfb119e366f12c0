"""What the morning page costs, made from tables that the night stored."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from definitions_step import make_live
from generate import LAST_DAY
from lakes import engine
from measure import Result, cost

from pipeline.definitions.company import load_company
from pipeline.features import MergeHistory
from pipeline.lake.lake import Lake
from pipeline.lake.tables import SEGMENT_FLOWS, SEGMENT_PROFILES
from pipeline.segmentation import write_next_actions
from pipeline.segmentation.insights import write_figures

MOST_SECONDS = 2.0
REASONS = ("ageing", "own_purchase", "population_shift", "refund")


def results(folder: Path, *, customers: int, rounds: int) -> list[Result]:
    """Return the seconds of `segments report` on a night of `customers`: one with nights before it, and a first one."""
    with TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch)
        make_live(root, customers)
        lake, company = Lake(root / "lake"), load_company(root / "shop")
        with engine(lake) as opened:
            write_next_actions(company, lake, opened, LAST_DAY)
            write_figures(lake, opened, LAST_DAY, survivors_of=MergeHistory(lake, company.zone).rows_of)
        # A first night shows what it is to do of all customers, a later one of those who moved.
        found = _seconds(root, f"morning page of a first night, {customers:,} customers", rounds)
        write_flows(lake)
        return [*found, *_seconds(root, f"morning page of a later night, {customers:,} customers", rounds)]


def report(root: Path) -> None:
    """Make the page as a shell does."""
    command = [Path(sys.executable).with_name("segments"), "report", "--company", root / "shop", "--lake", root / "lake"]
    ended = subprocess.run([*command, "--output", root / "page.html"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr  # noqa: S101


def write_flows(lake: Lake) -> None:
    """Store flows as a night does: of every two segments of a scheme, for each reason, in each window."""
    names = lake.read(SEGMENT_PROFILES, day=LAST_DAY).select(["scheme", "segment"]).to_pylist()
    rows = [
        {
            "nights": nights,
            "scheme": start["scheme"],
            "from_segment": start["segment"],
            "to_segment": end["segment"],
            "reason": reason,
            "since_night": LAST_DAY - timedelta(days=nights),
            "customer_count": 100,
            "spend_amount": Decimal(1000),
            "lifetime_spend_amount": Decimal(2000),
        }
        for nights, start, end, reason in product((1, 7, 28), names, names, REASONS)
        if start["scheme"] == end["scheme"] and start["segment"] != end["segment"]
    ]
    rows.sort(key=lambda row: tuple(str(row[name]) if name != "nights" else row[name] for name in SEGMENT_FLOWS.key))
    lake.write(SEGMENT_FLOWS, pa.Table.from_pylist(rows, schema=SEGMENT_FLOWS.schema).to_batches(), day=LAST_DAY)


def _seconds(root: Path, name: str, rounds: int) -> list[Result]:
    runs = [cost(partial(report, root)) for _ in range(rounds)]
    clocks = (("CPU s", [run.cpu_seconds for run in runs]), ("s by the clock", [run.wall_seconds for run in runs]))
    return [Result(name, min(seconds), MOST_SECONDS, unit=unit, bar=1.0) for unit, seconds in clocks]
