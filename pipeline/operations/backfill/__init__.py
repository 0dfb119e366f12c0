"""A range of nights again: planned, worked off by one or more processes, resumed where it stopped, told what changed."""

from pipeline.operations.backfill.plan import BackfillPlan, BackfillRequest, PlannedNight, plan_backfill
from pipeline.operations.backfill.running import BackfillReport, ProgressWatch, run_backfill

__all__ = ["BackfillPlan", "BackfillReport", "BackfillRequest", "PlannedNight", "ProgressWatch", "plan_backfill", "run_backfill"]
