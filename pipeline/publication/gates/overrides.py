"""A closed gate stops the night, unless a person lets it pass by name and says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from pipeline.definitions.gate_limits import GATES
from pipeline.errors import ConfigError, GateClosed
from pipeline.publication.gates.gates import night_of_newest_lines
from pipeline.publication.gates.measures import GateResult, GateState
from pipeline.spelling import did_you_mean

PLACE = "--override-gate and --reason, or a run's parameters override_gates and override_reason"


@dataclass(frozen=True, slots=True)
class Override:
    """Gates that a person lets the night pass, and why."""

    gates: frozenset[str] = frozenset()
    reason: str = ""


def requested_override(gates: Sequence[str] | str, reason: str) -> Override:
    """Return the override that a person asks for; `gates` is a list, or text with commas.

    Raises ConfigError for a gate that there is not, and for an override without a reason.
    """
    given = gates.split(",") if isinstance(gates, str) else gates
    names = [name.strip() for name in given if name.strip()]
    for name in names:
        if name not in GATES:
            raise ConfigError(
                f"there is no gate `{name}`{did_you_mean(name, GATES)}", where=PLACE, todo=f"Choose among {', '.join(GATES)}."
            )
    if bool(names) != bool(reason.strip()):
        what = "an override needs a reason" if names else "a reason is given, but no gate to override"
        raise ConfigError(what, where=PLACE, todo='Give both: --override-gate churn --reason "new shop opened".')
    return Override(frozenset(names), reason.strip())


def apply_override(results: Sequence[GateResult], override: Override, standing: Sequence[GateResult] = ()) -> list[GateResult]:
    """Return `results` with closed gates overridden where a person asks for it, or did so before.

    `standing` are the results that the night was published with: what was overridden then stays so, unless the night
    is now further beyond the limit than the person knew.
    """
    return [_override_closed(result, override, standing) if result.state is GateState.CLOSED else result for result in results]


def require_open(day: date, results: Sequence[GateResult], *, where: str, options: str = "", live_day: date | None = None) -> None:
    """Raise GateClosed naming every closed gate, what was measured and its limit; its commands end with `options`: see command_options.

    `live_day` is the night that is live, if any; without one, an older night may be run instead.
    """
    closed = [result for result in results if result.state is GateState.CLOSED]
    if not closed:
        return
    names = list(dict.fromkeys(result.gate for result in closed))
    overrides = " ".join(f"--override-gate {name}" for name in names)
    newest = None if live_day else night_of_newest_lines(day, closed)
    otherwise = "Or mend" if newest else "Mend"
    next_steps = [
        (
            f"{otherwise} the source and run the night with --reread, change the limit under [gates] in company.toml, "
            f'or let it pass: segments run --day {day} {overrides} --reason "..."{options}'
        )
    ]
    if newest:
        ended = f"If the source ends there, also write `last_day = {newest}` into company.toml; nothing later is scheduled then."
        next_steps = [f"Run the night of the newest order lines: segments run --day {newest}{options}", ended, *next_steps]
    stays = "the last good night stays live" if live_day else "and no other is live"
    raise GateClosed(
        "\n  ".join([f"{day} is not published, {stays}:", *map(gate_sentence, closed)]), where=where, todo="\n         ".join(next_steps)
    )


def gate_sentence(result: GateResult) -> str:
    """Return one line about a result, such as `churn (rfm): 31.00% of ...`."""
    reason = f"; overridden: {result.reason}" if result.reason else ""
    return f"{result.gate} ({result.subject}): {result.words}{reason}"


def _override_closed(result: GateResult, override: Override, standing: Sequence[GateResult]) -> GateResult:
    if result.gate in override.gates:
        return replace(result, state=GateState.OVERRIDDEN, reason=override.reason)
    for before in standing:
        is_same = (result.gate, result.subject, result.limit) == (before.gate, before.subject, before.limit)
        # What was let pass stays so as long as it is no worse: whoever let pass one figure has not agreed to a larger one.
        if is_same and before.state is GateState.OVERRIDDEN and _distance_from_limit(result) <= _distance_from_limit(before):
            return replace(result, state=GateState.OVERRIDDEN, reason=before.reason)
    return result


def _distance_from_limit(result: GateResult) -> float:
    # On either side: `too_few` closes below its limit, every other gate above.
    return abs((result.measured or 0) - (result.limit or 0))
