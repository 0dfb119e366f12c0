"""Applying a plan: the live night is segmented, audited and published anew, and nothing else.

Where customers are scored otherwise, the scores among their features are too, so that no publication holds two that contradict.

A plan is named by a digest of definitions and data. It is made once more before it is applied: if its name is still the same,
what is published is what was shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on
from pipeline.definitions.schemes.score_methods import ScoreMethods, company_score_methods
from pipeline.errors import ConfigError
from pipeline.features import features_declared_since
from pipeline.lake.tables import EXTRACTIONS
from pipeline.operations import steps
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night
from pipeline.publication.gates import requested_override
from pipeline.reporting.plan import SegmentPlan, plan_change


def apply_plan(deployment: Deployment, plan_id: str, *, override_gates: Sequence[str] = (), override_reason: str = "") -> SegmentPlan:
    """Publish the change that `segments plan` showed under `plan_id`, and return it.

    Raises ConfigError where definitions or data moved since the plan, and GateClosed where a gate that is not overridden
    holds the night back.
    """
    override = requested_override(override_gates, override_reason)
    company, lake = deployment.company, deployment.lake
    plan = plan_change(company, lake, memory_limit=deployment.memory_limit)
    if plan.plan_id != plan_id:
        what = f"definitions or data moved since plan {plan_id}: it would be plan {plan.plan_id} now"
        raise ConfigError(what, where=str(company.folder), todo="Look at it first: segments plan.")
    newest = max(lake.nights(EXTRACTIONS), default=plan.day)
    if newest != plan.day:
        what = f"{newest} was read since, and the definitions as they are belong to it"
        raise ConfigError(what, where=lake.where(), todo=f"Run it: segments run --day {newest}.")
    night = Night.of(deployment, plan.day)
    # Another window or zone would change other features too, which the plan does not show: the next night computes them.
    valid = company_on(lake, company, plan.day)
    is_counted_otherwise = _score_methods(company) != _score_methods(valid) or features_declared_since(company, lake, plan.day)
    if not plan.settings_changed and is_counted_otherwise:
        steps.features(night)
    steps.segment(night)
    steps.audit(night, override_gates=sorted(override.gates), override_reason=override.reason)
    steps.publish(night)
    return plan


def _score_methods(company: Company) -> ScoreMethods:
    return company_score_methods(company.definitions("segments", ".toml"))
