"""Cells of workbooks and databases as the text that a query wants: numbers as people see them, days in ISO."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

Cell = str | int | float | bool | date | datetime | time | timedelta
_MOST_DIGITS = 15


def day_of_serial(serial: float, day_zero: datetime) -> date | datetime:
    """Return the day that a workbook stores as this number of days since `day_zero`, with its time unless that is midnight."""
    moment = day_zero + timedelta(milliseconds=round(serial * 86_400_000))
    return moment.date() if moment.time() == time() else moment


def cell_text(cell: Cell) -> str | None:
    """Return the text of a cell; None for an empty one."""
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int | float):
        return number_text(float(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, timedelta):
        return duration_text(timedelta(seconds=round(cell.total_seconds())))
    return cell.isoformat()


def duration_text(duration: timedelta) -> str:
    """Return hours, minutes and seconds, however many hours there are, with microseconds where there are any."""
    seconds, microseconds = divmod(abs(duration) // timedelta(microseconds=1), 1_000_000)
    text = f"{'-' * (duration < timedelta())}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{microseconds:06}" if microseconds else text


def number_text(number: float) -> str:
    """Return a number without an exponent, with the digits that a spreadsheet keeps, and without a fraction where it has none."""
    if number.is_integer():
        return str(int(number))
    # 0.1 + 0.2 is 0.30000000000000004 to a program, and 0.3 to whoever sees the sheet.
    return f"{Decimal(f'{number:.{_MOST_DIGITS}g}'):f}"
