"""The state step of a night after another, beside a full recompute, with a short and a long history of the same customers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import peers
from full_recompute import recompute
from generate import LAST_DAY
from lakes import BEFORE, company, copied_lake, engine, linked_lake
from measure import Cost, Result, compared, cost

from pipeline.caches import desk
from pipeline.features import compute_features
from pipeline.lake import Lake
from pipeline.recompute import Horizon
from pipeline.states import register_states, rollup_basis

BAR, FLAT_BAR = 0.15, 1.15
YEAR_DAYS = 400  # the window, and the month that it begins in


def results(lake: Lake, scratch: Path, *, rounds: int) -> list[Result]:
    """Return what the state step costs as a share of all states from the rollups and from the lines, and of itself after one year."""
    with TemporaryDirectory(dir=scratch) as folder:
        empty = linked_lake(lake, Path(folder) / "empty")
        long = linked_lake(lake, Path(folder) / "long")
        short = linked_lake(lake, Path(folder) / "short", days=YEAR_DAYS)
        for history in (long, short):
            cost(partial(night_before, history))
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
        compared("state step, whole history / last year of it", costs["step"], costs["short"], bar=FLAT_BAR),
        compared("features step of a night / the same without caches", costs["night"], costs["full night"]),
    ]


def night_before(lake: Lake) -> None:
    """Leave what the last night but one leaves."""
    with engine(lake) as opened:
        compute_features(company(), lake, opened, BEFORE)


def state_step(lake: Lake) -> None:
    """Bring the states to the last day, from what is there."""
    horizon = Horizon(LAST_DAY, LAST_DAY, company().window_days)
    with engine(lake) as opened, desk(lake, opened) as at:
        register_states(at, horizon, rollup_basis(lake, through=LAST_DAY, known=LAST_DAY))


def _cost_in_copy(work: Callable[[Lake], None], lake: Lake, scratch: Path) -> Cost:
    """Return what `work` costs in a copy of `lake`: it must find the same caches in every round."""
    with TemporaryDirectory(dir=scratch) as folder:
        return cost(partial(work, copied_lake(lake, Path(folder) / "lake")))


def _cost_by_hand(lake: Lake, scratch: Path) -> Cost:
    with TemporaryDirectory(dir=scratch) as folder:
        return cost(partial(peers.duckdb_by_hand, lake.root, Path(folder)))
