"""Metrics in the text format that Prometheus reads: gauges alone.

No gauge is an age: a monitor computes that from an instant, so a file that nobody writes any more grows old too.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from pipeline.reporting.metrics.declarations import METRICS, PREFIX, Metric, Sample

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def to_prometheus(samples: Iterable[Sample]) -> str:
    """Return the samples as text, metric by metric in the order of their declarations."""
    by_metric: dict[Metric, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_metric[sample.metric].append(sample)
    return "".join(line for metric in METRICS if metric in by_metric for line in _lines(metric, by_metric[metric]))


def _lines(metric: Metric, samples: Iterable[Sample]) -> Iterator[str]:
    name = f"{PREFIX}_{metric.name}"
    yield f"# HELP {name} {metric.meaning.translate(_ESCAPES)}\n# TYPE {name} gauge\n"
    for sample in samples:
        yield f"{name}{_labels(sample)} {sample.value:.15g}\n"


def _labels(sample: Sample) -> str:
    pairs = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sample.labels.items())
    return f"{{{pairs}}}" if pairs else ""
