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

from pipeline.features import compute_features
from pipeline.features.baselines import baseline_rows
from pipeline.features.cache import cache_session
from pipeline.features.customer_states import known_rollups, register_states, rhythm_rows
from pipeline.features.frozen_states import KnownStates
from pipeline.features.rollup_set import FeatureWindow
from pipeline.features.visits import known_visits, register_visits
from pipeline.lake.addresses import CACHES
from pipeline.lake.lake import Lake

BAR, BAR_GIB = 20, 4
AHEAD_OF = ("DuckDB by hand", "Polars")
PEERS = {
    "DuckDB by hand": peers.duckdb_by_hand,
    "Polars": peers.polars_by_hand,
    "pandas": peers.pandas_by_hand,
    "PySpark": peers.spark_by_hand,
}


def results(lake: Lake, scratch: Path, *, rounds: int, names: Sequence[str]) -> list[Result]:
    """Return what our full recompute costs, and once the peers in `names`, as multiples of reading the columns."""
    with TemporaryDirectory(dir=scratch) as folder:
        empty = linked_lake(lake, Path(folder) / "empty")
        usual = linked_lake(lake, Path(folder) / "usual")
        frozen = cost(partial(freeze_usual, usual))
        reading, ours = [], []
        for _ in range(rounds):
            reading.append(cost(partial(peers.read_columns, lake.root)))
            ours.append(_cost_of_recompute(empty, Path(folder)))
        last = reading[-1:]
        lines = [
            compared("features of a first night, with nothing kept / reading 8 columns of the lines", ours, reading, bar=BAR),
            peak_memory("the same: peak memory / 4 GiB", ours, bar_gib=BAR_GIB),
            compared("once a month: freezing what is usual / reading", [frozen], last),
            compared("features of one day, what is usual frozen / reading", [_cost_of_recompute(usual, Path(folder))], last),
        ]
    hand = {name: _cost_of_peer(name, lake, scratch) for name in names}
    lines += [compared(f"{name} from lines / reading", [each], last) for name, each in hand.items()]
    return lines + [compared(f"ours / {name} from lines", ours[-1:], [hand[name]], bar=1) for name in AHEAD_OF if name in hand]


def recompute(lake: Lake) -> None:
    """Compute the last day's features."""
    with engine(lake) as opened:
        compute_features(company(), lake, opened, LAST_DAY)


def freeze_usual(lake: Lake) -> None:
    """Leave what is usual among customers on the month's first day."""
    first = _horizon().frozen
    with engine(lake) as opened, cache_session(lake, opened, company().zone) as at:
        rollups = known_rollups(lake, first)
        list(rhythm_rows(at, first, rollups))
        register_states(at, first, rollups)
        register_visits(at, first, rollups, known_visits(lake, first))
        list(baseline_rows(at, KnownStates(first, rollups), rollups))


def _horizon() -> FeatureWindow:
    return FeatureWindow(LAST_DAY, LAST_DAY, company().window_days)


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
