"""The breaker: a sync that would remove or change more than a share of a sink's customers stops before it writes anything."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.activation.plan import Plan
from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import GateClosed

FEWEST = 5
"""As many customers may always be removed or changed: a share of a handful says nothing."""


def exceeded_limits(plan: Plan, definition: SinkDefinition) -> Iterator[str]:
    """Yield what a plan exceeds, in words for people."""
    limits = definition.limits
    changed = plan.changed_count - plan.healed_changed_count
    for done, count, name, share in (
        ("removed", plan.removed_count, "removed_share", limits.removed_share),
        ("changed", changed, "changed_share", limits.changed_share),
    ):
        if count > max(FEWEST, share * plan.managed_count):
            yield f"{count:,} of {plan.managed_count:,} customers would be {done}; the limit is {share:.0%} (`limits.{name}`)"


def require_within_limits(plan: Plan, definition: SinkDefinition, *, options: str) -> None:
    """Raise GateClosed where a plan exceeds a limit; its commands have `options`: see command_options."""
    command = f"segments sync --sink {definition.name}{options}"
    if exceeded := list(exceeded_limits(plan, definition)):
        raise GateClosed(
            f"the sync to {definition.name} was stopped: " + "; ".join(exceeded),
            where=definition.where,
            todo=f"Look at the plan: {command} --dry-run. If it is right: {command} --override-limits --reason WHY.",
        )
