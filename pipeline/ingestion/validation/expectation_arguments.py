"""The arguments of one expectation, read strictly: what SQL cannot check is refused by file and rule before any row is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from pipeline.errors import ConfigError
from pipeline.ingestion.validation.suites import SuiteDefinition, ValidationRule
from pipeline.lake.tables import Column, Kind
from pipeline.spelling import did_you_mean

PARAMETER = "$PARAMETER"
BIGGEST_INTEGER = 2**63 - 1

JsonValue = Any
Constant = Any


@dataclass(frozen=True, slots=True)
class Bounds:
    """What values must lie between; None is no bound."""

    min_value: Constant = None
    max_value: Constant = None
    strict_min: bool = False
    strict_max: bool = False

    @property
    def values(self) -> list[Constant]:
        return [value for value in (self.min_value, self.max_value) if value is not None]

    def contain(self, value: Constant) -> bool:
        """Return whether `value` lies between them."""
        is_above = self.min_value is None or value > self.min_value or (value == self.min_value and not self.strict_min)
        is_below = self.max_value is None or value < self.max_value or (value == self.max_value and not self.strict_max)
        return bool(is_above and is_below)


@dataclass(frozen=True, slots=True)
class Arguments:
    """One entry of a suite under its rule."""

    suite: SuiteDefinition
    rule: ValidationRule
    entry: Mapping[str, Any]
    parameters: Mapping[str, Any]

    def column(self, name: str, kinds: Iterable[Kind] = Kind) -> Column:
        """Return the column that the argument `name` names; raises ConfigError where it is none, or of another kind than `kinds`."""
        return self._column(self._value(name), kinds)

    def columns(self, name: str) -> list[Column]:
        """Return the columns that the argument `name` lists; raises ConfigError where one is none."""
        names = self._value(name)
        if not isinstance(names, list) or len(names) < 2:  # noqa: PLR2004 - one column is `unique`, not `compound`
            raise self.refused(f"`{name}` must list two columns or more")
        return [self._column(given, Kind) for given in names]

    def bounds(self, column: Column) -> Bounds:
        """Return `min_value` and `max_value` as values of `column`; raises ConfigError where both lack or they cross."""
        low, high = (self._constant_argument(name, self._value(name), column) for name in ("min_value", "max_value"))
        if low is None and high is None:
            raise self.refused("it needs `min_value` or `max_value`")
        if low is not None and high is not None and low > high:
            raise self.refused("`min_value` is above `max_value`")
        return Bounds(low, high, self.flag("strict_min"), self.flag("strict_max"))

    def values(self, name: str, column: Column) -> list[Constant]:
        """Return the argument `name`, a list, as values of `column`; raises ConfigError where it is empty or one is none."""
        given = self._value(name)
        if not isinstance(given, list) or not given or None in given:
            raise self.refused(f"`{name}` must be a list of one value or more, none of them null")
        return [self._constant_argument(name, value, column) for value in given]

    def row_count(self, name: str) -> int:
        """Return the argument `name`, a number of rows; raises ConfigError where it is none."""
        count = self._value(name)
        if not _is_integer(count):
            raise self.refused(f"`{name}` must be a whole number")
        return int(count)

    def texts(self, name: str) -> list[str]:
        """Return the argument `name`, a list of texts; raises ConfigError where it is none."""
        given = self._value(name)
        if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
            raise self.refused(f"`{name}` must be a list of texts")
        return given

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return whether the argument `name` is true, `default` where it is left out; raises ConfigError where it is neither."""
        value = self._value(name)
        if value not in (None, True, False):
            raise self.refused(f"`{name}` must be true or false")
        return default if value is None else bool(value)

    def choice(self, name: str, options: Sequence[str]) -> str:
        """Return the argument `name`, the first of `options` where it is left out; raises ConfigError where it is none of them."""
        value = self._value(name)
        if value is not None and value not in options:
            raise self.refused(f"`{name}` must be one of {', '.join(options)}")
        return value or options[0]

    def require_known(self, names: Sequence[str]) -> None:
        """Raise ConfigError where there is an argument beside `names`, such as a row condition: SQL would check another rule."""
        for name in self._given:
            if name not in names:
                raise self.refused(f"`{name}` is no argument that can be checked on computed tables{did_you_mean(name, names)}")

    def refused(self, why: str) -> ConfigError:
        """Return the error that names file and rule."""
        return ConfigError(
            f"the rule `{self.rule.name}` of {self.suite.table.name} cannot run: {why}", where=str(self.suite.file), todo="Mend the rule."
        )

    @property
    def _given(self) -> Mapping[str, Any]:
        return self.entry.get("kwargs") or {}

    def _value(self, name: str) -> JsonValue:
        """Return an argument as it is written, None where it is left out; a `$PARAMETER` is replaced by its value."""
        value = self._given.get(name)
        if not isinstance(value, dict):
            return value
        parameter = str(value.get(PARAMETER))
        # More beside it would be dropped silently, such as a default that somebody hopes for.
        if parameter not in self.parameters or len(value) > 1:
            raise ConfigError(
                f"the rules of {self.suite.table.name} cannot run: `{name}` of `{self.rule.name}` is no known {PARAMETER}",
                where=str(self.suite.file),
                todo=f"`{PARAMETER}` can be one of {', '.join(self.parameters)}.",
            )
        return self.parameters[parameter]

    def _column(self, name: object, kinds: Iterable[Kind]) -> Column:
        columns = {column.name: column for column in self.suite.table.columns}
        if not isinstance(name, str) or name not in columns:
            raise ConfigError(
                f"the rule `{self.rule.name}` cannot run; `{name}` is no column{did_you_mean(str(name), columns)}",
                where=str(self.suite.file),
                todo="Mend the rule.",
            )
        column = columns[name]
        if column.kind not in kinds or column.kind.is_list:
            raise self.refused(f"`{name}` is {column.kind.words}")
        return column

    def _constant_argument(self, name: str, value: JsonValue, column: Column) -> Constant:
        """Return `value` as one of `column`'s kind, None for null; raises ConfigError where it is of another."""
        constant = None if value is None else _value_of_kind(value, column.kind)
        if constant is None and value is not None:
            raise self.refused(f"`{name}` must be {_KIND_WORDS[column.kind]}, as `{column.name}` is {column.kind.words}")
        return constant


