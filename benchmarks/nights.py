"""Whole nights of the demo company: many of a backfill beside one, and what orchestration adds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from lakes import PROJECT_ROOT, copied_lake
from measure import Cost, Result, compared, cost

from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake

BAR = 1.1
DEMO = PROJECT_ROOT / "examples" / "adventureworks"
SEGMENTS = str(Path(sys.executable).parent / "segments")
FIRST = date(2012, 12, 31)


def results(scratch: Path, *, rounds: int, days: int) -> list[Result]:
    """Return what a backfill of `days` nights costs per night, and a night under Airflow, as multiples of a night by itself."""
    with TemporaryDirectory(dir=scratch) as folder:
        start = Lake(Path(folder) / "start")
        run_night(start.root, FIRST)
        rows = [_round(start, Path(folder) / str(number), days) for number in range(rounds)]
    night, backfill, airflow = zip(*rows, strict=True)
    return [
        compared(f"a backfill of {days} nights, per night / one night", [one.share(days) for one in backfill], night, bar=BAR),
        compared("a night under Airflow / the same by `segments run`", airflow, night),
    ]


def _round(start: Lake, folder: Path, days: int) -> tuple[Cost, Cost, Cost]:
    first, last = FIRST + timedelta(days=1), FIRST + timedelta(days=days)
    alone, many, orchestrated = (copied_lake(start, folder / name).root for name in ("alone", "many", "orchestrated"))
    return (
        cost(partial(run_night, alone, first)),
        cost(partial(run_backfill, many, first, last)),
        cost(partial(run_dag, orchestrated, first, folder / "airflow")),
    )


def run_night(lake: Path, day: date) -> None:
    """Run one night as an operator does."""
    _run(SEGMENTS, "run", "--company", str(DEMO), "--lake", str(lake), "--day", str(day))


def run_backfill(lake: Path, first: date, last: date) -> None:
    """Run a range of nights as an operator does; in a year a gate may hold one back, which is no failure of the backfill."""
    command = (SEGMENTS, "backfill", "--company", str(DEMO), "--lake", str(lake), "--from", str(first), "--to", str(last))
    _run(*command, fine={0, GateClosed.exit_code})


def run_dag(lake: Path, day: date, home: Path) -> None:
    """Run one night through Airflow, in one process."""
    _run(sys.executable, "-m", "local.run_night", "--company", str(DEMO), "--lake", str(lake), "--day", str(day), "--home", str(home))


def _run(*command: str, fine: Collection[int] = (0,)) -> None:
    ended = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    if ended.returncode not in fine:
        raise RuntimeError(f"{' '.join(command)} ended with {ended.returncode}\n{ended.stderr[-2000:]}")
