"""Quantiles of attributes, frozen on the first of the month: nobody changes band within it because others came or changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.rules import Quantile
from pipeline.features.rollup_set import frozen_night
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMERS


def frozen_quantiles(
    lake: Lake, day: date, quantiles: Iterable[Quantile], known_on: date | None = None
) -> dict[Quantile, Decimal | float | None]:
    """Return the quantiles as of the first of the month of `day`; None where no customer has the attribute.

    They are those of the customers whom the source knew then, else of the first ones known since who have the attribute.
    """
    _, frozen = frozen_night(day, known_on or day)
    nights = [night for night in lake.snapshots(CUSTOMERS) if night <= (known_on or day)] or lake.snapshots(CUSTOMERS)[:1]
    earlier = [night for night in nights if night <= frozen]
    # The newest by then, and then on, if it holds no value yet, those that came since.
    candidates = [*earlier[-1:], *(night for night in nights if night > frozen)]
    found: dict[Quantile, Decimal | float | None] = dict.fromkeys(quantiles)
    for night in candidates:
        unknown = [each for each, value in found.items() if value is None]
        if not unknown:
            break
        columns = lake.read_columns(CUSTOMERS, dict.fromkeys(each.of for each in unknown), known_on=night)
        found |= {each: _quantile_of(columns[each.of], each.share) for each in unknown if each.of in columns.column_names}
    return found


def _quantile_of(column: pa.ChunkedArray, share: float) -> Decimal | float | None:
    """Return the quantile of the values that are neither null nor negative; None where there are none."""
    values = pc.drop_null(column.combine_chunks())
    values = values.filter(pc.greater_equal(values, pa.scalar(0, values.type)))
    if len(values) == 0:
        return None
    place = ceil(Decimal(repr(share)) * len(values)) - 1
    order = pc.partition_nth_indices(values, pivot=place)
    # A value that occurs, never one between two: the limit is then of the attribute's own kind, and exact.
    found: Decimal | float = values[order[place].as_py()].as_py()
    return found
