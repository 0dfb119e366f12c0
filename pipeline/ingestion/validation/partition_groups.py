"""Groups of neighbouring partitions of a table: those of one are checked together, beside other groups. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.ingestion.validation.batches import PartitionRef
from pipeline.lake.row_file import RowFile

GROUP_ROWS = 1_000_000  # few enough to share among many workers, many enough that a group is more work than sending it


@dataclass(frozen=True, slots=True)
class PartitionGroup:
    """Neighbouring partitions of a table, and the file for their rejected rows; up to `held_rows` of their rows may stay in memory."""

    partitions: Sequence[PartitionRef]
    rejected: RowFile
    held_rows: int = 0


def neighbouring_partitions(row_counts: Mapping[PartitionRef, int]) -> Iterator[list[PartitionRef]]:
    """Yield neighbouring partitions of one night, in groups of about GROUP_ROWS rows; larger ones by themselves.

    What is checked together must not depend on how many workers there are: a rule about a whole table looks at it batch by batch.
    """
    together: list[PartitionRef] = []
    count = 0
    for partition, row_count in row_counts.items():
        if together and (count + row_count > GROUP_ROWS or together[0].known_on != partition.known_on):
            yield together
            together, count = [], 0
        together.append(partition)
        count += row_count
    if together:
        yield together
