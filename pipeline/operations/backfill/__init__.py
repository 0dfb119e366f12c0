"""A range of nights again: planned, worked off by one or more processes, resumed where it stopped, told what changed."""

from pipeline.operations.backfill.plan import Asked, Plan, PlannedNight, planned
from pipeline.operations.backfill.running import Report, Watch, run_backfill

__all__ = ["Asked", "Plan", "PlannedNight", "Report", "Watch", "planned", "run_backfill"]
