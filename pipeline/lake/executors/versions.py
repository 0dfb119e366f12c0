"""The versions that an executor works with; another Python cannot read what we send, and another pyarrow writes other bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

import pyarrow as pa

from pipeline.lake.executors.code import ROOT, code_digest

PACKAGES = ("pyarrow", "numpy", "obstore")
# What work on files needs besides: what checks rows, and what digests them. Another version may find or write something else.
WORK_PACKAGES = ("duckdb", "great_expectations", "numpy", "pandas", "sqlglot")


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed here, by name, and where this code lies and its digest."""
    found = {"python": ".".join(map(str, sys.version_info[:2])), "code": str(ROOT), "digest": code_digest()}
    for name in {*PACKAGES, *WORK_PACKAGES}:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def lacking_packages(found: Mapping[str, str]) -> list[str]:
    """Return what an executor with the versions `found` must be given before it can do work on files, as pip is told of it."""
    ours = installed_versions()
    return [f"{name}=={ours.get(name, '')}" for name in WORK_PACKAGES if found.get(name) != ours.get(name)]


def answer_with_versions(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the versions of an executor, as rows of a name and a version, and what became of the `batches` of a PROBE."""
    rows = pa.Table.from_batches(list(batches)).to_pylist()
    found = installed_versions()
    if [row["number"] for row in rows] == sorted((row["number"] for row in rows), reverse=True):
        found[SORTED] = "yes"
    if all(row["amount"] == float(PROBE_AMOUNT) for row in rows):
        found[NEAREST] = "yes"
    yield pa.RecordBatch.from_pylist([{"name": name, "version": version} for name, version in found.items()], VERSIONS)


# Rows that are to come in falling order, each with an amount that was cast to a double: what is wrong of one server or another.
PROBE_AMOUNT = "8203092099319.0391"
PROBE = ("CAST(id AS BIGINT) AS number", f"CAST(CAST('{PROBE_AMOUNT}' AS DECIMAL(18, 4)) AS DOUBLE) AS amount")
SORTED, NEAREST = "rows stay sorted", "doubles are the nearest"
VERSIONS = pa.schema([("name", pa.string()), ("version", pa.string())])
