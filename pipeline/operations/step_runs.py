"""A step as it runs in a night of today: what it takes is noted in the lake, for monitors."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import PipelineError
from pipeline.log_fields import log_fields
from pipeline.operations.night import Night

log = logging.getLogger("pipeline.operations.steps")


@contextmanager
def recording_step(night: Night, step: str) -> Iterator[None]:
    """Let every log line of the block have its day and step, and note what the step takes, whether or not it succeeds.

    Of an older night or a restatement nothing is noted.
    """
    from pipeline.lake.tables import EXTRACTIONS
    from pipeline.reporting.metrics.run_records import StepRecord, write_step_record

    started, cpu_before = time.monotonic(), _cpu_seconds()
    try:
        with log_fields(day=night.day, step=step):
            yield
    finally:
        seconds, cpu = time.monotonic() - started, _cpu_seconds() - cpu_before
        try:
            if not night.is_restatement and night.day >= max(night.lake.nights(EXTRACTIONS), default=night.day):
                write_step_record(night.lake, step, StepRecord(night.day, round(seconds, 3), round(cpu, 3)))
        except PipelineError as error:
            # What the step itself came to is what counts.
            log.warning("what %s took is not noted: %s", step, error.what)


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its worker processes that have ended, in seconds."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
