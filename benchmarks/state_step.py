"""The state step of a night after another, beside a full recompute, with a short and a long history of the same customers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import peers
from full_recompute import recompute
from generate import LAST_DAY
from lakes import BEFORE, MEMORY_LIMIT, company, copied_lake, engine, linked_lake
from measure import Cost, Result, compared, cost

from pipeline.features import compute_features
from pipeline.features.cache import cache_session
from pipeline.features.customer_states import known_rollups, register_states
from pipeline.features.rollup_set import ROLLUPS, FeatureWindow
from pipeline.lake.lake import Lake
from pipeline.lake.tables import Table

BAR, FLAT_BAR = 0.3, 1.15
YEAR_DAYS = 400  # the window, and the month that it begins in
BATCH_ROWS = 131_072
OPENING = """
SELECT * EXCLUDE (event_day, known_on) REPLACE (CAST($opening AS DATE) AS order_day) FROM read_parquet($files, hive_partitioning = FALSE)
WHERE event_day <= $opening
QUALIFY RANK() OVER (PARTITION BY customer_id ORDER BY order_day DESC, event_day DESC) = 1
ORDER BY ALL
"""


def results(lake: Lake, scratch: Path, *, rounds: int) -> list[Result]:
    """Return what the state step costs as a share of all states from the rollups and from the lines, and of itself after one year."""
    with TemporaryDirectory(dir=scratch) as folder:
        empty = linked_lake(lake, Path(folder) / "empty")
        long = linked_lake(lake, Path(folder) / "long")
        short = linked_lake(lake, Path(folder) / "short", days=YEAR_DAYS)
        cost(partial(open_shop, lake, short))
        for history in (long, short):
            cost(partial(nights_before, history))
        costs: dict[str, list[Cost]] = {name: [] for name in ("step", "short", "full", "lines", "night", "full night")}
        for _ in range(rounds):
            costs["step"].append(_cost_in_copy(state_step, long, scratch))
            costs["short"].append(_cost_in_copy(state_step, short, scratch))
            costs["full"].append(_cost_in_copy(state_step, empty, scratch))
            costs["lines"].append(_cost_by_hand(lake, scratch))
            costs["night"].append(_cost_in_copy(recompute, long, scratch))
            costs["full night"].append(_cost_in_copy(recompute, empty, scratch))
    return [
        compared("state step of a night / all states from rollups", costs["step"], costs["full"], bar=BAR),
        compared("state step of a night / one statement over the lines, by hand", costs["step"], costs["lines"], bar=BAR),
        compared("state step, whole history / one year of the same customers", costs["step"], costs["short"], bar=FLAT_BAR),
        compared("features step of a night / the same without caches", costs["night"], costs["full night"]),
    ]


def open_shop(lake: Lake, young: Lake) -> None:
    """Write the day before the history of `young` begins: the last order-day of each customer that `lake` had until then."""
    opening = LAST_DAY - timedelta(days=YEAR_DAYS)
    for table in ROLLUPS:
        versions = [version for version in lake.versions(table) if version.day <= opening]
        with lake.private_folder() as folder:
            # Rows of later days in the same files are left out by the statement.
            if files := [str(part.path) for part in lake.parts(table, versions).pin(folder)]:
                _write_opening(young, table, files, opening)


def _write_opening(young: Lake, table: Table, files: list[str], opening: date) -> None:
    with closing(duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(young.root / "spill")})) as connection:
        rows = connection.sql(OPENING, params={"opening": opening, "files": files}).to_arrow_reader(BATCH_ROWS)
        young.write(table, rows, day=opening, known_on=opening)


def nights_before(lake: Lake) -> None:
    """Leave what the last nights leave: a base, and what changed since."""
    with engine(lake) as opened:
        for night in (BEFORE - timedelta(days=1), BEFORE):
            compute_features(company(), lake, opened, night)


def state_step(lake: Lake) -> None:
    """Bring the states to the last day, from what is there."""
    horizon = FeatureWindow(LAST_DAY, LAST_DAY, company().window_days)
    with engine(lake) as opened, cache_session(lake, opened, company().zone) as at:
        register_states(at, horizon, known_rollups(lake, horizon))


def _cost_in_copy(work: Callable[[Lake], None], lake: Lake, scratch: Path) -> Cost:
    """Return what `work` costs in a copy of `lake`: it must find the same caches in every round."""
    with TemporaryDirectory(dir=scratch) as folder:
        return cost(partial(work, copied_lake(lake, Path(folder) / "lake")))


def _cost_by_hand(lake: Lake, scratch: Path) -> Cost:
    with TemporaryDirectory(dir=scratch) as folder:
        return cost(partial(peers.duckdb_by_hand, lake.root, Path(folder)))
