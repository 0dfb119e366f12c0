"""Parts of a table: neighbouring partitions that are checked together, beside those of other parts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.ingestion.validation.batches import PartitionRef
from pipeline.lake.row_file import RowFile

PART_ROWS = 1_000_000  # few enough to share among many workers, many enough that a part is more work than sending it


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring partitions of a table, and the file for their rejected rows; up to `held_rows` of their rows may stay in memory."""

    partitions: Sequence[PartitionRef]
    rejected: RowFile
    held_rows: int = 0


def neighbours(row_counts: Mapping[PartitionRef, int]) -> Iterator[list[PartitionRef]]:
    """Yield neighbouring partitions of one night, about PART_ROWS rows at a time; larger ones by themselves.

    What is checked together must not depend on how many workers there are: a rule about a whole table looks at it batch by batch.
    """
    together: list[PartitionRef] = []
    count = 0
    for partition, row_count in row_counts.items():
        if together and (count + row_count > PART_ROWS or together[0].known_on != partition.known_on):
            yield together
            together, count = [], 0
        together.append(partition)
        count += row_count
    if together:
        yield together
