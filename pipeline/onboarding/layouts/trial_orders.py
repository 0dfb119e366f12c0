"""Orders that somebody made to try the checkout, as test modes and test gateways mark them: they are no sales, whatever they come to."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.onboarding.layouts.layout import TableReading


def is_trial(reading: TableReading, marks: Mapping[str, str], noun: str) -> str:
    """Return the SQL condition of rows that are tests: those where a column of `marks` matches its pattern; empty without such a column.

    Patterns are of RE2, and match anywhere in the cell in small letters. Says how many rows there are; `noun` is what they are called.
    """
    given = {name: pattern for name, pattern in marks.items() if reading.has(name)}
    counted = reading.option(f"{reading.table}.tests", "left-out", ["counted"])
    if not given or counted == "counted":
        return ""
    cells = reading.sample.records(given)
    found = [[bool(re.search(pattern, cell.lower())) for cell, pattern in zip(row, given.values(), strict=True)] for row in cells]
    if count := sum(map(any, found)):
        columns = " or ".join(f"`{name}`" for place, name in enumerate(given) if any(row[place] for row in found))
        said = f"{count:,} {noun}{' is a test' if count == 1 else 's are tests'} by {columns}: kept, but counted nowhere"
        reading.assume(f"{said}; --set {reading.table}.tests=counted counts {'it' if count == 1 else 'them'}.")
    conditions = [f"regexp_matches(lower({reading.text(name)}), '{pattern}')" for name, pattern in given.items()]
    return " OR ".join(f"COALESCE({condition}, FALSE)" for condition in conditions)
