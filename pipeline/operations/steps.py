"""The six steps of a night. Each reads its inputs from the lake by (table, day) and writes by (table, day).

A step opens the night, calls the packages that do the work, and writes the page that shows what they found. Steps hand each other
nothing but what they store: any of them can be called alone, and again, by a command, a task or a backfill. What a step needs is
imported inside it: Airflow parses the DAG without loading an engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

from pipeline.errors import DataError, GateClosed, PipelineError
from pipeline.operations.night import Night, hold_night

Step = Callable[..., None]
log = logging.getLogger("pipeline.operations.steps")


def extract(
    night: Night,
    *,
    reread: bool = False,
    since: date | None = None,
    override_gates: Sequence[str] | str = (),
    override_reason: str = "",
) -> None:
    """Read customers and order lines from the source into raw partitions; a night that was read before only with `reread`.

    `since` is an earlier local day to read from, and implies `reread`. A restatement reads nothing: it goes by what was read.
    With `vanished` among `override_gates`, the source may have lost order lines of earlier days.
    """
    from pipeline.definitions.owner import claim_lake
    from pipeline.ingestion.extract import extract as read_source
    from pipeline.operations.backup.unfinished import finish_restore
    from pipeline.operations.compaction import compact_old_months
    from pipeline.operations.erasure.erase import finish_erasures
    from pipeline.operations.readiness import require_ready
    from pipeline.publication.epoch import stamp_epoch
    from pipeline.publication.gates import requested_override
    from pipeline.publication.gates.audit import forget_refused_reading, is_gate_overridden, record_refused_reading

    override = requested_override(override_gates, override_reason)
    if _is_skipped_restatement(night):
        return
    deployment = night.deployment
    finish_restore(night.lake)
    claim_lake(night.lake, deployment.company)
    stamp_epoch(night.lake, night.day)  # before anything that the run could fall asleep in
    # Before the source is read: whoever asked to be forgotten must not be stored again.
    finish_erasures(deployment, are_sinks_required=False)
    compact_old_months(night)
    with _telling_of_refusal(night), hold_night(night) as company:
        require_ready(deployment, company, night.day)
        read_source(
            company,
            night.lake,
            night.day,
            connections=deployment.connections,
            reread=reread,
            since=since,
            is_loss_accepted=is_gate_overridden(night.lake, night.day, "vanished", override),
            on_loss=partial(record_refused_reading, company, night.lake, night.day),
            memory_limit=deployment.memory_limit,
        )
        forget_refused_reading(night.lake, night.day)


def validate(night: Night, *, override_gates: Sequence[str] | str = (), override_reason: str = "") -> None:
    """Divide raw rows into clean and rejected ones, or stop the night; a restatement goes by what its days were divided into.

    With `rejected` among `override_gates`, no share of rejected rows stops the night.
    """
    from pipeline.ingestion.validate import validate_sources
    from pipeline.publication.gates import requested_override
    from pipeline.publication.gates.audit import is_gate_overridden
    from pipeline.reporting.pages import write_validation_page

    override = requested_override(override_gates, override_reason)
    if _is_skipped_restatement(night):
        return
    with _withdrawing_refused_night(night), hold_night(night) as company_then:
        is_any_share_fine = is_gate_overridden(night.lake, night.day, "rejected", override)
        company = replace(company_then, rejected_share_limit=1.0) if is_any_share_fine else company_then
        try:
            with night.deployment.workers() as workers:
                validate_sources(company, night.lake, night.day, memory_limit=night.deployment.memory_limit, workers=workers)
        finally:
            write_validation_page(company, night.lake, night.day)


def features(night: Night) -> None:
    """Compute rollups and the features of every customer; of a restatement, as the later night knows them."""
    from pipeline.features import compute_features, compute_rollups

    with hold_night(night) as company, night.deployment.engine() as engine:
        compute_rollups(night.lake, engine, night.day, known_on=night.known_on, counts_as_order=company.counts_as_order)
        compute_features(company, night.lake, engine, night.day, known_on=night.known_on)


def segment(night: Night) -> None:
    """Assign customers to segments and audiences, choose what to do next about each, predict, and tell who moved and why.

    A restatement has neither moves, flows nor drift, which compare with nights before, as they were known then; nor has it figures and
    insights, which are told in the morning.
    """
    from pipeline.features import MergeHistory
    from pipeline.measurement.night_tables import write_campaign_tables
    from pipeline.models.measure_drift import write_drifts
    from pipeline.models.predict import write_predictions
    from pipeline.publication.left_out import known_left_out_customers
    from pipeline.segmentation import write_audiences, write_intervals, write_memberships, write_moves, write_next_actions
    from pipeline.segmentation.insights import write_figures, write_flows, write_refinement

    with hold_night(night) as company, night.deployment.engine() as engine:
        survivors_of = MergeHistory(night.lake, company.zone).rows_of
        # First, as rules may look at what is predicted.
        write_predictions(company, night.lake, engine, night.day, survivors_of=survivors_of, known_on=night.known_on)
        write_memberships(company, night.lake, engine, night.day, known_on=night.known_on)
        write_audiences(company, night.lake, engine, night.day, known_on=night.known_on)
        left_out = known_left_out_customers(company, night.lake, night.known_on or night.day).ids
        write_next_actions(company, night.lake, engine, night.day, known_on=night.known_on, left_out=left_out)
        if not night.is_restatement:
            write_drifts(company, night.lake, engine, night.day)
        write_intervals(night.lake, engine, night.day, known_on=night.known_on)
        if not night.is_restatement:
            write_moves(company, night.lake, engine, night.day)
            write_flows(night.lake, engine, night.day)
            write_figures(night.lake, engine, night.day, survivors_of=survivors_of)
            write_campaign_tables(company, night.lake, engine, night.day)
            with night.deployment.engine_in_process(engine) as local:
                write_refinement(company, night.lake, local, night.day, survivors_of=survivors_of)


def audit(night: Night, *, override_gates: Sequence[str] | str = (), override_reason: str = "") -> None:
    """Check what was computed before anyone sees it, then judge whether it may be published.

    Closed gates named in `override_gates` let the night pass; `override_reason` is recorded with them.
    """
    from pipeline.definitions.command_options import command_options
    from pipeline.lake.addresses import validation_page
    from pipeline.publication.current import known_live_day
    from pipeline.publication.gates import GateResult, requested_override, require_open
    from pipeline.publication.gates.audit import audit_night
    from pipeline.publication.gates.table_checks import check_tables
    from pipeline.reporting.pages import write_validation_page

    override = requested_override(override_gates, override_reason)
    with _withdrawing_refused_night(night), hold_night(night, is_computed=True) as company:
        gates: list[GateResult] = []
        try:
            with night.deployment.engine() as engine:
                check_tables(company, night.lake, engine, night.day, known_on=night.known_on)
                if not night.is_restatement:
                    gates = audit_night(company, night.lake, engine, night.day, override)
        finally:
            # Whether the night passes or not: whoever has to decide about a closed gate needs the page most.
            write_validation_page(company, night.lake, night.day, known_on=night.known_on, gates=gates)
        options = command_options(night.deployment.company, night.lake)
        where, live_day = night.lake.where(validation_page(night.day)), known_live_day(night.lake)
        require_open(night.day, gates, where=where, options=options, live_day=live_day)


def publish(night: Night) -> None:
    """Publish the night's tables to the database target and swap `current`; a restatement is never published.

    A catalogue of Iceberg tables comes last: what is live does not wait for it, and the same step brings it forward the next time.
    """
    from pipeline.operations.erasure.erase import finish_erasures
    from pipeline.publication.iceberg import register_live
    from pipeline.publication.publish import publish as publish_night
    from pipeline.reporting.pages.morning import write_morning_page

    if _is_skipped_restatement(night):
        return
    deployment = night.deployment
    finish_erasures(deployment, are_sinks_required=False)  # one may have been interrupted since the extraction
    with _withdrawing_refused_night(night), hold_night(night, is_computed=True) as company:
        publish_night(company, night.lake, night.day, connections=deployment.connections, memory_limit=deployment.memory_limit)
        write_morning_page(company, night.lake, night.day)
    register_live(deployment.company, night.lake, catalogs=deployment.catalogs)


STEPS: Mapping[str, Step] = {
    "extract": extract,
    "validate": validate,
    "features": features,
    "segment": segment,
    "audit": audit,
    "publish": publish,
}


def prepare_steps(
    night: Night, *, reread: bool, since: date | None, override_gates: Sequence[str], override_reason: str
) -> dict[str, Callable[[], None]]:
    """Return the steps by name in their order, each ready to be called with the operator's options.

    Raises ConfigError for a gate that does not exist, or one overridden without a reason: before anything is done.
    """
    from pipeline.publication.gates import requested_override

    override = requested_override(override_gates, override_reason)
    override_options = {"override_gates": sorted(override.gates), "override_reason": override.reason}
    options: Mapping[str, Mapping[str, Any]] = {
        "extract": {"reread": reread, "since": since, **override_options},
        "validate": override_options,
        "audit": override_options,
    }
    return {name: partial(step, night, **options.get(name, {})) for name, step in STEPS.items()}


def _is_skipped_restatement(night: Night) -> bool:
    """Return whether the night is a restatement, which reads no source and is never published; and log that."""
    if night.is_restatement:
        log.info("%s as known on %s is a restatement: nothing to do here", night.day, night.known_on)
    return night.is_restatement


@contextmanager
def _telling_of_refusal(night: Night) -> Iterator[None]:
    """Where a night is refused in the block, say so on its page: whoever opens it each morning must not take yesterday's for today's."""
    try:
        yield
    except (DataError, GateClosed):
        from pipeline.reporting.pages.morning import write_morning_page

        write_morning_page(night.deployment.company, night.lake, night.day)
        raise


@contextmanager
def _withdrawing_refused_night(night: Night) -> Iterator[None]:
    """Where a night is refused in the block, take it out of the database target too, and say so on its page.

    An earlier attempt may have written it there and died before it was published.
    """
    deployment = night.deployment
    try:
        with _telling_of_refusal(night):
            yield
    except (DataError, GateClosed):
        from pipeline.publication.database_target import restore_target
        from pipeline.publication.iceberg import register_live

        try:
            restore_target(deployment.company, deployment.lake, connections=deployment.connections)
            register_live(deployment.company, deployment.lake, catalogs=deployment.catalogs)
        except PipelineError as error:
            log.warning("the database target may show a night that was refused: %s", error.what)
        raise