_KIND_WORDS = {
    Kind.INTEGER: "a number",
    Kind.NUMBER: "a number",
    Kind.MONEY: "a number",
    Kind.FLAG: "true or false",
    Kind.TEXT: "a text",
    Kind.DATE: "a day such as 2024-01-31",
    Kind.INSTANT: "an instant with its offset, such as 2024-01-31T00:00:00+00:00",
}


def _value_of_kind(value: JsonValue, kind: Kind) -> Constant:
    """Return `value` as an int, float, bool, str, date or aware datetime, whichever `kind` is compared with, else None."""
    if kind is Kind.INTEGER and _is_integer(value):
        return value
    if kind in (Kind.INTEGER, Kind.NUMBER, Kind.MONEY):
        return float(value) if _is_integer(value) or (isinstance(value, float) and math.isfinite(value)) else None
    if kind in (Kind.DATE, Kind.INSTANT):
        return _parse_moment(value, kind)
    return value if isinstance(value, bool if kind is Kind.FLAG else str) else None


def _is_integer(value: JsonValue) -> bool:
    # To Python true is 1, and a whole number has no bound; a suite means neither, and SQL has 64 bits.
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= BIGGEST_INTEGER


def _parse_moment(value: JsonValue, kind: Kind) -> date | datetime | None:
    """Return an ISO text as an instant with its offset, or as a day, which has neither an offset nor a time of day."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    if kind is Kind.INSTANT:
        return moment if moment.tzinfo else None
    return moment.date() if moment.tzinfo is None and moment.time() == time.min else None
