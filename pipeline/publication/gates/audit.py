"""Judge a night that is to be published, and record what every gate said, even when one is closed."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import date

from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.ingestion.vanished_rows import KnownRows
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import EXTRACTIONS, GATE_RESULTS
from pipeline.publication.epoch import current_epoch, epoch_when_begun, require_current_epoch
from pipeline.publication.gates import (
    GateMeasures,
    GateResult,
    GateState,
    Override,
    apply_override,
    gate_sentence,
    judge_first_night_again,
    judge_measures,
)
from pipeline.publication.gates.last_good import LastGoodPublication, find_last_good, live_publication
from pipeline.publication.gates.measuring import measure_night
from pipeline.publication.gates.results import GateRecord, epoch_when_audited, store_gates, stored_gates
from pipeline.publication.gates.source_gates import judge_vanished_rows

log = logging.getLogger("pipeline.audit")


def audit_night(company: Company, lake: Lake, engine: Engine, day: date, override: Override) -> list[GateResult]:
    """Judge the night of `day` against the last good one, store what every gate says, and return it.

    A night older than the current one is not judged, for it is not published. Raises GateClosed where a rollback came
    after the night was begun; a closed gate is for the caller to stop at.
    """
    # Nothing may be published meanwhile: the night is judged beside what is live, and would be let pass by a comparison with something
    # else.
    with lake.lock("publish"):
        current = live_publication(lake)
        if current is not None and day < current.day:
            log.info("%s is not judged: %s stays live", day, current.day)
            return []
        require_current_epoch(company, lake, day, epoch_when_begun(lake, day), since="begun")
        good, standing, epoch = find_last_good(lake, current, day), _standing_results(lake, current, day), current_epoch(lake)
        judged = _judge_within_limits(company, measure_night(company, lake, engine, day, good))
        # The very first night run again: there is no earlier night to compare it with, only itself as it is live.
        if current is not None and good is None:
            judged = judge_first_night_again(
                judged, _judge_within_limits(company, measure_night(company, lake, engine, day, current)), standing
            )
    results = apply_override(judged, override, standing)
    store_gates(lake, day, GateRecord(good.publication_id if good else None, results), epoch=epoch)
    for result in results:
        if result.state is GateState.OVERRIDDEN:
            log.warning("%s", gate_sentence(result))
    return results


def record_refused_reading(company: Company, lake: Lake, day: date, rows: KnownRows) -> None:
    """Store what the gate says of a night that was not read, as a source has lost rows; one read before stays as it was judged."""
    if not lake.has(EXTRACTIONS, day=day):
        nothing = GateMeasures(day=day, before=None, line_counts={}, rejected={}, known_rows=[rows])
        store_gates(lake, day, GateRecord(None, list(judge_vanished_rows(nothing, company.limits))), epoch=current_epoch(lake))


def forget_refused_reading(lake: Lake, day: date) -> None:
    """Remove that record, once the night has been read."""
    with suppress(DataError):
        record = stored_gates(lake, day)
        if record and record.is_of_reading:
            lake.remove(GATE_RESULTS, day=day)


def is_gate_overridden(lake: Lake, day: date, gate: str, override: Override) -> bool:
    """Return whether a person lets the night pass `gate`, now or when it was last judged."""
    standing = _standing_results(lake, live_publication(lake), day)
    return gate in override.gates or any(result.gate == gate and result.state is GateState.OVERRIDDEN for result in standing)


def _judge_within_limits(company: Company, measures: GateMeasures) -> list[GateResult]:
    return judge_measures(measures, company.limits, rejected_share_limit=company.rejected_share_limit)


def _standing_results(lake: Lake, current: LastGoodPublication | None, day: date) -> list[GateResult]:
    """Return the results that the night is published with, where it is already, and those of its last audit.

    A rollback takes back what was overridden before it: whoever wants the night all the same has to say so again.
    """
    published = current.gates.results if current and current.gates and current.day == day else ()
    with suppress(DataError):  # a damaged record tells nothing, and is about to be written again
        record = stored_gates(lake, day)
        if record and epoch_when_audited(lake, day) == current_epoch(lake):
            return [*published, *record.results]
    return list(published)
