"""The limits of the gates, as a company sets them under [gates] of company.toml."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import Any

from pipeline.definitions.fields import Fields
from pipeline.errors import ConfigError
from pipeline.spelling import did_you_mean

GATES = (
    "freshness",
    "volume",
    "rejected",
    "implausible",
    "unmatched",
    "vanished",
    "renamed",
    "reachability",
    "swallowed",
    "churn",
    "audiences",
)


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a night may differ by from the recent past; a measured value on its limit passes.

    `quiet_days`             days without an order line up to the night
    `volume_weeks`           weeks that are the recent past
    `volume_low_factor`      fewest order lines, times the median of the same weekdays
    `volume_high_factor`     most order lines of a day, times the busiest day
    `implausible_share_limit` order lines whose amounts contradict their quantities or discounts
    `unmatched_share_limit`  ids of a source that belong to no customer
    `vanished_share_limit`   customers of the last good publication that are gone
    `vanished_rows_limit`   order lines or visits known of the days before a night that are gone; beyond it the night is not even read
    `renamed_share_limit`    order lines of earlier days that went to ids never seen before
    `reachable_attribute`    true-or-false attribute of a customer who can be written to; none by default
    `reachable_fall_limit`   fall of the share of such customers, relative to what it was
    `swallowed_share_limit`  share that one segment of a scheme may hold ...
    `swallowed_growth_limit` ... unless it grew by no more than this
    `churn_share_limit`      customers that change segment in one night, per scheme
    `audience_low_factor`    fewest customers of an audience, times what it held on the last good night
    `audience_high_factor`   most customers of an audience, times the same
    `smallest_population`    with fewer customers the last five of these say nothing and are not measured
    `off`                    gates switched off
    """

    quiet_days: int = 2
    volume_weeks: int = 8
    volume_low_factor: float = 0.1
    volume_high_factor: float = 5.0
    implausible_share_limit: float = 0.5
    unmatched_share_limit: float = 0.5
    vanished_share_limit: float = 0.1
    vanished_rows_limit: float = 0.5
    renamed_share_limit: float = 0.1
    reachable_attribute: str = ""
    reachable_fall_limit: float = 0.1
    swallowed_share_limit: float = 0.8
    swallowed_growth_limit: float = 0.1
    churn_share_limit: float = 0.25
    audience_low_factor: float = 0.2
    audience_high_factor: float = 5.0
    smallest_population: int = 100
    off: tuple[str, ...] = ()


_KINDS: dict[str, Any] = {"int": int, "float": (int, float), "str": str, "tuple[str, ...]": list}
_SHARE = (0.0, 1.0, "must lie between 0 and 1")
# The least and the greatest value of each limit, and what that is called.
_BOUNDS: dict[str, tuple[float, float | None, str]] = {
    "implausible_share_limit": _SHARE,
    "unmatched_share_limit": _SHARE,
    "vanished_share_limit": _SHARE,
    "vanished_rows_limit": _SHARE,
    "renamed_share_limit": _SHARE,
    "reachable_fall_limit": _SHARE,
    "swallowed_growth_limit": _SHARE,
    "churn_share_limit": _SHARE,
    "swallowed_share_limit": (0.5, 1, "must lie between 0.5 and 1"),
    "quiet_days": (0, 366, "must lie between 0 and 366"),
    "volume_weeks": (4, 52, "must lie between 4 and 52"),
    "volume_low_factor": _SHARE,
    "volume_high_factor": (1, None, "must be a number from 1 on"),
    "audience_low_factor": _SHARE,
    "audience_high_factor": (1, None, "must be a number from 1 on"),
    "smallest_population": (1, None, "must be 1 or more"),
}


def read_gate_limits(section: Fields) -> GateLimits:
    """Return the limits that [gates] sets, defaults for the rest; raises ConfigError naming the setting that makes no sense."""
    section.note_entries("off", kinds=frozenset({str}), choices=GATES)
    for name, (low, high, _) in _BOUNDS.items():
        section.note(name, low=low, high=high)
    # Read by the declaration itself: a limit that is added there needs no line here.
    given = {field.name: section.take(field.name, _KINDS[str(field.type)], default=field.default) for field in fields(GateLimits)}
    limits = GateLimits(**{**given, "off": tuple(given["off"])})
    for gate in limits.off:
        if gate not in GATES:
            raise ConfigError(
                f"`gates.off` names `{gate}`{did_you_mean(str(gate), GATES)}",
                where=section.where,
                todo=f"Choose among {', '.join(GATES)}.",
            )
    for name, (low, high, words) in _BOUNDS.items():
        if not low <= getattr(limits, name) <= (high or sys.float_info.max):
            todo = "Correct the setting, or name the gate in `off` to do without it."
            raise ConfigError(f"`gates.{name}` {words}", where=section.where, todo=todo)
    return limits
