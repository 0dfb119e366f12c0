"""All features of one day from rollups alone, beside what others do from the order lines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import peers
from generate import LAST_DAY
from lakes import company, engine, linked_lake
from measure import Cost, Result, compared, cost, peak_memory

from pipeline.features import compute_features
from pipeline.lake import Lake

BAR, BAR_GIB = 12, 4
PEERS = {
    "DuckDB by hand": peers.duckdb_by_hand,
    "Polars": peers.polars_by_hand,
    "pandas": peers.pandas_by_hand,
    "PySpark": peers.spark_by_hand,
}


def results(lake: Lake, scratch: Path, *, rounds: int, names: Sequence[str]) -> list[Result]:
    """Return what our full recompute costs, and once the peers in `names`, as multiples of reading the columns."""
    reading, ours = [], []
    for _ in range(rounds):
        reading.append(cost(partial(peers.read_columns, lake.root)))
        ours.append(_cost_of_recompute(lake, scratch))
    lines = [
        compared("features of one day from rollups / reading 8 columns of the lines", ours, reading, bar=BAR),
        peak_memory("the same: peak memory / 4 GiB", ours, bar_gib=BAR_GIB),
    ]
    return lines + [compared(f"{name} from lines / reading", [_cost_of_peer(name, lake, scratch)], reading[-1:]) for name in names]


def recompute(lake: Lake) -> None:
    """Compute the last day's features."""
    with engine(lake) as opened:
        compute_features(company(), lake, opened, LAST_DAY)


def _cost_of_recompute(lake: Lake, scratch: Path) -> Cost:
    with TemporaryDirectory(dir=scratch) as folder:
        return cost(partial(recompute, linked_lake(lake, Path(folder))))


def _cost_of_peer(name: str, lake: Lake, scratch: Path) -> Cost:
    with TemporaryDirectory(dir=scratch) as folder:
        return cost(partial(PEERS[name], lake.root, Path(folder)))
