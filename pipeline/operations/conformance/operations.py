"""What operators do after nights: late rows and a backfill, a plan and its application, an erasure, a rollback.

Each is done to a lake by the functions that the commands call, and says in a few words what it did: two lakes that hold the same, and are
done the same to, must say the same and hold the same afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.operations.apply import apply_plan
from pipeline.operations.backfill import BackfillRequest, plan_backfill, run_backfill
from pipeline.operations.backfill.night import StageResult
from pipeline.operations.backfill.plan import Stage
from pipeline.operations.conformance.workload import Workload
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.rollback import roll_back
from pipeline.publication.current import live_publication_id
from pipeline.reporting.plan import plan_change

if TYPE_CHECKING:
    from pipeline.lake.lake import Lake

RESTATED_DAYS = 3
ERASED_CUSTOMERS = 2
Operation = Callable[[Deployment, Workload], str]


def run_earlier_night(deployment: Deployment, workload: Workload) -> str:
    """Backfill the night before all others, as it would have known its day."""
    day = workload.nights[0] - timedelta(1)
    _run_backfill(deployment, BackfillRequest(day, day), workload)
    return f"the night of {day} was run after later ones"


def restate_nights(deployment: Deployment, workload: Workload) -> str:
    """Backfill the last days, read again with rows that came too late, and restate their nights; the newest one is published."""
    workload.add_late_rows(deployment.company.folder)
    last = workload.nights[-1]
    _run_backfill(deployment, BackfillRequest(last - timedelta(RESTATED_DAYS - 1), last, is_reread=True), workload)
    return f"{RESTATED_DAYS} nights were read again and restated"


def _run_backfill(deployment: Deployment, request: BackfillRequest, workload: Workload) -> None:
    over = datetime.combine(workload.nights[-1] + timedelta(2), time(), UTC)  # in any time zone
    report = run_backfill(deployment, plan_backfill(deployment.company, deployment.lake, request, now=over), parallel=1, watch=_Unwatched())
    for failed in report.failures:
        message = failed.failure.message if failed.failure else ""
        what = f"the night of {failed.day} failed in a backfill: {message}"
        raise DataError(what, where=deployment.lake.where(), todo="Follow that message, then run segments conformance --thorough again.")


def plan_and_apply(deployment: Deployment, workload: Workload) -> str:
    """Edit an audience, plan that, and apply the plan."""
    workload.edit_definitions(deployment.company.folder)
    plan = plan_change(deployment.company, deployment.lake, memory_limit=deployment.memory_limit)
    apply_plan(deployment, plan.plan_id)
    return f"plan {plan.plan_id} was made of an edited audience, and applied"


def erase(deployment: Deployment, workload: Workload) -> str:
    """Erase customers."""
    erased = workload.erased or _first_customers(deployment.lake, workload)
    receipt = erase_customers(deployment, erased)
    return f"{len(erased)} customers were erased, in {receipt.row_count:,} rows"


def take_back(deployment: Deployment, workload: Workload) -> str:  # noqa: ARG001 - every operation is called alike
    """Roll back what was published last."""
    roll_back(deployment, reason="conformance")
    return f"{live_publication_id(deployment.lake)} is live again"


OPERATIONS: Mapping[str, Operation] = {
    "earlier night": run_earlier_night,
    "restatement": restate_nights,
    "plan and apply": plan_and_apply,
    "erasure": erase,
    "rollback": take_back,
}


def _first_customers(lake: Lake, workload: Workload) -> tuple[str, ...]:
    ids = next(lake.pieces(CUSTOMER_FEATURES, ["customer_id"], day=workload.nights[-1]))["customer_id"]
    return tuple(ids[:ERASED_CUSTOMERS].to_pylist())


class _Unwatched:
    """Shows nothing of a backfill."""

    def begin_stage(self, stage: Stage, *, total: int, done: int) -> None:
        """Show nothing."""

    def end_night(self, result: StageResult) -> None:
        """Show nothing."""

    def print_line(self, text: str) -> None:
        """Show nothing."""
