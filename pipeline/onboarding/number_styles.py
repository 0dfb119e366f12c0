"""How numbers are written in a column: decimal mark, thousands, signs of currency, brackets. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

_SPACES = "\\s\u00a0\u202f'\u2019"
# Of currency, before or behind the number: its code, a sign, or one of the letters that some countries write.
_SIGN = r"(?:[A-Z]{3}|[A-Z]{0,2}[$]|kr\.?|zł|Kč|Ft|lei|TL|Rs\.?|[^\w.,+()#/:%&*@\s'\u2019-]{1,2})?"
_NUMBER = re.compile(rf"{_SIGN}\s*[+-]?\(?[+-]?\s*{_SIGN}\s*[\d.,{_SPACES}]*\d[.,]?\d*\s*{_SIGN}\)?-?")
_GROUPED = re.compile(rf"\d{{1,3}}([.,{_SPACES}])\d{{3}}(\1\d{{3}})*")
_BUT_POINTS, _BUT_COMMAS = re.compile(r"[^0-9.]"), re.compile(r"[^0-9,]")


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How the numbers of a column are written; `decimal` is empty where both a point and a comma could be meant."""

    decimal: str = "."
    is_plain: bool = True
    marks: frozenset[str] = frozenset()

    def sql(self, column: str, kind: str = "DECIMAL(18, 4)") -> str:
        """Return the SQL that reads the quoted `column` as an exact number; a cell without a digit is empty."""
        if self.is_plain:
            return f"CAST({column} AS {kind})"
        text = column
        if "(" in self.marks:
            text = f"regexp_replace({text}, '^\\D*\\((.*)\\)$', '-\\1')"
        if "-" in self.marks:
            text = f"regexp_replace({text}, '^(.*)-$', '-\\1')"
        text = f"regexp_replace({text}, '[^0-9{self.decimal or '.'}-]', '', 'g')"
        if self.decimal == ",":
            text = f"replace({text}, ',', '.')"
        return f"CAST(NULLIF(NULLIF({text}, ''), '-') AS {kind})"

    def number(self, text: str) -> Decimal:
        """Return the number that `text` stands for, as `sql` reads it."""
        is_negative = "-" in text or text.strip().startswith("(") or text.strip().endswith(")")
        digits = (_BUT_COMMAS if self.decimal == "," else _BUT_POINTS).sub("", text).replace(",", ".")
        return Decimal(f"{'-' if is_negative else ''}{digits or '0'}")


def is_number(text: str) -> bool:
    """Return whether `text` is one number, perhaps with a sign of currency, in whatever style."""
    return bool(_NUMBER.fullmatch(text.strip())) and not re.fullmatch(
        r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}", text.strip()
    )


def number_style(values: Iterable[str]) -> NumberStyle | None:
    """Return the style that all `values` are written in; None where one of them is no number, or there are none.

    The style has no decimal mark where every value reads as well with a point as with a comma: `1.234` and `5.678`.
    """
    texts = [value.strip() for value in values]
    if not texts or not all(map(is_number, texts)):
        return None
    bodies = [re.sub(r"^[^\d.,]+|[^\d]+$", "", text) for text in texts]
    marks = frozenset(_marks(texts))
    decimals = {mark for body in bodies if (mark := _decimal_mark(body))}
    if len(decimals) > 1:
        return None
    is_open = not decimals and any(_GROUPED.fullmatch(body) and re.search("[.,]", body) and body[0] != "0" for body in bodies)
    grouping = {found[1] for body in bodies if (found := _GROUPED.match(body))} & {".", ","}
    if is_open and len(grouping) > 1:
        return None
    decimal = next(iter(decimals), "" if is_open else ".")
    is_plain = decimal == "." and all(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text) for text in texts)
    return NumberStyle(decimal, is_plain, marks)


def _marks(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        if text.startswith("(") or text.endswith(")"):
            yield "("
        if text.endswith("-"):
            yield "-"


def _decimal_mark(body: str) -> str:
    """Return the mark that can only be the decimal one; empty where there is none, or it may be one of thousands."""
    last = max(body.rfind("."), body.rfind(","))
    if last < 0:
        return ""
    mark, other = body[last], "," if body[last] == "." else "."
    if other in body:
        return mark
    if body.count(mark) > 1:
        # Of thousands, so that the other one is the decimal mark.
        return other if _GROUPED.fullmatch(body) else ""
    # A group of thousands never begins with a zero: `0.125` is a decimal.
    if _GROUPED.fullmatch(body) and not body.startswith("0"):
        return ""
    return mark
