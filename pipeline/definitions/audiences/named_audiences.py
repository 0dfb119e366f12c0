"""Audiences within rules of others: `IN AUDIENCE spring_preview` holds of whom that audience's rule takes, tonight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from sqlglot import exp

from pipeline.definitions.definition_files import Definition
from pipeline.definitions.rules import rule_texts
from pipeline.definitions.schemes.scheme import Scheme
from pipeline.errors import ConfigError

_NAMED = re.compile(r"\bIN\s+AUDIENCE\s+(\w+)", re.IGNORECASE)


def audiences_named(texts: Iterable[str]) -> list[str]:
    """Return the names of the audiences that rules name, as far as they can be read, in order."""
    return sorted({name for text in texts for name in _NAMED.findall(text)})


def audiences_in_order(definitions: Sequence[Definition]) -> list[Definition]:
    """Return `definitions`, each after those that its rules name; raises ConfigError for a circle, with its path."""
    by_name = {definition.file.stem: definition for definition in definitions}
    named = {name: set(audiences_named(_texts(definition))) & by_name.keys() for name, definition in by_name.items()}
    graph = TopologicalSorter({name: sorted(named[name]) for name in sorted(named)})
    try:
        return [by_name[name] for name in graph.static_order()]
    except CycleError as error:
        path = list(reversed(error.args[1]))
        what = f"audiences name each other in a circle: {' > '.join(path)}"
        raise ConfigError(what, where=str(by_name[path[0]].file), todo="Write the rule of one of them out.") from None


def _texts(definition: Definition) -> list[str]:
    # What names no audience needs no reading yet, and what is malformed is reported by whoever reads the file.
    return rule_texts(definition.toml()) if _NAMED.search(definition.text) else []


def rules_by_audience(audiences: Mapping[str, Scheme | None], named: Mapping[str, Scheme], where: str) -> dict[str, exp.Expression]:
    """Return whom each of `audiences` takes; raises ConfigError where one that is `named` has limits that only a night knows."""
    for name, audience in named.items():
        if audience.quantiles:
            what = f"the audience `{name}` has a quantile, and cannot be named by another one"
            raise ConfigError(what, where=where, todo="Write its rule out here, with the parameter.")
    # One that is still to be read is named by no rule that was, and known here to suggest its name.
    return {name: (each.applies_to if each is not None else None) or exp.true() for name, each in audiences.items()}
