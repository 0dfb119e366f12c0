"""Which cluster schemes are due for a refit before their month is over, because the live night found that customers drifted."""

from __future__ import annotations

from datetime import date, timedelta

from pipeline.lake import Lake
from pipeline.publish.pointer import current_publication
from pipeline.refits.stored import judged_days
from pipeline.tables import CLUSTER_DRIFTS

# A candidate that was refused, or that waits for a person, is not fitted again the night after.
REST = timedelta(days=7)


def due_refits(lake: Lake, day: date) -> list[str]:
    """Return the schemes that night `day` asks to refit, where it is live and no refit was judged in the week before.

    Raises DataError where what is live, or the night's drift, cannot be read.
    """
    live = current_publication(lake)
    if live is None or live.day != day or not lake.path(CLUSTER_DRIFTS, day=day).exists():
        return []
    asked = {row["scheme"] for row in lake.read(CLUSTER_DRIFTS, day=day).to_pylist() if row["is_beyond"]}
    return sorted(scheme for scheme in asked if all(judged <= day - REST for judged in judged_days(lake, scheme)))
