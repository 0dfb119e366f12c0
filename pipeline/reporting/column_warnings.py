"""What readers of figures should know of the columns behind them: lines that lack one, values that differ in spelling alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.company import Company
from pipeline.features import partly_known_columns
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.segmentation import schemes_of_night


def column_warnings(company: Company, lake: Lake, day: date) -> Iterator[str]:
    """Yield a sentence for each column that a person should look at, with counts and what to do; no value is named."""
    yield from _partly_known_warnings(company, lake, day)
    yield from _spelling_warnings(company, lake, day)


def _partly_known_warnings(company: Company, lake: Lake, day: date) -> Iterator[str]:
    for name, (count, lines) in partly_known_columns(lake, day).items():
        what = f"order_lines.{name} is empty in {count:,} of the {lines:,} lines of the last {company.window_days} days"
        none = " If empty means no discount, write COALESCE(discount_amount, 0) in the query." if name == "discount_amount" else ""
        yield f"{what}: no figure of {name.removesuffix('_amount')} counts them.{none}"


def _spelling_warnings(company: Company, lake: Lake, day: date) -> Iterator[str]:
    attributes = {attribute.column.name for attribute in company.attributes}
    needs = {column.name: column.needs for column in CUSTOMER_FEATURES.columns}
    # Only what is ranked by value: a rule that compares a text names the spelling it means.
    ranked = dict.fromkeys(scheme.attribute for scheme in schemes_of_night(company, lake, day).schemes if scheme.kind != "rules")
    columns = lake.read_columns(CUSTOMER_FEATURES, ranked, day=day)
    for name in ranked:
        # An attribute that was declared after the night is not there.
        values, customers = _spelled_alike(columns[name]) if name in columns.column_names else (0, 0)
        if values:
            remedy = (
                f'[attributes.{name}] spelling = "title" makes one of them, or "upper" or "lower"'
                if name in attributes
                else f"bring {needs.get(name, name)} into one spelling in order_lines.sql, with LOWER(TRIM(...)) say"
            )
            yield f"{name}: {values:,} values of {customers:,} customers differ from others in capitals or spaces alone: {remedy}."


def _spelled_alike(column: pa.ChunkedArray) -> tuple[int, int]:
    """Count the values that are spelled like a more frequent one but for capitals and spaces, and the customers who have them."""
    alike: dict[str, list[int]] = defaultdict(list)
    for each in pc.value_counts(column).to_pylist():
        if each["values"] is not None:
            alike[" ".join(each["values"].casefold().split())].append(each["counts"])
    # The most frequent spelling is the one that all others were meant to have.
    rarer = [count for counts in alike.values() for count in sorted(counts)[:-1]]
    return len(rarer), sum(rarer)
