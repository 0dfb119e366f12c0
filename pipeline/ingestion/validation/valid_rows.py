"""The raw rows that stay, of partitions that were checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import pyarrow as pa

from pipeline.ingestion.validation.batches import PartitionRef, read_pieces
from pipeline.lake.lake import Lake


@dataclass(slots=True)
class ValidRows:
    """`masks` has one per piece of a partition: true for rows that stay. Pieces are of `batch_rows` rows, as they were checked.

    `held` has the rows of partitions that are still in memory, which on most nights is all there is, so that they need not be read a
    second time.
    """

    batch_rows: int
    masks: dict[PartitionRef, list[pa.Array]] = field(default_factory=dict)
    held: dict[PartitionRef, list[pa.Table]] = field(default_factory=dict)

    def update(self, other: ValidRows) -> None:
        """Add partitions, which come after those that are here."""
        self.masks.update(other.masks)
        self.held.update(other.held)

    def of(self, partitions: Iterable[PartitionRef]) -> ValidRows:
        """Return the rows of some of the partitions."""
        chosen = list(partitions)
        held = {partition: self.held[partition] for partition in chosen if partition in self.held}
        return ValidRows(self.batch_rows, {partition: self.masks[partition] for partition in chosen}, held)

    def pieces(self, lake: Lake) -> Iterator[pa.Table]:
        """Yield the rows that stay, in pieces sorted by key; those that are not held are read from the lake again."""
        # One pass over all partitions that must be read again, as several of them share a file.
        again = [each for each, masks in self.masks.items() if len(self.held.get(each, ())) < len(masks)]
        read = read_pieces(lake, again, limit=self.batch_rows)
        for partition, masks in self.masks.items():
            held = self.held.get(partition, ())
            whole = held if len(held) == len(masks) else (rows for _, rows in islice(read, len(masks)))
            for rows, mask in zip(whole, masks, strict=True):
                yield rows.filter(mask) if mask.false_count else rows

    def counts(self, partition: PartitionRef) -> dict[str, int]:
        """Return what the manifest of the clean partition says of its raw one."""
        masks = self.masks[partition]
        rejected = sum(mask.false_count for mask in masks)
        return {"raw_row_count": sum(map(len, masks)), "rejected_row_count": rejected}

    def held_columns(self, names: Sequence[str]) -> pa.Table | None:
        """Return these columns of all rows that were checked, set aside or not; None where not all of them are in memory."""
        if not self.held or any(len(self.held.get(partition, ())) < len(masks) for partition, masks in self.masks.items()):
            return None
        return pa.concat_tables(rows.select(names) for pieces in self.held.values() for rows in pieces)

    @property
    def row_count(self) -> int:
        """How many rows stay."""
        return sum(mask.true_count for masks in self.masks.values() for mask in masks)
