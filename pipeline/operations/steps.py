"""One function per task of the night. Each reads its inputs from the lake by (table, day) and writes by (table, day).

The company and the lake are named by SEGMENTS_COMPANY and SEGMENTS_LAKE, so a step is called with an ISO date alone.
What a step needs is imported inside it: Airflow parses the DAG without loading an engine.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.definitions.company import Company, load_company
from pipeline.definitions.connections import from_environment
from pipeline.errors import ConfigError, DataError, GateClosed, PipelineError

if TYPE_CHECKING:
    from pipeline.lake.engines import Engine
    from pipeline.lake.lake import Lake

Connections = Callable[[str], str]
log = logging.getLogger("pipeline.operations.steps")
STEPS = ("extract", "validate", "features", "segment", "audit", "publish")


@dataclass(frozen=True, slots=True)
class Night:
    """One business day of one company in one lake, as night `known` knows it; the day itself unless it is restated."""

    company: Company
    lake: Lake
    day: date
    known: date


def extract(
    day: str, *, known: str | None = None, connections: Connections = from_environment, reread: bool = False, since: str | None = None
) -> None:
    """Read customers and order lines from the source into raw partitions; a night already read only when asked to `reread`.

    The local day `since` widens what is read, and reads it again. A restatement goes by what was read.
    """
    from pipeline.ingestion.extract import extract as read_source

    if _is_restatement(day, known):
        return
    _note_begin(day)
    _finish_erasures(connections)
    widened = date.fromisoformat(since) if since else None
    with _night(day) as night:
        _require_target(night.company, connections)
        read_source(
            night.company, night.lake, night.day, connections=connections, reread=reread, since=widened, memory_limit=_memory_limit()
        )


def validate(
    day: str,
    *,
    known: str | None = None,
    override_gates: Sequence[str] | str = (),
    override_reason: str = "",
    connections: Connections = from_environment,
) -> None:
    """Divide raw rows into clean and rejected ones, or stop the night; a restatement goes by what was divided.

    With `rejected` among `override_gates`, no share of rejected rows stops it.
    """
    from pipeline.ingestion.validate import validate_sources
    from pipeline.publication.gates import asked_override
    from pipeline.publication.gates.audit import is_let_pass
    from pipeline.reporting.pages.validation import write_validation_page

    asked = asked_override(override_gates, override_reason)
    if _is_restatement(day, known):
        return
    with _refused_everywhere(connections), _night(day) as night:
        is_any_share_fine = is_let_pass(night.lake, night.day, "rejected", asked)
        company = replace(night.company, rejected_share_limit=1.0) if is_any_share_fine else night.company
        try:
            validate_sources(company, night.lake, night.day, memory_limit=_memory_limit())
        finally:
            write_validation_page(company, night.lake, night.day)


def features(day: str, *, known: str | None = None, connections: Connections = from_environment) -> None:  # noqa: ARG001
    """Compute rollups and the features of every customer; with a later night `known`, as a restatement."""
    from pipeline.features.features import compute_features, compute_rollups

    with _night(day, known) as night:
        with _engine(night.lake) as engine:
            compute_rollups(night.lake, engine, night.day, known=night.known)
        with _engine(night.lake) as engine:
            compute_features(night.company, night.lake, engine, night.day, known=night.known)


def segment(day: str, *, known: str | None = None, connections: Connections = from_environment) -> None:  # noqa: ARG001
    """Assign every customer to a segment of every scheme, predict their value, profile the segments, and tell who moved and why.

    With a later night `known`, as a restatement, of which no moves are told.
    """
    from pipeline.models.measure_drift import keep_drifts
    from pipeline.models.predict import keep_predictions
    from pipeline.segmentation.intervals import keep_intervals
    from pipeline.segmentation.memberships import compute_segments
    from pipeline.segmentation.moves import keep_moves

    with _night(day, known) as night, _engine(night.lake) as engine:
        compute_segments(night.company, night.lake, engine, night.day, known=night.known)
        keep_predictions(night.company, night.lake, engine, night.day, known=night.known)
        if night.known == night.day:
            keep_drifts(night.company, night.lake, engine, night.day)
        keep_intervals(night.lake, engine, night.day, known=night.known)
        if night.known == night.day:
            keep_moves(night.company, night.lake, engine, night.day)


def audit(
    day: str,
    *,
    known: str | None = None,
    override_gates: Sequence[str] | str = (),
    override_reason: str = "",
    connections: Connections = from_environment,
) -> None:
    """Check what was computed before anyone sees it, then judge whether it may be published.

    Closed gates named in `override_gates` let the night pass; `override_reason` is recorded with them.
    """
    from pipeline.lake.addresses import validation_page
    from pipeline.publication.gates import GateResult, asked_override, require_open
    from pipeline.publication.gates.audit import judge_night
    from pipeline.publication.gates.table_checks import check_tables
    from pipeline.reporting.pages.validation import write_validation_page

    asked = asked_override(override_gates, override_reason)
    with _refused_everywhere(connections), _night(day, known, is_computed=True) as night:
        gates: list[GateResult] = []
        try:
            with _engine(night.lake) as engine:
                check_tables(night.company, night.lake, engine, night.day, known=night.known)
                if night.known == night.day:
                    gates = judge_night(night.company, night.lake, engine, night.day, asked)
        finally:
            write_validation_page(night.company, night.lake, night.day, known=night.known, gates=gates)
        require_open(night.day, gates, where=night.lake.where(validation_page(night.day)))


def publish(day: str, *, known: str | None = None, connections: Connections = from_environment) -> None:
    """Publish the night's tables to the database target and swap `current`; a restatement is never published."""
    from pipeline.publication.publish import publish as publish_night

    if _is_restatement(day, known):
        return
    _finish_erasures(connections)
    with _refused_everywhere(connections), _night(day, is_computed=True) as night:
        publish_night(night.company, night.lake, night.day, connections=connections)


