"""Declared features as files: `features/*.toml`, a table for each feature.

    [wine_orders_90_days]
    from = "order_lines"
    where = "category = 'Wine' AND line_kind = 'order'"
    value = "COUNT(DISTINCT order_id)"
    last_days = 90
    description = "Orders with wine in the last 90 days."

An aggregate within a rule of a scheme is a feature too, without a file: its column is named after what it is.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from graphlib import CycleError, TopologicalSorter

from sqlglot import exp

from pipeline.definitions.aggregate_words import AGGREGATE_CALL
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.features.aggregating_rules import aggregating_rules
from pipeline.definitions.features.declared import DeclaredFeature
from pipeline.definitions.fields import Document, Fields, require_identifier
from pipeline.definitions.rules import Vocabulary, aggregates_of, parse_rule, parse_value
from pipeline.definitions.rules.aggregate_checks import OwnRows
from pipeline.definitions.rules.aggregates import LIST_SEPARATOR, Aggregate, AggregateFunction
from pipeline.definitions.rules.day_windows import DayWindow, Period
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.definitions.rules.types import TypedNode, typed_column
from pipeline.definitions.settings import MOST_DAYS
from pipeline.errors import ConfigError, OnError, PipelineError, raise_error
from pipeline.lake.tables import ORDERS_SOURCE, VISITS_SOURCE, Column, Kind
from pipeline.spelling import did_you_mean

_WORD = re.compile(r"[^\W\d]\w*")
_QUOTED = re.compile(r"'(?:[^'\n]|'')*'")
_PERIODS = {f"{which} {period.value}": DayWindow(period=period, is_past=which == "last") for period in Period for which in ("this", "last")}


@dataclass(frozen=True, slots=True)
class FeatureText:
    """One table of a file: its settings, and where they stand."""

    name: str
    definition: Definition
    settings: Mapping[str, object]

    def where(self, key: str = "") -> str:
        """Return `file:line` of the setting `key`, else of the feature, else the file."""
        header, found = re.compile(rf"\s*\[\s*\"?{re.escape(self.name)}\"?\s*\]"), 0
        for number, line in enumerate(self.definition.text.splitlines(), 1):
            if found and line.strip().startswith("["):
                break
            if header.match(line):
                found = number
            elif found and key and re.match(rf"\s*{key}\s*=", line):
                return f"{self.definition.file}:{number}"
        return f"{self.definition.file}:{found}" if found else str(self.definition.file)


def read_features(
    features: Mapping[str, Definition],
    schemes: Iterable[Definition],
    columns: Iterable[Column],
    sources: Mapping[str, EventSource],
    on_error: OnError = raise_error,
) -> tuple[DeclaredFeature, ...]:
    """Return the features that files declare and those that rules of `schemes` hold, each after the ones that it looks at.

    `columns` are the built-in features and attributes, `sources` the tables of events. Raises ConfigError with file, line and column.
    Where a feature itself is wrong, and not its name, `on_error` is handed the name and the fault, by default to be raised, and the
    feature is left out, with those that look at it.
    """
    known = {column.name: column for column in columns}
    texts = _feature_texts(features, known)
    declared: list[DeclaredFeature] = []
    for name in _loading_order(texts):
        if _features_looked_at(texts[name]) & texts.keys() - known.keys():
            continue
        kinds = {column.name: column.kind for column in known.values()}
        separators = {column.name: column.separator for column in known.values() if column.separator}
        try:
            feature = _read_feature(texts[name], Vocabulary(kinds, separators=separators, sources=sources))
        except PipelineError as error:
            on_error(name, error)
            continue
        known[name] = feature.column
        declared.append(feature)
    return (*declared, *_features_in_rules(schemes, {column.name: column.kind for column in known.values()}, sources))


def _feature_texts(files: Mapping[str, Definition], names: Container[str]) -> dict[str, FeatureText]:
    texts: dict[str, FeatureText] = {}
    for definition in files.values():
        for name, settings in definition.toml().items():
            text = FeatureText(name, definition, settings if isinstance(settings, dict) else {})
            if not isinstance(settings, dict):
                raise ConfigError(f"`{name}` is no table", where=str(definition.file), todo=f"Begin each feature with its name: [{name}].")
            require_identifier(name, "the name of the feature", text.where())
            if name in names:
                what = f"`{name}` is a built-in feature or an attribute"
                raise ConfigError(what, where=text.where(), todo="Give the new feature another name.")
            if name in texts:
                raise ConfigError(f"`{name}` is declared in {texts[name].where()} too", where=text.where(), todo="Rename one of them.")
            texts[name] = text
    return texts


def _loading_order(texts: Mapping[str, FeatureText]) -> list[str]:
    """Return the names of features, each after those it looks at; raises ConfigError for a circle."""
    words = {name: _features_looked_at(text) for name, text in texts.items()}
    graph = TopologicalSorter({name: sorted(words[name] & texts.keys()) for name in sorted(texts)})
    try:
        return list(graph.static_order())
    except CycleError as error:
        path = list(reversed(error.args[1]))
        what = f"features are made of each other in a circle: {' > '.join(path)}"
        raise ConfigError(what, where=texts[path[0]].where("value"), todo="Make one of them of events alone.") from None


def _features_looked_at(text: FeatureText) -> set[str]:
    """Return the words of a value that may name features: within an aggregate names are columns, and within quotes there are none."""
    left = _QUOTED.sub("''", str(text.settings.get("value", "")))
    while call := AGGREGATE_CALL.search(left):
        end, opened = call.end(), 1
        while opened and end < len(left):
            opened += {"(": 1, ")": -1}.get(left[end], 0)
            end += 1
        left = f"{left[: call.start()]} {left[end:]}"
    return set(_WORD.findall(left))


def _read_feature(text: FeatureText, vocabulary: Vocabulary) -> DeclaredFeature:
    fields = Fields(dict(text.settings), Document(text.where()), f"{text.name}.")
    description = fields.text("description")
    own = _read_own_rows(text, fields, vocabulary)
    value, aggregates = parse_value(fields.take("value", str), vocabulary, where=text.where("value"), own=own)
    fields.refuse_unknown()
    if own is not None and not aggregates:
        raise ConfigError(
            "`from` is given, but the value adds nothing up",
            where=text.where("value"),
            todo=f"Write an aggregate, such as COUNT(*) or SUM({next(iter(own.source.names))}), or delete `from`.",
        )
    return _feature(text.name, description, value, aggregates, vocabulary.sources)


def _read_own_rows(text: FeatureText, fields: Fields, vocabulary: Vocabulary) -> OwnRows | None:
    name = fields.take("from", str, default="")
    where = fields.take("where", str, default="")
    window = _read_window(fields)
    if not name:
        if where or window != DayWindow():
            raise ConfigError("`from` is missing", where=text.where(), todo=f"Name one of {', '.join(vocabulary.sources)}.")
        return None
    if name not in vocabulary.sources:
        what = f"unknown source of events `{name}`{did_you_mean(name, vocabulary.sources)}"
        raise ConfigError(what, where=text.where("from"), todo=f"Name one of {', '.join(vocabulary.sources)}.")
    source = vocabulary.sources[name]
    words = Vocabulary(source.names, separators=source.separators, instants=source.instants, hint=source.hint)
    return OwnRows(source, parse_rule(where, words, where=text.where("where")) if where else None, window)


def _read_window(fields: Fields) -> DayWindow:
    if fields.has("during"):
        period = _PERIODS[fields.choice("during", tuple(_PERIODS))]
        for key in ("last_days", "before", "from_day", "to_day"):
            if fields.has(key):
                raise fields.refusal(key, "is given beside `during`", "Give one or the other.")
        return period
    last = fields.integer("last_days", 1, MOST_DAYS) if fields.has("last_days") else None
    before = fields.integer("before", 1, MOST_DAYS) if fields.has("before") else 0
    first, final = (fields.take(key, date, default=None) for key in ("from_day", "to_day"))
    if last is not None and (first or final):
        raise fields.refusal("last_days", "goes up to the night, but fixed days are given too", "Give one or the other.")
    if first and final and final < first:
        raise fields.refusal("to_day", "lies before `from_day`", "Exchange them.")
    return DayWindow(last, before, first, final)


def _features_in_rules(
    schemes: Iterable[Definition], names: Mapping[str, Kind], sources: Mapping[str, EventSource]
) -> list[DeclaredFeature]:
    """Return a feature for each aggregate within rules; a rule that cannot be read is left to the loading of its scheme."""
    found: dict[str, DeclaredFeature] = {}
    for definition in schemes:
        for text, parameters in aggregating_rules(definition):
            try:
                aggregates = aggregates_of(text, Vocabulary(names, parameters, sources=sources), where=str(definition.file))
            except ConfigError:
                continue
            for each in aggregates:
                found[each.name] = _feature(each.name, each.words, typed_column(each.name, each.kind), [each], sources)
    return [found[name] for name in sorted(found)]


def _feature(
    name: str, description: str, value: TypedNode, aggregates: list[Aggregate], sources: Mapping[str, EventSource]
) -> DeclaredFeature:
    # Sums and differences of whole numbers are exact decimals without decimals: whole numbers again.
    kind = Kind.INTEGER if value.kind is Kind.MONEY and not value.decimals else value.kind
    needs = frozenset(need for each in aggregates for need in _needs(each, sources))
    is_list = isinstance(value.node, exp.Column) and any(
        each.function is AggregateFunction.LIST and each.name == value.node.name for each in aggregates
    )
    return DeclaredFeature(
        Column(name, kind, description, separator=LIST_SEPARATOR if is_list else "", is_declared=True),
        exp.cast(value.node, kind.sql),
        tuple(dict.fromkeys(aggregates)),
        needs,
    )


def _needs(each: Aggregate, sources: Mapping[str, EventSource]) -> set[str]:
    """Return what a company may not have: columns that an aggregate looks at, in its events and those before or after, visits, orders."""
    needs = {f"{each.source}.{column}" for column in each.columns & sources[each.source].optional}
    needs |= {VISITS_SOURCE, ORDERS_SOURCE} & {sources[name].stored.name for name in (each.source, *each.other_sources)}
    if each.sequence is not None:
        other = sources[each.sequence.source]
        needs |= {f"{other.name}.{column}" for column in each.sequence.columns & other.optional}
    return needs
