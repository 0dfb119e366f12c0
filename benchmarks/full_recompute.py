"""All features of one day from rollups, beside what others do from the order lines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import peers
from generate import LAST_DAY
from lakes import company, copied_lake, engine, linked_lake
from measure import Cost, Result, compared, cost, peak_memory

from pipeline.features.baselines import baseline_rows
from pipeline.features.cache import FOLDER as CACHES
from pipeline.features.cache import desk
from pipeline.features.customer_states import rhythm_rows, rollup_bases
from pipeline.features.features import compute_features
from pipeline.features.monthly_sums import add_up_months
from pipeline.features.rollup_set import Horizon
from pipeline.lake.lake import Lake

BAR, BAR_GIB = 12, 4
PEERS = {
    "DuckDB by hand": peers.duckdb_by_hand,
    "Polars": peers.polars_by_hand,
    "pandas": peers.pandas_by_hand,
    "PySpark": peers.spark_by_hand,
}


def results(lake: Lake, scratch: Path, *, rounds: int, names: Sequence[str]) -> list[Result]:
    """Return what our full recompute costs, and once the peers in `names`, as multiples of reading the columns."""
    with TemporaryDirectory(dir=scratch) as folder:
        monthly = linked_lake(lake, Path(folder) / "monthly")
        added, frozen = (cost(partial(work, monthly)) for work in (add_up_year, freeze_usual))
        reading, ours = [], []
        for _ in range(rounds):
            reading.append(cost(partial(peers.read_columns, lake.root)))
            ours.append(_cost_of_recompute(monthly, Path(folder)))
        last = reading[-1:]
        lines = [
            compared("features of one day from rollups, months added up / reading 8 columns of the lines", ours, reading, bar=BAR),
            peak_memory("the same: peak memory / 4 GiB", ours, bar_gib=BAR_GIB),
            compared("once: adding up the whole months of a year / reading", [added], last),
            compared("once a month: freezing what is usual / reading", [frozen], last),
            compared("features of a first night, with nothing kept / reading", [_cost_of_recompute(lake, Path(folder))], last),
        ]
    return lines + [compared(f"{name} from lines / reading", [_cost_of_peer(name, lake, scratch)], last) for name in names]


def recompute(lake: Lake) -> None:
    """Compute the last day's features."""
    with engine(lake) as opened:
        compute_features(company(), lake, opened, LAST_DAY)


def add_up_year(lake: Lake) -> None:
    """Leave the whole months of the last day's window added up."""
    with engine(lake) as opened, desk(lake, opened) as at:
        [basis] = rollup_bases(lake, [_horizon()])
        add_up_months(at, basis, _horizon())


def freeze_usual(lake: Lake) -> None:
    """Leave what is usual among customers on the month's first day."""
    first = _horizon().frozen
    with engine(lake) as opened, desk(lake, opened) as at:
        [basis] = rollup_bases(lake, [first])
        list(rhythm_rows(at, first, basis))
        list(baseline_rows(at, _horizon(), basis))


def _horizon() -> Horizon:
    return Horizon(LAST_DAY, LAST_DAY, company().window_days)


def _cost_of_recompute(lake: Lake, scratch: Path) -> Cost:
    """Return what all features cost in a copy of `lake`: each round must find the same."""
    with TemporaryDirectory(dir=scratch) as folder:
        copy = linked_lake(lake, Path(folder) / "lake")
        if (lake.root / CACHES).exists():
            copied_lake(Lake(lake.root / CACHES), copy.root / CACHES)
        return cost(partial(recompute, copy))


def _cost_of_peer(name: str, lake: Lake, scratch: Path) -> Cost:
    with TemporaryDirectory(dir=scratch) as folder:
        return cost(partial(PEERS[name], lake.root, Path(folder)))