def erase(day: str, *, connections: Connections = from_environment) -> None:
    """Erase the customers that the company's `sources/erasures.sql` lists by the end of `day`, as far as they are new."""
    from pipeline.operations.erasure.listed import erase_listed

    company, lake = _company_and_lake()
    erase_listed(company, lake, date.fromisoformat(day), connections=connections, memory_limit=_memory_limit())


def refit(day: str, *, scheme: str | None = None, connections: Connections = from_environment) -> None:  # noqa: ARG001
    """Fit a candidate of each cluster scheme, or of one, to the customers of night `day`, and store it judged; no night changes."""
    from pipeline.models.refits.refit import refit_night
    from pipeline.operations.erasure.erase import beside_erasures

    company, lake = _company_and_lake()
    with beside_erasures(lake), lake.lock("refits"), _engine(lake) as engine:
        refit_night(company, lake, engine, date.fromisoformat(day), scheme=scheme)


def promote(
    day: str,
    *,
    scheme: str | None = None,
    override_reason: str = "",
    is_approval_asked: bool = False,
    connections: Connections = from_environment,  # noqa: ARG001
) -> None:
    """Make the stored candidates of night `day` the models of the nights to come, unless they were refused.

    Where `is_approval_asked`, a person has approved by now, which those need that move many customers. With an
    `override_reason` a refused one is promoted too. Raises RefitRefused where the current model stays.
    """
    from pipeline.models.refits.promotion import Consent
    from pipeline.models.refits.refit import promote_night

    company, lake = _company_and_lake()
    with lake.lock("refits"):
        night = date.fromisoformat(day)
        promote_night(company, lake, night, Consent(is_approved=is_approval_asked, override=override_reason), scheme=scheme)


