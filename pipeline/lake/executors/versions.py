"""The versions that an executor works with; another Python cannot read what we send, and another pyarrow writes other bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pyarrow as pa

PACKAGES = ("pyarrow", "numpy", "obstore")
# What work on files needs besides: what checks rows, and what digests them. Another version may find or write something else.
WORK_PACKAGES = ("duckdb", "great_expectations", "numpy", "pandas", "sqlglot")


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed here, by name, and where this code lies."""
    found = {"python": ".".join(map(str, sys.version_info[:2])), "code": str(Path(__file__).parents[3])}
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
    """Yield the versions of an executor, as rows of a name and a version."""
    for _ in batches:
        yield pa.RecordBatch.from_pylist([{"name": name, "version": found} for name, found in installed_versions().items()], VERSIONS)


VERSIONS = pa.schema([("name", pa.string()), ("version", pa.string())])
