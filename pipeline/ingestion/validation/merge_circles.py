"""Merges that lead back to where they came from: A into B, and B into A. Pure."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import pyarrow as pa
import pyarrow.compute as pc


def ids_closing_circles(merges: pa.Table) -> pa.Array:
    """Return the `customer_id` of each merge that closes a circle with earlier ones, or that is one by itself.

    Of several at one instant all are meant, as nothing says which came last. So a merge that was fine stays fine, whatever comes later.
    """
    merges = _without_repeated_ids(merges.drop_null().select(["merged_at", "customer_id", "merged_into"]))
    # Whoever is merged into somebody who stays is on no circle; without them, others are merged into somebody who stays.
    while merges.num_rows:
        leads_on = pc.is_in(merges["merged_into"], value_set=merges["customer_id"].combine_chunks())
        if pc.all(leads_on).as_py():
            break
        merges = merges.filter(leads_on)
    return pa.array(sorted(_circle_closers(merges)), pa.string())


def _without_repeated_ids(merges: pa.Table) -> pa.Table:
    """Return the rows of customers with one row: of the others, it is unknown into whom they were merged, and they are set aside."""
    counts = pc.value_counts(merges["customer_id"].combine_chunks())
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return merges.filter(pc.invert(pc.is_in(merges["customer_id"], value_set=repeated)))


def _circle_closers(merges: pa.Table) -> set[str]:
    """Follow merges in the order in which they happened; only those of circles and what leads there are left to follow."""
    rows = sorted(zip(*(merges[name].cast(kind).to_pylist() for name, kind in _KINDS.items()), strict=True))
    heads: dict[str, str] = {}
    closers: set[str] = set()
    for _, together in groupby(rows, key=itemgetter(0)):
        new = {customer: other for _, customer, other in together}
        closing = {customer for customer in new if _leads_back(customer, heads | new)}
        heads |= {customer: other for customer, other in new.items() if customer not in closing}
        closers |= closing
    return closers


_KINDS = {"merged_at": pa.int64(), "customer_id": pa.string(), "merged_into": pa.string()}


def _leads_back(customer: str, heads: dict[str, str]) -> bool:
    seen: set[str] = set()
    place = customer
    while place in heads and place not in seen:
        seen.add(place)
        place = heads[place]
    return place == customer and bool(seen)
