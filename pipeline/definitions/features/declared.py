"""A declared feature: a column of customer_features that a company's files define."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp

from pipeline.definitions.rules.aggregates import Aggregate
from pipeline.lake.statements import short_digest
from pipeline.lake.tables import Column

DECLARED_FEATURES = "declared_features"
"""Where the manifest of a night's features holds what each declared one means, by digest."""


@dataclass(frozen=True)
class DeclaredFeature:
    """The column, and the value that it holds: a checked tree over `aggregates`, by their names, and other features.

    `needs` are the optional columns, as `source.column`, and optional sources without which nobody has it.
    """

    column: Column
    value: exp.Expression
    aggregates: tuple[Aggregate, ...]
    needs: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.column.name

    @cached_property
    def meaning(self) -> str:
        """What it is worked out by: equal for two features that cannot differ, as long as what they look at does not."""
        return short_digest(self.value.sql("duckdb"), *(each.identity for each in self.aggregates))

    @cached_property
    def looks_at(self) -> frozenset[str]:
        """The names of the features and attributes that its value is made of."""
        return frozenset(column.name for column in self.value.find_all(exp.Column)) - {each.name for each in self.aggregates}

    @property
    def is_counted(self) -> bool:
        """Whether it is a count of rows or of values, which is 0 and not unknown without any."""
        value = self.value.this if isinstance(self.value, exp.Cast) else self.value
        return isinstance(value, exp.Column) and any(each.name == value.name and each.function.is_count for each in self.aggregates)


def feature_digests(features: Iterable[DeclaredFeature]) -> dict[str, str]:
    """Return a digest of what each feature means by name: it differs where the feature is counted otherwise, or one that it looks at."""
    digests: dict[str, str] = {}
    for feature in features:
        behind = [digests[name] for name in sorted(feature.looks_at) if name in digests]
        digests[feature.name] = short_digest(feature.meaning, *behind)
    return digests
