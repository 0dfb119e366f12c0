"""What single settings may say: codes of currencies and languages, times of a schedule, sizes of memory. Pure."""

from __future__ import annotations

import re

_CODES = """
    CUR REN CIE AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE
    CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK
    HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
    MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG
    SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND
    VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ZWL
"""
CURRENCIES = frozenset(re.findall("[A-Z]{3}", _CODES))
"""Codes of ISO 4217, with those that were valid in the last years."""
MOST_DAYS = 36_525  # a century: more is a slip of the hand, and no date a million days back can be written
LANGUAGE = "[a-z]{2,3}(-[A-Za-z0-9]{2,8})*"
"""A language tag of BCP 47, such as `tr` or `pt-BR`."""
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_CRON_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _WEEKDAYS),
)
_MEMORY = re.compile(r"(?P<size>\d+(\.\d+)?) ?(B|bytes|[KMGT]i?B|%)", re.IGNORECASE)


def schedule_fault(schedule: str) -> str:
    """Return what is wrong with a cron `schedule` of five fields; empty where nothing is."""
    fields = schedule.split()
    if len(fields) != len(_CRON_FIELDS):
        return f"has {len(fields)} fields, not five: minute, hour, day of the month, month, weekday"
    for text, (name, low, high, words) in zip(fields, _CRON_FIELDS, strict=True):
        if not all(_is_cron_part(part, name, low, high, list(words)) for part in text.split(",")):
            return f"says `{text}` for the {name}, which is from {low} to {high}"
    return ""


def is_memory_size(text: str) -> bool:
    """Return whether `text` is a size that an engine takes, such as 3GB or 800MiB, and more than nothing."""
    found = _MEMORY.fullmatch(text.strip())
    return found is not None and float(found["size"]) > 0


def _is_cron_part(part: str, field: str, low: int, high: int, words: list[str]) -> bool:
    # What Airflow's reader of cron takes beyond numbers: the last day or working day, the last or the n-th Sunday of a month.
    if (field == "day of the month" and part in ("L", "LW")) or (field == "weekday" and re.fullmatch(r"L?[0-7]|[0-7]#[1-5]", part)):
        return True
    span, _, step = part.partition("/")
    if step and not (step.isdecimal() and 0 < int(step) <= high):
        return False
    if "/" in part and not step:
        return False
    if span == "*":
        return True
    ends = [_cron_number(end, low, words) for end in span.split("-")]
    is_within = all(end is not None and low <= end <= high for end in ends)
    return is_within and (len(ends) == 1 or (len(ends) == 2 and int(ends[0] or 0) <= int(ends[1] or 0)))  # noqa: PLR2004


def _cron_number(text: str, low: int, words: list[str]) -> int | None:
    if text.lower() in words:
        return words.index(text.lower()) + low
    return int(text) if text.isdecimal() and len(text) <= 2 else None  # noqa: PLR2004
