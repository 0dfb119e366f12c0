"""What is stored of a refit: the judgement as it was written."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.models.refits.verdict import Verdict

Judgement = dict[str, Any]
NEEDED = ("scheme", "day", "verdict", "reason", "current", "current_inputs", "clusters", "events", "measures", "tried")


def stored_judgement(lake: Lake, scheme: str, day: date) -> Judgement:
    """Return what was told of the refit of night `day`; raises DataError where there is none or it is damaged."""
    address = addresses.judgement(scheme, day)
    try:
        content = json.loads(lake.read_text(address))
        judgement = {name: content[name] for name in NEEDED}
        Verdict(judgement["verdict"])
    except FileNotFoundError:
        raise DataError(
            "no refit of this night is stored", where=lake.where(address), todo=f"Fit one: segments refit --day {day}."
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError("this judgement is damaged", where=lake.where(address), todo=f"Refit again: segments refit --day {day}.") from None
    return judgement


def newest_judgement(lake: Lake, scheme: str) -> Judgement | None:
    """Return what was told of the newest refit of a scheme; None where there was none."""
    days = judged_days(lake, scheme)
    return stored_judgement(lake, scheme, days[-1]) if days else None


def judged_days(lake: Lake, scheme: str) -> list[date]:
    """Return the nights whose refit was judged, in order."""
    days = lake.store.list_folders(addresses.refits(scheme))
    return [date.fromisoformat(day) for day in days if lake.exists(addresses.judgement(scheme, day))]
