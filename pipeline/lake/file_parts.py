"""Which rows of a file an engine reads: all, or those of some versions, as a condition on event day and night."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlglot import exp

from pipeline.lake.event_days import MonthFile, Version
from pipeline.lake.tables import EVENT_DAY, KNOWN_ON


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file and the condition on its rows to read; None reads all.

    `path` is where this machine reads it, `address` where it lies in the lake; a private file lies nowhere in it.
    """

    path: Path
    address: str | None = None
    condition: exp.Expr | None = None


def file_conditions(
    held: Mapping[MonthFile, Collection[Version]], chosen: Mapping[MonthFile, Collection[Version]]
) -> dict[MonthFile, exp.Expr | None]:
    """Return, by file in which `chosen` versions lie, the condition on their rows; None where all that is `held` there is chosen."""
    others = {file: {*held[file]} - {*versions} for file, versions in chosen.items()}
    whole: dict[MonthFile, exp.Expr | None] = {file: None for file in chosen if not others[file]}
    # One condition for all files lets an engine read them together. It cannot serve files that also hold, outdated, a version
    # which is read from another file; these get a condition of their own.
    partial = {file: versions for file, versions in chosen.items() if others[file]}
    shown = {version for versions in partial.values() for version in versions}
    hidden = {version for file in partial for version in others[file]}
    common = _version_condition(shown, hidden - shown)
    parts = {file: _version_condition(versions, others[file]) if others[file] & shown else common for file, versions in partial.items()}
    return dict(sorted((whole | parts).items(), key=lambda item: item[0].address))


def _version_condition(shown: Collection[Version], hidden: Collection[Version]) -> exp.Expr | None:
    """Return the shortest condition that tells rows of the `shown` versions from those of the `hidden` ones."""
    if not shown:
        return None
    first, last = min(shown).day, max(shown).day
    between = exp.column(EVENT_DAY.name).between(_date_literal(first), _date_literal(last))
    near = {version for version in hidden if first <= version.day <= last}
    if not near:
        return between
    # Whichever list is shorter: engines evaluate it for every row between the first and the last day.
    is_short = len(near) <= len(shown)
    known_on, event_day = exp.column(KNOWN_ON.name), exp.column(EVENT_DAY.name)
    listed = exp.or_(
        *(
            exp.and_(known_on.eq(_date_literal(night)), event_day.isin(*map(_date_literal, days)))
            for night, days in _days_by_night(near if is_short else shown).items()
        )
    )
    return exp.and_(between, exp.not_(exp.paren(listed)) if is_short else listed)


def _days_by_night(versions: Iterable[Version]) -> dict[date, list[date]]:
    nights: dict[date, list[date]] = {}
    for version in sorted(versions, key=lambda each: (each.known_on, each.day)):
        nights.setdefault(version.known_on, []).append(version.day)
    return nights


def _date_literal(day: date) -> exp.Expr:
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")
