"""Every metric, declared once: its name, its labels and what it means.

All are gauges, as each tells of one night or one sync: a night that is run again says the same again, and adds up nothing. Their labels
are names of tables, rules, gates, schemes, reasons, steps and sinks: as many as are declared, however many customers there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

PREFIX = "segments"


class Moment(Enum):
    """When a metric is sent through Airflow."""

    STEP = "each step"
    EXTRACT = "`extract`"
    VALIDATE = "`validate`"
    FEATURES = "`features`"
    SEGMENT = "`segment`"
    PUBLISH = "`publish`"
    SYNC = "each sync"
    NEVER = "never"  # `segments status` alone tells it


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a night, of what is live or of a sync; its unit comes last in its name."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    moment: Moment = Moment.NEVER


LIVE_UNTIL = Metric(
    "live_until_timestamp_seconds",
    "End of the business day that is live, in seconds since 1970; its age is for the monitor to compute.",
    moment=Moment.PUBLISH,
)
LIVE_ROWS = Metric("live_rows", "Rows of each published table.", ("table",), Moment.PUBLISH)
NEWEST_NIGHT_UNTIL = Metric(
    "newest_night_until_timestamp_seconds", "End of the business day of the newest night, live or not.", moment=Moment.STEP
)
NEWEST_NIGHT_STATE = Metric(
    "newest_night_state",
    "What became of the newest night: 1 for the state it is in, `live`, `gate_closed`, `stopped`, `refused`, `not_finished`, "
    "`superseded`, or `rerun_...` of a live one.",
    ("state",),
    Moment.STEP,
)
GATES = Metric(
    "gates", "Gates of the newest night in each state: `open`, `closed`, `overridden`, `not_measured`, `off`.", ("state",), Moment.STEP
)
CLOSED_GATES = Metric(
    "closed_gates", "How often each gate is closed in the newest night: once per scheme or table.", ("gate",), Moment.STEP
)
STEP_SECONDS = Metric("step_seconds", "Seconds that each step of the newest night took.", ("step",), Moment.STEP)
STEP_CPU_SECONDS = Metric(
    "step_cpu_seconds", "Seconds of processor time that it took, its worker processes included.", ("step",), Moment.STEP
)
READ_ROWS = Metric("read_rows", "Rows that the newest night read from the source.", ("table",), Moment.EXTRACT)
LATE_DAYS = Metric("late_days", "Days for which rows arrived late.", moment=Moment.EXTRACT)
CHECKED_ROWS = Metric("checked_rows", "Rows that the newest night checked.", ("table",), Moment.VALIDATE)
REJECTED_ROWS = Metric("rejected_rows", "Rows that it set aside, each by the first rule that it broke.", ("table", "rule"), Moment.VALIDATE)
NEWEST_ORDER_AGE = Metric("newest_order_age_days", "Days from the newest order line to the newest night.", moment=Moment.VALIDATE)
NIGHT_CUSTOMERS = Metric("night_customers", "Customers whom the newest night describes.", moment=Moment.FEATURES)
MEMBERSHIPS = Metric("memberships", "Memberships that the newest night wrote.", ("scheme",), Moment.SEGMENT)
MOVES = Metric("moves", "Customers who moved in the newest night, and why.", ("scheme", "reason"), Moment.SEGMENT)
REQUESTED_REFITS = Metric("requested_refits", "Cluster schemes whose customers drifted from their model.", moment=Moment.SEGMENT)
SYNC_STATE = Metric(
    "sync_state",
    "How the last sync of each sink ended: 1 for `done`, `stopped` at its limits, or `failed`.",
    ("sink", "state"),
    Moment.SYNC,
)
SYNC_PLANNED_CUSTOMERS = Metric(
    "sync_planned_customers",
    "Customers whom it had to add, change or remove: `added`, `changed`, `removed`.",
    ("sink", "change"),
    Moment.SYNC,
)
SYNC_CUSTOMERS = Metric(
    "sync_customers",
    "What became of them: `written`, `unchanged` (there already), `refused` by the sink.",
    ("sink", "outcome"),
    Moment.SYNC,
)
SYNCED_UNTIL = Metric(
    "synced_until_timestamp_seconds",
    "End of the business day that each sink was brought to last, by a sync that was done.",
    ("sink",),
    Moment.SYNC,
)
STATUS_CODE = Metric("status_code", "Exit code of `segments status`: 0 where all is well.")
BYTES = Metric("bytes", "Size of each folder of the lake.", ("folder",))
FREE_BYTES = Metric("free_bytes", "Bytes that are free on the disk of the lake; of a lake in a bucket there is none.")
CUSTOMERS = Metric(
    "customers",
    "Customers of each segment in the live night; a segment of 1 to 9 is withheld, and where it is the only one of its scheme the next "
    "larger one too.",
    ("scheme", "segment"),
)
WITHHELD = Metric("withheld", "Segments whose size is withheld.", ("scheme",))

METRICS = (
    LIVE_UNTIL,
    LIVE_ROWS,
    NEWEST_NIGHT_UNTIL,
    NEWEST_NIGHT_STATE,
    GATES,
    CLOSED_GATES,
    STEP_SECONDS,
    STEP_CPU_SECONDS,
    READ_ROWS,
    LATE_DAYS,
    CHECKED_ROWS,
    REJECTED_ROWS,
    NEWEST_ORDER_AGE,
    NIGHT_CUSTOMERS,
    MEMBERSHIPS,
    MOVES,
    REQUESTED_REFITS,
    SYNC_STATE,
    SYNC_PLANNED_CUSTOMERS,
    SYNC_CUSTOMERS,
    SYNCED_UNTIL,
    STATUS_CODE,
    BYTES,
    FREE_BYTES,
    CUSTOMERS,
    WITHHELD,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric; `values` are those of its labels, in their order."""

    metric: Metric
    value: float
    values: tuple[str, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """The labels by name."""
        return dict(zip(self.metric.labels, self.values, strict=True))
