"""What `sql/customer_signals.sql` reads beside the night's features: the half year of rollups before it, and who was merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta

import pyarrow as pa

from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_SURVIVORS

QUARTER_DAYS, HALF_YEAR_DAYS = 90, 180
SurvivorsOf = Callable[[date, date], pa.Table]
"""Returns whose customers are whose by the end of a day, as a night knows it: rows of CUSTOMER_SURVIVORS."""


def signal_parameters(day: date, window_days: int) -> dict[str, date | int]:
    """Return the parameters of the statement for night `day`."""
    return {
        "day": day,
        "window_days": window_days,
        "quarter_first_day": day - timedelta(days=QUARTER_DAYS - 1),
        "half_year_first_day": day - timedelta(days=HALF_YEAR_DAYS - 1),
    }


def recent_days(lake: Lake, day: date, known_on: date) -> list[Version]:
    """Return the versions of customer_days of the half year up to `day`, as night `known_on` knows them."""
    first = day - timedelta(days=HALF_YEAR_DAYS - 1)
    # An order is stored under its own day or, once refunded, a later one: none of the half year lies before its first day.
    return [version for version in lake.versions_known(CUSTOMER_DAYS, through=day, known_on=known_on) if version.day >= first]


@contextmanager
def registered_days(lake: Lake, engine: Engine, versions: Iterable[Version], survivors: pa.Table) -> Iterator[None]:
    """Make versions of customer_days readable in the block, with the ids that the source gave, and whose customers are whose."""
    with ExitStack() as opened:
        engine.register(CUSTOMER_DAYS, lake.parts(CUSTOMER_DAYS, versions))
        files = []
        if survivors.num_rows:
            files = [opened.enter_context(lake.private_folder()) / f"{CUSTOMER_SURVIVORS.name}.parquet"]
            lake.write_private_file(CUSTOMER_SURVIVORS.schema, survivors.to_batches(), files[0], {})
        engine.register(CUSTOMER_SURVIVORS, files)
        yield
