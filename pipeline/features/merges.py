"""Which ids are one person by the end of a day: customers who were merged into others, followed to who is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from hashlib import sha256
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.calendar import days_window
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_MERGES, CUSTOMER_SURVIVORS, CUSTOMERS


@dataclass(frozen=True)
class Survivors:
    """Whose customers are whose: rows of CUSTOMER_SURVIVORS, with those who are left under their own id; empty where nobody was merged."""

    rows: pa.Table

    def __bool__(self) -> bool:
        return bool(self.rows.num_rows)

    @cached_property
    def digest(self) -> str:
        """Names what the rows say; empty where nobody was merged."""
        if not self:
            return ""
        pairs = zip(*(self.rows[name].to_pylist() for name in CUSTOMER_SURVIVORS.column_names), strict=True)
        return sha256("\n".join(f"{len(one)} {one} {other}" for one, other in pairs).encode()).hexdigest()[:16]

    @cached_property
    def merged_ids(self) -> pa.Array:
        """The ids of customers who are somebody else."""
        is_other = pc.not_equal(self.rows["customer_id"], self.rows["survivor_id"])
        return self.rows["customer_id"].filter(is_other).combine_chunks()

    def ids_of(self, customers: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Return each id, or that of the survivor where the customer was merged."""
        if not self:
            return customers
        place = pc.index_in(customers, value_set=self.rows["customer_id"].combine_chunks())
        return pc.coalesce(self.rows["survivor_id"].combine_chunks().take(place), customers)

    def ids_merged_into(self, customers: pa.Array) -> pa.Array:
        """Return the ids under which the source may have rows of `customers`, if they stand for others."""
        return self.rows["customer_id"].filter(pc.is_in(self.rows["survivor_id"], value_set=customers)).combine_chunks()

    def merged_since(self, earlier: Survivors) -> pa.Array:
        """Return the ids of all who are somebody else now but were not then, or were then but are not now."""
        now, before = (set(each.merged_ids.to_pylist()) for each in (self, earlier))
        return pa.array(sorted(now ^ before), pa.string())

    def changed_since(self, earlier: Survivors) -> pa.Array:
        """Return the ids of all who are somebody else than they were, or stand for somebody else."""
        before, now = ({tuple(row.values()) for row in each.rows.to_pylist()} for each in (earlier, self))
        return pa.array(sorted({each for pair in before ^ now for each in pair}), pa.string())


@dataclass(frozen=True, slots=True)
class CustomerMerge:
    """One customer who was merged into another on a day of the company's zone."""

    customer_id: str
    merged_into: str
    merged_on: date


NOBODY = Survivors(pa.Table.from_batches([], CUSTOMER_SURVIVORS.schema))


@dataclass(frozen=True, slots=True)
class MergeHistory:
    """The merges that a lake knows of; `zone` is where its company's days begin and end."""

    lake: Lake
    zone: ZoneInfo
    _survivors: dict[tuple[date, date], Survivors] = field(default_factory=dict, compare=False)

    def survivors(self, day: date, known_on: date) -> Survivors:
        """Return who is whose by the end of `day`, as night `known_on` knows it."""
        if (day, known_on) not in self._survivors:
            rows = self._rows_by(day, known_on)
            self._survivors[day, known_on] = survivors_of(rows) if rows else NOBODY
        return self._survivors[day, known_on]

    def rows_of(self, day: date, known_on: date) -> pa.Table:
        """Return the rows of `survivors`: for packages that know nothing of merges but the table."""
        return self.survivors(day, known_on).rows

    def merges_of(self, customer_id: str, day: date, known_on: date) -> list[CustomerMerge]:
        """Return the merges by the end of `day` that lead from a customer to who is left, in that order; none for who was not merged."""
        rows = self._rows_by(day, known_on)
        by_id = {row["customer_id"]: row for row in rows.to_pylist()} if rows else {}
        path = []
        # It ends: rows that close a circle were set aside before merges became clean ones.
        while row := by_id.get(customer_id):
            path.append(CustomerMerge(customer_id, row["merged_into"], row["merged_at"].astimezone(self.zone).date()))
            customer_id = row["merged_into"]
        return path

    def ids_of_same_people(self, ids: pa.Array) -> pa.Array:
        """Return `ids` and all others of the same people by the newest merges that are stored, whenever they happened; in order."""
        known = self.lake.snapshot_known(CUSTOMER_MERGES, date.max)
        found = pc.unique(ids)
        if known is not None:
            merges = self.lake.read(CUSTOMER_MERGES, known_on=known)
            survivors = survivors_of(merges)
            left = pc.unique(survivors.ids_of(found))
            # By whoever is left: from there all that were merged into them are found, on whichever way.
            found = pc.unique(pa.concat_arrays([found, left, survivors.ids_merged_into(left)]))
        return pa.array(sorted(found.to_pylist()), pa.string())

    def _rows_by(self, day: date, known_on: date) -> pa.Table | None:
        """Return the merges by the end of `day`, as night `known_on` knows them; None where it knows of none."""
        known = _snapshot_known(self.lake, known_on)
        if known is None:
            return None
        rows = self.lake.read(CUSTOMER_MERGES, known_on=known)
        return rows.filter(pc.less(rows["merged_at"], pa.scalar(days_window(day, day, self.zone).end, rows["merged_at"].type)))


def _snapshot_known(lake: Lake, known_on: date) -> date | None:
    """Return the newest snapshot of merges known by `known_on`.

    A night before anything was read goes by the first one, as it does for customers. Any other that had none knew of no merges.
    """
    found = lake.snapshot_known(CUSTOMER_MERGES, known_on)
    if found is None or found <= known_on:
        return found
    first = lake.snapshot_known(CUSTOMERS, date.min)
    return found if first is None or known_on < first else None


def survivors_of(merges: pa.Table) -> Survivors:
    """Return whose customers are whose after these merges, chains followed to their end; they have no circles."""
    if not merges.num_rows:
        return NOBODY
    pairs = pa.concat_arrays([merges["customer_id"].combine_chunks(), merges["merged_into"].combine_chunks()]).dictionary_encode()
    places = pairs.indices.to_numpy()
    heads = follow_to_the_end(places[: merges.num_rows], places[merges.num_rows :], len(pairs.dictionary))
    rows = pa.table({"customer_id": pairs.dictionary, "survivor_id": pairs.dictionary.take(pa.array(heads))})
    return Survivors(CUSTOMER_SURVIVORS.conform(rows.sort_by("customer_id")))


def follow_to_the_end(sources: np.ndarray, targets: np.ndarray, count: int) -> np.ndarray:
    """Return where each of `count` places leads, with each of `sources` leading on to its target; within a circle to any place of it."""
    heads = np.arange(count)
    heads[sources] = targets
    # A step of twice the length each time: a chain of n merges is followed in log2(n) steps.
    for _ in range(count.bit_length()):
        further = heads[heads]
        if np.array_equal(further, heads):
            break
        heads = further
    return heads
