"""Rows that a cluster holds: where the lake is given them to write, the cluster writes them, and they never pass this process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.lake.event_days import MonthFile, StoredVersion, Version
from pipeline.lake.tables import Table


@dataclass(frozen=True, slots=True)
class MonthFilePlan:
    """What one file of event days is to hold: versions with what the manifest says of each, and those stored before that stay.

    Those lie in the file itself, which is read at one of the `links` where it has one.
    """

    file: MonthFile
    facts: Mapping[Version, Mapping[str, Any]]
    staying: Mapping[Version, StoredVersion]
    links: Mapping[MonthFile, Path]


@dataclass(frozen=True, slots=True)
class WrittenMonthFile:
    """A private file of event days that an executor has written, and the number of rows of each version that has any."""

    path: Path
    counts: Mapping[Version, int]


class RemoteRows(ABC):
    """The rows of a statement on a cluster. As an iterable of batches they come to this process, which a few may and many may not."""

    @abstractmethod
    def read_all(self) -> pa.Table:
        """Return the rows; raises DataError where there are more than a process may take."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self.read_all().to_batches()

    @abstractmethod
    def write_file(self, schema: pa.Schema, path: Path, manifest: Mapping[str, Any]) -> int:
        """Write the rows, in the order of the statement, as one Parquet file at `path`, which is private; return their number."""

    @abstractmethod
    def write_month_files(self, table: Table, plans: Sequence[MonthFilePlan], folder: Path) -> Mapping[MonthFile, WrittenMonthFile]:
        """Write the rows as files of event days, by month and night, below the private `folder`; no file where no row belongs."""
