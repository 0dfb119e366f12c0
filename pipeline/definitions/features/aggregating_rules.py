"""The rules in a definition file, found before the file is read: what they aggregate must be computed before anybody is segmented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.definitions.aggregate_words import has_aggregate
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.rules import Parameter, rule_texts
from pipeline.errors import ConfigError


def aggregating_rules(definition: Definition) -> Iterator[tuple[str, Mapping[str, Parameter]]]:
    """Yield the texts that hold an aggregate, with the parameters that they may name; none of a file that cannot be read."""
    if not has_aggregate(definition.text):
        return
    try:
        content = definition.toml()
    except ConfigError:
        return
    given = content.get("parameters")
    parameters = {name: value for name, value in given.items() if isinstance(value, Parameter)} if isinstance(given, dict) else {}
    for text in rule_texts(content):
        if has_aggregate(text):
            yield text, parameters
