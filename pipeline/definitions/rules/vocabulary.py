"""What a rule may name, and what a check of one of its nodes needs beside that node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from pipeline.definitions.rules.aggregates import LIST_SEPARATOR, Aggregate, AggregateFunction
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.definitions.rules.parameters import Parameter
from pipeline.definitions.rules.text import LANGUAGE, RuleText, text_position
from pipeline.errors import ConfigError
from pipeline.lake.tables import Kind


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What rules may name: columns by kind, parameters, and the segments of other schemes.

    `segments` holds for a column such as `rfm.segment` what may be compared with it, and the id that each stands for; `clusters` has
    the columns that are compared with ids of clusters. `shorthands` are names such as `is_firm` that stand for a condition on columns.
    `separators` are the attributes that hold lists, each with what stands between its values; `lists` are the files of the company's
    `lists/` folder by name, each with the digest of its text. `schemes` are those in which customers were before, with what may be
    written for each of their segments and the id that it stands for: none where values are segments, None for clusters. `language` says
    how letters are made small.
    `audiences` are those that a rule of another one may name, each with its rule, or None where that was not read yet; None where no
    rule may.
    `instants` are columns of an event that say when it happened, each with the time zone of its hour and day.
    `sources` are the tables of events that an aggregate may be made from; `hint` says what to do about an unknown name.
    """

    names: Mapping[str, Kind]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    segments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    clusters: frozenset[str] = frozenset()
    shorthands: Mapping[str, exp.Expression] = field(default_factory=dict)
    separators: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    schemes: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    language: str = "en"
    audiences: Mapping[str, exp.Expression | None] | None = None
    sources: Mapping[str, EventSource] = field(default_factory=dict)
    instants: Mapping[str, str] = field(default_factory=dict)
    hint: str = "Use a feature, a declared attribute, or the segment of another scheme, such as rfm.segment."


@dataclass(frozen=True, slots=True)
class RuleContext:
    """The text that a node comes from, so that an error can point into it, the words the rule may use, and its aggregates by name."""

    text: RuleText
    vocabulary: Vocabulary
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict)

    @property
    def listed(self) -> Mapping[str, str]:
        """The aggregates that give several values, each with what stands between them."""
        return {name: LIST_SEPARATOR for name, each in self.aggregates.items() if each.function is AggregateFunction.LIST}

    def error_at(self, node: exp.Expr, what: str, todo: str = LANGUAGE) -> ConfigError:
        """Make the error that points at the beginning of `node` in the text."""
        return self.text.error_at(text_position(node), what, todo)
