"""Judge a night that is to be published, and record what every gate said, even when one is closed."""

from __future__ import annotations

import logging
from datetime import date

from pipeline.audit.last_good import LastGood, last_good, publication_in
from pipeline.audit.measuring import measure
from pipeline.audit.record import GateRecord, store_gates
from pipeline.company import Company
from pipeline.engines import Engine
from pipeline.gates import GateResult, Override, State, judge, overridden, require_open, told
from pipeline.lake import Lake
from pipeline.publish.pointer import POINTER
from pipeline.validation.verdict import page_path, show_verdict

log = logging.getLogger("pipeline.audit")


def judge_night(company: Company, lake: Lake, engine: Engine, day: date, asked: Override) -> None:
    """Judge the night of `day` against the last good one, store and show the results.

    A night older than the current one is not judged, for it is not published. Raises GateClosed where a gate is
    closed and not overridden.
    """
    with lake.lock("publish"):
        current = publication_in(lake.root / POINTER)
        if current is not None and day < current.day:
            log.info("%s is not judged: %s stays live", day, current.day)
            return
        good = last_good(lake, current, day)
        measures = measure(company, lake, engine, day, good)
    judged = judge(measures, company.limits, rejected_share_limit=company.rejected_share_limit)
    results = overridden(judged, asked, _published_with(current, day))
    store_gates(lake, day, GateRecord(good.publication_id if good else None, results))
    show_verdict(company, lake, day, gates=results)
    for result in results:
        if result.state is State.OVERRIDDEN:
            log.warning("%s", told(result))
    require_open(day, results, where=str(page_path(lake, day)))


def is_let_pass(lake: Lake, day: date, gate: str, asked: Override) -> bool:
    """Return whether a person lets the night pass `gate`, now or when it was published."""
    published = _published_with(publication_in(lake.root / POINTER), day)
    return gate in asked.gates or any(result.gate == gate and result.state is State.OVERRIDDEN for result in published)


def _published_with(current: LastGood | None, day: date) -> list[GateResult]:
    """Return the results that the night is published with, where it is already."""
    return list(current.gates.results) if current and current.gates and current.day == day else []