def refit_predictions(day: str, *, is_held: bool = False, connections: Connections = from_environment) -> None:  # noqa: ARG001
    """Fit and test what predicts customers' value on what night `day` knows, and make it valid from the next night on unless held.

    Raises RefitRefused where it does not beat last year's spend: then nothing is predicted from the next night on.
    """
    from pipeline.models.refits.prediction_refit import promote_trial, store_trial, tried
    from pipeline.operations.erasure.erase import beside_erasures

    company, lake = _company_and_lake()
    with beside_erasures(lake), lake.lock("refits"), _engine(lake) as engine:
        trial = tried(company, lake, engine, date.fromisoformat(day))
        said = store_trial(lake, trial)
        log.info("%s: %s: %s", said["scheme"], said["verdict"], said["reason"])
        if not is_held:
            promote_trial(lake, trial)


def _require_target(company: Company, connections: Connections) -> None:
    """Find an address that cannot be one before the night's work, not after it."""
    if company.target.kind == "postgresql":
        from pipeline.publication.targets.postgresql import require_address

        require_address(connections(company.target.connection), company.target)


def _note_begin(day: str) -> None:
    """Note that a run begins, before anything that it could fall asleep in."""
    from pipeline.publication.rollback_log import note_begin

    _, lake = _company_and_lake()
    note_begin(lake, date.fromisoformat(day))


def _finish_erasures(connections: Connections) -> None:
    """Complete an interrupted erasure before a night reads, and before it publishes."""
    from pipeline.operations.erasure.erase import finish_erasures

    company, lake = _company_and_lake()
    finish_erasures(company, lake, connections=connections, memory_limit=_memory_limit())


def _is_restatement(day: str, known: str | None) -> bool:
    """Return whether the night is computed as a later one knows it: such a one reads no source and is never published."""
    if known in (None, day):
        return False
    log.info("%s as known on %s is a restatement: nothing to do here", day, known)
    return True


@contextmanager
def _refused_everywhere(connections: Connections) -> Iterator[None]:
    """Where a night is refused in the block, take it out of the database target too: an attempt may have died right after that."""
    try:
        yield
    except (DataError, GateClosed):
        from pipeline.publication.publish import restore_target

        company, lake = _company_and_lake()
        try:
            restore_target(company, lake, connections=connections)
        except PipelineError as error:
            log.warning("the database target may show a night that was refused: %s", error.what)
        raise


@contextmanager
def _night(day: str, known: str | None = None, *, is_computed: bool = False) -> Iterator[Night]:
    """Yield the night, with the definitions that were valid then, and its lock held, so that two runs of one day take turns."""
    from pipeline.definitions.history import company_of_computed, company_of_night
    from pipeline.operations.erasure.erase import beside_erasures

    company, lake = _company_and_lake()
    at, learned = date.fromisoformat(day), date.fromisoformat(known or day)
    definitions = company_of_computed if is_computed else company_of_night
    with beside_erasures(lake), lake.lock(f"day={at}"):
        yield Night(definitions(lake, company, at, learned), lake, at, learned)


def _company_and_lake() -> tuple[Company, Lake]:
    from pipeline.lake.lake import Lake

    return load_company(Path(_setting("SEGMENTS_COMPANY"))), Lake(Path(_setting("SEGMENTS_LAKE")), lock_seconds=_lock_seconds())


@contextmanager
def _engine(lake: Lake) -> Iterator[Engine]:
    from pipeline.lake.engines.duckdb import open_engine

    engine = open_engine(lake, memory_limit=_memory_limit())
    try:
        yield engine
    finally:
        engine.close()


def _memory_limit() -> str:
    return os.environ.get("SEGMENTS_MEMORY_LIMIT", "3GB")


def _lock_seconds() -> float:
    """Return for how long a step waits for another run; a scheduler tries again, so that need not be long."""
    text = os.environ.get("SEGMENTS_LOCK_SECONDS", "600")
    try:
        return float(text)
    except ValueError:
        raise ConfigError("SEGMENTS_LOCK_SECONDS is no number", where="environment", todo="Write seconds, such as 600.") from None


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(f"{name} is not set", where="environment", todo=f"Set {name}, or run `segments run --help`.")
    return value
