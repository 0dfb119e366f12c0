"""What an edit of the definitions, or another cluster model, would change in the live night, before anybody makes it so.

`plan_change` and `plan_model` answer with a `SegmentPlan`; `apply` in operations makes it true. Nothing here writes to the lake.
"""

from pipeline.reporting.plan.model_plan import plan_model
from pipeline.reporting.plan.plan import SegmentPlan, plan_change
from pipeline.reporting.plan.scheme_plan import Mover, SchemePlan, SegmentFlow

__all__ = ["Mover", "SchemePlan", "SegmentFlow", "SegmentPlan", "plan_change", "plan_model"]
