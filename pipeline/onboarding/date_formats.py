"""How dates and instants are written in a column: formats, and whether the day or the month comes first. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipeline.onboarding.questions import Choice

DAY_FIRST, MONTH_FIRST = "day-first", "month-first"
ORDERS = (Choice(DAY_FIRST, "05/04/2024 is 5 April"), Choice(MONTH_FIRST, "05/04/2024 is May 4"))
_OFFSET = r"(?P<offset> ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2}))?"
_TIME = r"\d{1,2}:\d{2}(?P<seconds>:\d{2}(?P<fraction>[.,]\d+)?)?"
_CLOCK = rf"(?:(?P<between>[ T]|, )(?P<clock>{_TIME})(?P<half> ?[AaPp]\.?[Mm]\.?)?{_OFFSET})?"
_YEAR = r"(?P<year>\d{4}|\d{2})"
_ISO = re.compile(rf"\d{{4}}(?P<mark>[-/.])(?P<second>\d{{1,2}})(?P=mark)(?P<third>\d{{1,2}}){_CLOCK}")
_NUMERIC = re.compile(rf"(?P<first>\d{{1,2}})(?P<mark>[/.-])(?P<second>\d{{1,2}})(?P=mark){_YEAR}{_CLOCK}")
_DAY_NAMED = r"(?P<day>\d{1,2})[ -](?P<name>[A-Za-z]{3,9})\.?[ -]"
_MONTH_NAMED = r"(?P<name2>[A-Za-z]{3,9})\.? \d{1,2},? "
_NAMED = re.compile(rf"(?:{_DAY_NAMED}|{_MONTH_NAMED}){_YEAR}{_CLOCK}")
_COMPACT = re.compile(r"(?:19|20)\d{6}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LAST_DAY, _LAST_MONTH, _ABBREVIATED = 31, 12, 3
# Below, numbers of orders and of customers would pass as days of Excel; above, as the same.
_SERIAL = re.compile(r"[34]\d{4}(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class DateFormat:
    """How the cells of a column say when: a `strptime` format, or one that the engine casts by itself.

    `is_ambiguous` where no cell tells the day from the month; `has_clock` where the time of day is given. `is_partly_iso` where some cells
    are dates that a spreadsheet knows as such, which are read as `2024-04-05`, and the others texts of the pattern.
    """

    pattern: str = ""
    has_clock: bool = False
    has_offset: bool = False
    is_ambiguous: bool = False
    is_serial: bool = False
    is_partly_iso: bool = False

    def ordered(self, order: str) -> DateFormat:
        """Return the format with the day or the month first."""
        first, second = ("%d", "%m") if order == DAY_FIRST else ("%m", "%d")
        found = re.match(r"%[dm](?P<mark>.)%[dm]", self.pattern)
        if found is None:
            return self
        return replace(self, pattern=f"{first}{found['mark']}{second}{self.pattern[found.end() :]}", is_ambiguous=False)

    def sql(self, column: str, zone: str) -> str:
        """Return the SQL that reads the quoted `column` as an instant; without an offset it is of the clocks of `zone`."""
        if self.has_offset and not self.pattern:
            return f"CAST({column} AS TIMESTAMPTZ)"
        return f"{self._local_sql(column)} AT TIME ZONE '{zone}'"

    def date_sql(self, column: str) -> str:
        """Return the SQL that reads the quoted `column` as a date, whatever the time of day."""
        return f"CAST({self._local_sql(column)} AS DATE)"

    def _local_sql(self, column: str) -> str:
        if self.is_serial:
            return f"(TIMESTAMP '1899-12-30' + to_seconds(CAST(round(86400 * CAST({column} AS DECIMAL(18, 6))) AS BIGINT)))"
        if self.is_partly_iso:
            iso = f"regexp_matches({column}, '^\\d{{4}}-')"
            return f"CASE WHEN {iso} THEN CAST({column} AS TIMESTAMP) ELSE strptime({column}, '{self.pattern}') END"
        return f"strptime({column}, '{self.pattern}')" if self.pattern else f"CAST({column} AS TIMESTAMP)"


def date_format(values: Iterable[str]) -> DateFormat | None:
    """Return the one format that all `values` are written in; None where there is none, or no value."""
    texts = [value.strip() for value in values]
    if not texts:
        return None
    for read in (_iso_format, _numeric_format, _named_format, _other_format):
        if found := read(texts):
            return found
    return _mixed_format(texts)


def _mixed_format(texts: list[str]) -> DateFormat | None:
    iso = [text for text in texts if re.match(r"\d{4}-", text)]
    others = [text for text in texts if not re.match(r"\d{4}-", text)]
    if not iso or not others:
        return None
    known, found = _iso_format(iso), _numeric_format(others) or _named_format(others)
    if known is None or found is None or known.has_offset or known.pattern:
        return None
    return replace(found, has_clock=known.has_clock or found.has_clock, is_partly_iso=True)


def offsets(values: Iterable[str]) -> list[tuple[datetime, int]]:
    """Return the instants among `values` that have an offset, in UTC, each with its offset in minutes."""
    found = []
    for value in values:
        text = re.sub(r" (?=[+-]\d)", "", value.strip()).replace(" UTC", "+00:00")
        if re.search(r"(?:Z|[+-]\d{2}:?\d{2})$", text):
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                continue
            offset = moment.utcoffset()
            if offset is not None:
                found.append((moment.astimezone(UTC), int(offset.total_seconds()) // 60))
    return found


def _iso_format(texts: list[str]) -> DateFormat | None:
    found = [_ISO.fullmatch(text) for text in texts]
    matches = [each for each in found if each]
    if len(matches) < len(texts) or not all(_is_day(each["third"], each["second"]) for each in matches):
        return None
    clock, offset = _clock_pattern(matches)
    if clock is None:
        return None
    mark = matches[0]["mark"]
    if mark == "-" and "%p" not in clock and not any(each["between"] == ", " for each in matches):
        return DateFormat("", has_clock=bool(clock), has_offset=offset)
    return DateFormat(f"%Y{mark}%m{mark}%d{clock}", has_clock=bool(clock), has_offset=False) if not offset else None


def _numeric_format(texts: list[str]) -> DateFormat | None:
    found = [_NUMERIC.fullmatch(text) for text in texts]
    matches = [each for each in found if each]
    if len(matches) < len(texts) or len({(each["mark"], len(each["year"])) for each in matches}) > 1:
        return None
    firsts, seconds = ([int(each[part]) for each in matches] for part in ("first", "second"))
    can_be_day_first = max(firsts) <= _LAST_DAY and max(seconds) <= _LAST_MONTH
    can_be_month_first = max(firsts) <= _LAST_MONTH and max(seconds) <= _LAST_DAY
    clock, offset = _clock_pattern(matches)
    if clock is None or offset or not (can_be_day_first or can_be_month_first) or not min(*firsts, *seconds):
        return None
    mark, year = matches[0]["mark"], _year_pattern(matches[0])
    format_of_day = DateFormat(f"%d{mark}%m{mark}{year}{clock}", has_clock=bool(clock))
    # Where every day of the month equals the month, both orders say the same.
    # With points between, no country writes the month first.
    is_ambiguous = can_be_day_first and can_be_month_first and firsts != seconds and mark != "."
    if is_ambiguous:
        return replace(format_of_day, is_ambiguous=True)
    return format_of_day if can_be_day_first else format_of_day.ordered(MONTH_FIRST)


def _named_format(texts: list[str]) -> DateFormat | None:
    found = [_NAMED.fullmatch(text) for text in texts]
    matches = [each for each in found if each]
    names = [(each["name"] or each["name2"]) for each in matches]
    if len(matches) < len(texts) or any(name[:_ABBREVIATED].lower() not in _MONTHS for name in names):
        return None
    shapes = {
        re.sub(r"[A-Za-z]+", "a", re.sub(r"\d+", "9", text[: each.start("year")])) + str(len(each["year"]))
        for text, each in zip(texts, matches, strict=True)
    }
    clock, offset = _clock_pattern(matches)
    if len(shapes) > 1 or clock is None or offset:
        return None
    name = "%b" if all(len(each) == _ABBREVIATED for each in names) else "%B"
    shape = texts[0][: matches[0].start("year")]
    return DateFormat(f"{_named_pattern(shape, name)}{_year_pattern(matches[0])}{clock}", has_clock=bool(clock))


def _named_pattern(shape: str, name: str) -> str:
    return "".join(
        name if part.isalpha() else "%d" if part.isdigit() else part for part in re.findall(r"[A-Za-z]+|\d+|[^A-Za-z\d]+", shape)
    )


def _year_pattern(match: re.Match[str]) -> str:
    return "%y" if len(match["year"]) == len("24") else "%Y"


def _other_format(texts: list[str]) -> DateFormat | None:
    if all(_COMPACT.fullmatch(text) and _is_day(text[6:], text[4:6]) for text in texts):
        return DateFormat("%Y%m%d")
    if all(_SERIAL.fullmatch(text) for text in texts):
        return DateFormat(has_clock=any("." in text for text in texts), is_serial=True)
    return None


def _clock_pattern(matches: list[re.Match[str]]) -> tuple[str | None, bool]:
    """Return the `strptime` pattern of the times of day, and whether they have offsets; None where they are written in several ways."""
    shapes = {
        (
            each["between"],
            bool(each["clock"]),
            bool(each["seconds"]),
            bool(each["fraction"]),
            (each["half"] or "")[:1] == " ",
            bool(each["half"]),
        )
        for each in matches
    }
    offset = {bool(each["offset"]) for each in matches}
    is_iso = all(each.re is _ISO and not each["half"] for each in matches)
    if len(offset) > 1 or (len(shapes) > 1 and not is_iso):
        return None, False
    between, has_clock, has_seconds, has_fraction, has_space, has_half = max(shapes, key=lambda shape: (shape[1], shape[2], shape[3]))
    if not has_clock:
        return "", offset.pop()
    hour = "%I" if has_half else "%H"
    half = (" %p" if has_space else "%p") if has_half else ""
    return f"{between}{hour}:%M{':%S' if has_seconds else ''}{'.%f' if has_fraction else ''}{half}", offset.pop()


def _is_day(day: str, month: str) -> bool:
    return 1 <= int(day) <= _LAST_DAY and 1 <= int(month) <= _LAST_MONTH


def clock_sql(column: str, values: Sequence[str]) -> str:
    """Return the SQL that reads the quoted `column` of times of day, such as `14:30` or `2:30 PM`, as a time."""
    if not any(value[-1:].lower() == "m" for value in values):
        return f"CAST({column} AS TIME)"
    seconds = ":%S" if any(value.count(":") > 1 for value in values) else ""
    half = " %p" if any(" " in value for value in values) else "%p"
    return f"CAST(strptime(upper({column}), '%I:%M{seconds}{half}') AS TIME)"
