"""What steps and syncs come to goes where Airflow's own metrics go: to StatsD, Datadog or OpenTelemetry, by its settings, else nowhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from airflow.sdk import conf

from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night
from pipeline.reporting.metrics.declarations import PREFIX, Sample

log = logging.getLogger("pipeline.airflow")
SECTION, STATSD, DATADOG, OPENTELEMETRY = "metrics", "statsd_on", "statsd_datadog_enabled", "otel_on"
# StatsD itself has no tags. Where they are not added to its names for InfluxDB, their values become parts of ours, as in Airflow's own.
WITH_TAGS = (DATADOG, OPENTELEMETRY, "statsd_influxdb_enabled")


@contextmanager
def sending_step_metrics(step: str, night: Night) -> Iterator[None]:
    """Once the step in the block is done, or failed, send what it came to; nothing of a restatement."""
    try:
        yield
    finally:
        if not night.is_restatement:
            _send(step, lambda: _step_samples(step, night))


@contextmanager
def sending_sync_metrics(deployment: Deployment, sink: str) -> Iterator[None]:
    """Once the sync of a sink in the block is done, or failed, send how it ended."""
    try:
        yield
    finally:
        _send(f"the sync of {sink}", lambda: _sync_samples(deployment, sink))


def _step_samples(step: str, night: Night) -> Iterable[Sample]:
    from pipeline.reporting.metrics.night_samples import step_samples

    return step_samples(night.deployment.company, night.lake, step, night.day)


def _sync_samples(deployment: Deployment, sink: str) -> Iterable[Sample]:
    from pipeline.reporting.metrics.status_samples import sync_samples

    return sync_samples(deployment.company, deployment.lake, sink)


def _send(subject: str, samples: Callable[[], Iterable[Sample]]) -> None:
    """Send samples where Airflow sends metrics at all. What fails is logged: metrics never fail a night."""
    if not any(conf.getboolean(SECTION, option, fallback=False) for option in (STATSD, DATADOG, OPENTELEMETRY)):
        return
    try:
        has_tags = any(conf.getboolean(SECTION, option, fallback=False) for option in WITH_TAGS)
        for sample in samples():
            _send_sample(sample, has_tags=has_tags)
    except Exception as error:  # noqa: BLE001 - whatever it is, the night has done its work
        log.warning("no metrics of %s were sent: %s", subject, type(error).__name__)


def _send_sample(sample: Sample, *, has_tags: bool) -> None:
    from airflow.sdk.observability import stats

    labels = {name: stats.normalize_name_for_stats(value, log_warning=False) for name, value in sample.labels.items()}
    if has_tags:
        stats.gauge(f"{PREFIX}.{sample.metric.name}", sample.value, tags=labels)
    else:
        parts = [value.replace(".", "_") for value in labels.values()]
        stats.gauge(".".join((PREFIX, sample.metric.name, *parts)), sample.value)
