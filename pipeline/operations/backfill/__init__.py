"""A range of nights again: planned, run by one or more processes, resumed where it stopped, and compared with what was there.

`plan` decides which nights go through which stages, `running` takes them there with `workers`, `journal` remembers what is done,
`differences` says what changed. The work of a stage itself is that of any night: `operations.steps`.
"""

from pipeline.operations.backfill.plan import BackfillPlan, BackfillRequest, PlannedNight, plan_backfill
from pipeline.operations.backfill.running import BackfillReport, ProgressWatch, run_backfill

__all__ = ["BackfillPlan", "BackfillReport", "BackfillRequest", "PlannedNight", "ProgressWatch", "plan_backfill", "run_backfill"]
