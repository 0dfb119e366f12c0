"""What operators do after nights: late rows and a backfill, a plan and its application, an erasure, a rollback.

Each is done to a lake by the functions that the commands call, and says in a few words what it did: two lakes that hold the same, and are
done the same to, must say the same and hold the same afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.definitions.company import load_company
from pipeline.errors import DataError
from pipeline.operations.apply import apply_plan
from pipeline.operations.backfill import BackfillRequest, plan_backfill, run_backfill
from pipeline.operations.backfill.night import StageResult
from pipeline.operations.backfill.plan import Stage
from pipeline.operations.conformance.made_up_company import ERASED, NIGHTS, add_late_lines, edit_definitions
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.rollback import roll_back
from pipeline.publication.current import live_publication_id
from pipeline.reporting.plan import plan_change

BACKFILLED_DAYS = 3
NOW = datetime(2024, 4, 2, tzinfo=UTC)  # when all nights are over
Operation = Callable[[Deployment], str]


def backfill(deployment: Deployment) -> str:
    """Read the last days again, with rows that came too late, and restate their nights; the newest one is published."""
    add_late_lines(deployment.company.folder)
    request = BackfillRequest(NIGHTS[-1] - timedelta(BACKFILLED_DAYS - 1), NIGHTS[-1], is_reread=True)
    plan = plan_backfill(deployment.company, deployment.lake, request, now=NOW)
    report = run_backfill(deployment, plan, parallel=1, watch=_Unwatched())
    for failed in report.failures:
        message = failed.failure.message if failed.failure else ""
        what = f"the night of {failed.day} failed in a backfill: {message}"
        raise DataError(what, where=deployment.lake.where(), todo="Follow that message, then run segments conformance --thorough again.")
    return f"{BACKFILLED_DAYS} nights were read again and restated with rows that came late"


def plan_and_apply(deployment: Deployment) -> str:
    """Edit an audience, plan that, and apply the plan."""
    edit_definitions(deployment.company.folder)
    edited = replace(deployment, company=load_company(deployment.company.folder))
    plan = plan_change(edited.company, edited.lake, memory_limit=edited.memory_limit)
    apply_plan(edited, plan.plan_id)
    return f"plan {plan.plan_id} was made of an edited audience, and applied"


def erase(deployment: Deployment) -> str:
    """Erase customers."""
    receipt = erase_customers(deployment, ERASED)
    return f"{len(ERASED)} customers were erased, in {receipt.row_count:,} rows"


def take_back(deployment: Deployment) -> str:
    """Roll back what was published last."""
    roll_back(deployment, reason="conformance")
    return f"{live_publication_id(deployment.lake)} is live again"


OPERATIONS: Mapping[str, Operation] = {"backfill": backfill, "plan and apply": plan_and_apply, "erasure": erase, "rollback": take_back}


class _Unwatched:
    """Shows nothing of a backfill."""

    def begin_stage(self, stage: Stage, *, total: int, done: int) -> None:
        """Show nothing."""

    def end_night(self, result: StageResult) -> None:
        """Show nothing."""

    def print_line(self, text: str) -> None:
        """Show nothing."""
