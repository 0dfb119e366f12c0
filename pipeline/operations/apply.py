"""Making a plan come true: the live night segmented, judged and published anew, and nothing else."""

from __future__ import annotations

from pipeline.definitions.company import Company
from pipeline.definitions.connections import from_environment
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import EXTRACTIONS
from pipeline.operations import steps
from pipeline.operations.steps import Connections
from pipeline.publication.gates import Override
from pipeline.reporting.plan.plan import Plan, plan_of


def apply_plan(company: Company, lake: Lake, plan_id: str, *, asked: Override, connections: Connections = from_environment) -> Plan:
    """Publish the change that `segments plan` showed under `plan_id`, and return it.

    SEGMENTS_COMPANY and SEGMENTS_LAKE must name `company` and `lake`. Raises ConfigError where definitions or data moved since the
    plan, and GateClosed where a gate holds the night back.
    """
    plan = plan_of(company, lake)
    if plan.plan_id != plan_id:
        what = f"definitions or data moved since plan {plan_id}: it would be plan {plan.plan_id} now"
        raise ConfigError(what, where=str(company.folder), todo="Look at it first: segments plan.")
    newest = max(lake.nights(EXTRACTIONS), default=plan.day)
    if newest != plan.day:
        what = f"{newest} was read since, and the definitions as they are belong to it"
        raise ConfigError(what, where=lake.where(), todo=f"Run it: segments run --day {newest}.")
    day = plan.day.isoformat()
    steps.segment(day, connections=connections)
    steps.audit(day, override_gates=sorted(asked.gates), override_reason=asked.reason, connections=connections)
    steps.publish(day, connections=connections)
    return plan
