"""How tests get at Spark: one session for all, on one cluster."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.lake.engines.spark import SparkEngine
from pipeline.lake.lake import Lake

SparkOver = Callable[[Lake], SparkEngine]
