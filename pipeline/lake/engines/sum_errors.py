"""The error for sums that no column can hold: which tables were added up, on which day, and of which columns."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlglot import exp

from pipeline.errors import DataError
from pipeline.lake.tables import MONEY_DECIMALS, Kind

_LARGEST = f"{10 ** (Kind.MONEY.arrow.precision - MONEY_DECIMALS) - 1:,}"
_OVERFLOW = re.compile(r"out of range|Overflow in|Could not cast value .* to DECIMAL")
_MOST_NAMES = 4
_DAY = re.compile(r"(?:day|known)=(\d{4}-\d{2}-\d{2})")


def is_overflow(message: str) -> bool:
    """Return whether an engine's error says that a number is too large for its column; it quotes that number."""
    return bool(_OVERFLOW.search(message))


def overflow_error(statement: exp.Query | None, tables: Iterable[str], places: Iterable[str]) -> DataError:
    """Return the error for a `statement` over `tables`, whose files are at these `places`, one of whose sums is too large."""
    found = list(dict.fromkeys(places))
    days = sorted({day for place in found for day in _DAY.findall(place)})
    # Whatever is added up is cast to its column's type at once, so these casts name the columns; the engine's message does not.
    sums = [cast for cast in statement.find_all(exp.Cast) if cast.to.is_type("decimal") and cast.find(exp.Sum)] if statement else []
    names = list(dict.fromkeys(cast.parent.alias for cast in sums if isinstance(cast.parent, exp.Alias)))[:_MOST_NAMES]
    what = f"{' or '.join(names)} of {', '.join(tables) or 'a table'}" if names else ", ".join(tables) or "amounts"
    return DataError(
        f"{what} {'up to ' if days else ''}{days[-1] if days else ''} adds up to more than {_LARGEST}, the most that an amount can be",
        where=", ".join(found[-_MOST_NAMES:]),
        todo="In the queries of sources/, divide every amount, as by 1000, and say so in the company's name; then run again with --reread.",
    )
