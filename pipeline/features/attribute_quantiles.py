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
    # Not `filter(None, ...)`: a quantile may be 0.
    return {each: next(filter(_is_known, (_quantile_of(lake, night, each) for night in candidates)), None) for each in quantiles}


def _is_known(value: Decimal | float | None) -> bool:
    return value is not None


def _quantile_of(lake: Lake, night: date, quantile: Quantile) -> Decimal | float | None:
    column = lake.read_column(CUSTOMERS, quantile.of, known_on=night)
    if column is None:
        return None
    values = pc.drop_null(column.combine_chunks())
    values = values.filter(pc.greater_equal(values, pa.scalar(0, values.type)))
    if len(values) == 0:
        return None
    place = ceil(Decimal(repr(quantile.share)) * len(values)) - 1
    order = pc.partition_nth_indices(values, pivot=place)
    # A value that occurs, never one between two: the limit is then of the attribute's own kind, and exact.
    found: Decimal | float = values[order[place].as_py()].as_py()
    return found
