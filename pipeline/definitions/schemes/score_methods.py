"""By which method customers are scored, axis by axis: what is written under `[scores]` of a scheme.

A score counts how many limits a figure reaches. The methods differ in where the limits come from:

    frozen       the customers of the month's first day; nobody moves because others did
    rank         the customers of the night
    thresholds   the definition itself
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

from sqlglot import exp

from pipeline.definitions.definition_files import Definition
from pipeline.definitions.field_records import TableKeys
from pipeline.definitions.fields import Document, Fields
from pipeline.errors import ConfigError
from pipeline.lake.tables import CUSTOMER_FEATURES, SCORE_LIMITS, Kind


@dataclass(frozen=True, slots=True)
class ScoreAxis:
    """A score, the figure that it tells of, and the features that hold the frozen limits of each score from 2 up.

    `is_low_better`: few days are better than many. `needs_order`: scored are customers with an order-day in the window, and who bought
    only before it scores 1; else everybody whose figure is above 0.
    """

    score: str
    figure: str
    limits: tuple[str, ...]
    is_low_better: bool = False
    needs_order: bool = True

    @property
    def best(self) -> int:
        """The highest score."""
        return len(self.limits) + 1

    @property
    def kind(self) -> Kind:
        """The kind of the figure."""
        return next(column.kind for column in CUSTOMER_FEATURES.columns if column.name == self.figure)


def _limits_of(prefix: str) -> tuple[str, ...]:
    return tuple(column.name for column in SCORE_LIMITS if column.name.startswith(f"{prefix}_"))


AXES: Mapping[str, ScoreAxis] = {
    axis.score: axis
    for axis in (
        ScoreAxis("r_score", "recency_days", _limits_of("r"), is_low_better=True),
        ScoreAxis("f_score", "order_day_count", _limits_of("f")),
        ScoreAxis("m_score", "spend_amount", _limits_of("m")),
        ScoreAxis("value_score", "spend_amount", _limits_of("value"), needs_order=False),
    )
}
COMBINED_SCORE, COMBINED_OF = "fm_score", ("f_score", "m_score")
SCORE_NAMES = (*AXES, COMBINED_SCORE)
# The schemes whose methods hold for every other that names a score and no method, and for the columns of customer_features.
SETTING_SCHEMES: Mapping[str, tuple[str, ...]] = {"rfm": ("r_score", *COMBINED_OF), "value_tier": ("value_score",)}


@dataclass(frozen=True, slots=True)
class ScoreMethod:
    """Where the limits of a score come from; of `thresholds`, `limits` are those of each score from 2 up."""

    name: Literal["frozen", "rank", "thresholds"] = "frozen"
    limits: tuple[Decimal, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {', '.join(str(limit) for limit in sorted(self.limits))}" if self.limits else self.name


FROZEN = ScoreMethod()
ScoreMethods = Mapping[str, ScoreMethod]


def axes_behind(names: Iterable[str]) -> tuple[str, ...]:
    """Return the scores among `names` that have an axis, those that a combined one is made of included, in the order of AXES."""
    named = set(names)
    return tuple(score for score in AXES if score in named or (score in COMBINED_OF and COMBINED_SCORE in named))


def scores_named(trees: Iterable[exp.Expression], evidence: Iterable[str]) -> tuple[str, ...]:
    """Return the scores that rules name or evidence shows."""
    names = {column.name for tree in trees for column in tree.find_all(exp.Column)}.union(evidence)
    return tuple(name for name in SCORE_NAMES if name in names)


def company_score_methods(definitions: Mapping[str, Definition]) -> ScoreMethods:
    """Return the method of every score as the `definitions` of SETTING_SCHEMES say, else frozen."""
    methods = dict.fromkeys(AXES, FROZEN)
    for name, scores in SETTING_SCHEMES.items():
        if name in definitions:
            section = {"scores": definitions[name].toml().get("scores", {})}
            given = read_score_methods(Fields(section, Document(str(definitions[name].file))))
            methods |= {score: method for score, method in given.items() if score in scores}
    return methods


def methods_of_scheme(name: str, scores: Sequence[str], own: ScoreMethods, general: ScoreMethods, where: str) -> dict[str, ScoreMethod]:
    """Return the method of each axis behind the `scores` of a scheme: its own, else the general one.

    Raises ConfigError for a method of a score that the scheme does not name.
    """
    named = axes_behind(scores)
    for score in own:
        if score not in (*named, *SETTING_SCHEMES.get(name, ())):
            what = f"`scores.{score}` has no effect: no rule or evidence of this scheme names it"
            raise ConfigError(what, where=where, todo="Delete it, or write it into the scheme that goes by it.")
    return {score: {**general, **own}[score] for score in named}


def read_score_methods(content: Fields) -> dict[str, ScoreMethod]:
    """Return the method of each score that `[scores]` of a scheme names; raises ConfigError for one that is none."""
    section = content.section("scores")
    for score, axis in AXES.items():
        section.note(score, kinds=frozenset({str, dict}), choices=("frozen", "rank"), holds=TableKeys.FIXED)
        thresholds = Fields({}, section.document, f"{section.name_of(score)}.")
        thresholds.note("thresholds", kinds=frozenset({list}), is_required=True, count=len(axis.limits))
        thresholds.note_entries("thresholds", kinds=frozenset({int if axis.kind is Kind.INTEGER else float}), low=0)
    methods = {score: _read_method(section, axis) for score, axis in AXES.items() if section.has(score)}
    section.refuse_unknown()
    return methods


def _read_method(section: Fields, axis: ScoreAxis) -> ScoreMethod:
    value = section.take(axis.score)
    if value in ("frozen", "rank"):
        return ScoreMethod(value)
    if isinstance(value, dict) and value.keys() == {"thresholds"}:
        return ScoreMethod("thresholds", _read_limits(section, axis, value["thresholds"]))
    todo = f'Write {axis.score} = "frozen", "rank" or {{ thresholds = [{", ".join(_EXAMPLES[axis.score])}] }}.'
    raise section.refusal(axis.score, "names no method", todo)


_EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "r_score": ("7", "30", "90", "180"),
    "f_score": ("2", "4", "8", "16"),
    "m_score": ("50", "100", "250", "500"),
    "value_score": ("100", "1000"),
}


def _read_limits(section: Fields, axis: ScoreAxis, values: Any) -> tuple[Decimal, ...]:  # noqa: ANN401  # as TOML gives it
    count, is_whole = len(axis.limits), axis.kind is Kind.INTEGER
    numbers = values if isinstance(values, list) else []
    # Money has four decimals at most; as a float it reads back as it was written.
    limits = [Decimal(str(each)) for each in numbers if isinstance(each, int if is_whole else int | float) and not isinstance(each, bool)]
    is_fine = all(limit.is_finite() and 0 <= limit < Decimal(10) ** 14 and limit == round(limit, 0 if is_whole else 4) for limit in limits)
    if len(limits) != count or len(numbers) != count or not is_fine or any(low >= high for low, high in pairwise(limits)):
        what = f"must have {count} {'whole numbers' if is_whole else 'amounts'}, each larger than the one before"
        meaning = (
            "the longest recency_days of scores 5, 4, 3 and 2" if axis.is_low_better else f"the least {axis.figure} of scores 2 and up"
        )
        raise section.refusal(f"{axis.score}.thresholds", what, f"Give {meaning}, such as [{', '.join(_EXAMPLES[axis.score])}].")
    return tuple(reversed(limits) if axis.is_low_better else limits)
