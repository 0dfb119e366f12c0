"""When a night that drifted from its cluster models starts a refit."""

from __future__ import annotations

from datetime import date, timedelta

from pipeline.lake.lake import Lake
from pipeline.models.measure_drift import rows_beyond_limits
from pipeline.models.refits.stored import judged_days
from pipeline.publication.current import current_publication

# A candidate that was refused, or that waits for a person, is not fitted again the night after.
REST = timedelta(days=7)


def due_refits(lake: Lake, day: date) -> list[str]:
    """Return the schemes that night `day` asks to refit, where it is live and no refit was judged in the week before.

    Raises DataError where what is live, or the night's drift, cannot be read.
    """
    live = current_publication(lake)
    if live is None or live.day != day:
        return []
    asked = {row["scheme"] for row in rows_beyond_limits(lake, day)}
    return sorted(scheme for scheme in asked if all(judged <= day - REST for judged in judged_days(lake, scheme)))
