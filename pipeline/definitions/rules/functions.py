"""The functions of the rule language, each with what it takes, what it is, and what it says of the unknown.

A function that is not listed here does not exist: its name never reaches a parser of SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from pipeline.definitions.rules.function_builders import (
    GivenCall,
    build_coalesce,
    build_date_part,
    build_day_count,
    build_hour,
    build_lower,
    build_nullif,
    build_random_share,
    build_stay,
    build_text_test,
    build_was_in,
    refuse_bare_quantifier,
)
from pipeline.definitions.rules.joined_columns import STAYS
from pipeline.definitions.rules.parsed_calls import Check, function_name
from pipeline.definitions.rules.types import TypedNode
from pipeline.definitions.rules.vocabulary import RuleContext


@dataclass(frozen=True, slots=True)
class Function:
    """A function as people read of it, and what makes a call of it; `signature` without its name is what stands between the brackets."""

    signature: str
    result: str
    meaning: str
    unknown: str
    example: str
    build: Callable[[GivenCall], TypedNode]
    arguments: tuple[int, int]


def check_call(rule: RuleContext, node: exp.Expr, check: Check) -> TypedNode:
    """Build a call anew; raises ConfigError for a function that is unknown here, or takes other arguments."""
    function = FUNCTIONS[function_name(node)]
    low, high = function.arguments
    if not low <= len(node.expressions) <= high:
        raise rule.error_at(node, f"{function_name(node)} does not take {len(node.expressions)} values", f"Write {function.signature}.")
    return function.build(GivenCall(rule, node, check, function.signature))


def _of_date(name: str, meaning: str, example: str, build: Callable[[GivenCall], TypedNode]) -> Function:
    return Function(f"{name}(date)", "whole number", meaning, "unknown for an unknown date", example, build, (1, 1))


FUNCTIONS: Mapping[str, Function] = {
    "DAYS_SINCE": _of_date(
        "DAYS_SINCE",
        "days from the date to the night's day: 0 on the day itself, negative for a later date",
        "DAYS_SINCE(last_order_date) > 60",
        build_day_count,
    ),
    "DAYS_UNTIL": _of_date(
        "DAYS_UNTIL",
        "days from the night's day to the date: 0 on the day itself, negative once it is over",
        "DAYS_UNTIL(contract_end) BETWEEN 0 AND 30",
        build_day_count,
    ),
    "DAYS_UNTIL_ANNIVERSARY": _of_date(
        "DAYS_UNTIL_ANNIVERSARY",
        "days to the next day with the month and day of the date, whatever its year: 0 on the day itself, at most 365; "
        "29 February falls on the 28th in years without one",
        "DAYS_UNTIL_ANNIVERSARY(birth_date) <= 14",
        build_date_part,
    ),
    "YEARS_SINCE": _of_date(
        "YEARS_SINCE",
        "whole years from the date to the night's day, one more from each anniversary on: of a date of birth the age",
        "YEARS_SINCE(birth_date) BETWEEN 18 AND 25",
        build_date_part,
    ),
    "YEAR": _of_date("YEAR", "the year", "YEAR(first_order_date) = YEAR(TODAY) - 1", build_date_part),
    "MONTH": _of_date("MONTH", "the month, 1 for January to 12", "MONTH(birth_date) = MONTH(TODAY)", build_date_part),
    "DAY": _of_date("DAY", "the day of the month, 1 to 31", "DAY(birth_date) = 29", build_date_part),
    "WEEKDAY": _of_date("WEEKDAY", "the day of the week, 1 for Monday to 7 for Sunday", "WEEKDAY(TODAY) = 1", build_date_part),
    "HOUR": Function(
        "HOUR(instant)",
        "whole number",
        "the hour of the day by the company's clock, 0 to 23: 18 from 18:00 until just before 19:00; of events alone",
        "unknown for an unknown instant",
        "EXISTS(orders WHERE HOUR(ordered_at) BETWEEN 18 AND 21)",
        build_hour,
        (1, 1),
    ),
    **{
        name: Function(
            f"{name}(text, 'part')",
            "true or false",
            meaning,
            "unknown for an unknown text",
            example,
            build_text_test,
            (2, 2),
        )
        for name, meaning, example in (
            ("CONTAINS", "whether the part stands anywhere in the text, letter for letter", "CONTAINS(LOWER(city), 'burg')"),
            ("STARTS_WITH", "whether the text begins with the part", "STARTS_WITH(postcode, '10')"),
            ("ENDS_WITH", "whether the text ends with the part", "ENDS_WITH(email_domain, '.de')"),
        )
    },
    "LOWER": Function(
        "LOWER(text)",
        "text",
        "the text in small letters, one by one; `I` becomes `\u0131` where the company's `language` is Turkish or Azerbaijani, else `i`",
        "unknown for an unknown text",
        "LOWER(city) = 'istanbul'",
        build_lower,
        (1, 1),
    ),
    "COALESCE": Function(
        "COALESCE(value, other, ...)",
        "as its values",
        "the first of the values that is known",
        "unknown where all of them are",
        "COALESCE(average_order_amount, 0) < 50",
        build_coalesce,
        (2, 20),
    ),
    "NULLIF": Function(
        "NULLIF(value, other)",
        "as its values",
        "the value, and unknown where it is the other one",
        "unknown for an unknown value",
        "spend_amount / NULLIF(order_count, 0) > 50",
        build_nullif,
        (2, 2),
    ),
    "RANDOM_SHARE": Function(
        "RANDOM_SHARE('salt')",
        "number",
        "a number from 0 to under 1, spread evenly over customers and the same every night; another salt gives other numbers",
        "never unknown",
        "RANDOM_SHARE('spring test') < 0.1",
        build_random_share,
        (1, 1),
    ),
    **{
        name: Function(
            f"{name}(list)", "a test of its values", meaning, "unknown for an unknown list", example, refuse_bare_quantifier, (1, 1)
        )
        for name, meaning, example in (
            ("ANY", "whether one value of the list at least is so; false of an empty one", "ANY(tags) = 'vip'"),
            ("ALL", "whether every value of the list is so; true of an empty one", "ALL(tags) IN ('vip', 'press')"),
            ("NONE", "whether no value of the list is so; true of an empty one", "NONE(tags) = 'staff'"),
        )
    },
    **{
        name: Function(f"{name}(scheme.segment)", "date", meaning, "unknown for whoever was not", example, build_stay, (1, 1))
        for name, meaning, example in zip(
            STAYS,
            (
                "the last day before tonight on which the customer was in the segment",
                "the day on which the customer last entered the segment, before tonight",
                "the day since which the customer has been in the segment, up to the night before",
            ),
            (
                "DAYS_SINCE(LAST_IN(rfm.champions)) <= 30",
                "DAYS_SINCE(ENTERED(lifecycle.at_risk)) BETWEEN 7 AND 14",
                "DAYS_SINCE(IN_SINCE(lifecycle.active)) >= 365",
            ),
            strict=True,
        )
    },
    "WAS_IN": Function(
        "WAS IN scheme.segment WITHIN 30 DAYS",
        "true or false",
        "whether the customer was in the segment on any of so many days before tonight",
        "never unknown",
        "WAS IN rfm.champions WITHIN 30 DAYS",
        build_was_in,
        (2, 2),
    ),
}
"""Every function by its name."""
