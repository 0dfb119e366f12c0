"""Audiences within rules of others: `IN AUDIENCE spring_preview` holds of whom that audience's rule takes, tonight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from sqlglot import exp

from pipeline.definitions.definition_files import Definition
from pipeline.definitions.rules import audiences_of, rule_texts
from pipeline.definitions.schemes.scheme import Scheme
from pipeline.errors import ConfigError

MAX_NAMED_NODES = 4_000  # a long rule has a few hundred


def audiences_named(texts: Iterable[str]) -> list[str]:
    """Return the names of the audiences that rules name, as far as they can be read, in order."""
    return sorted({name for text in texts for name in audiences_of(text)})


def audiences_in_order(definitions: Sequence[Definition]) -> list[Definition]:
    """Return `definitions`, each after those that its rules name; raises ConfigError for a circle, with its path."""
    by_name = {definition.file.stem: definition for definition in definitions}
    named = {name: set(audiences_in_rules(definition)) & by_name.keys() for name, definition in by_name.items()}
    graph = TopologicalSorter({name: sorted(named[name]) for name in sorted(named)})
    try:
        return [by_name[name] for name in graph.static_order()]
    except CycleError as error:
        path = list(reversed(error.args[1]))
        what = f"audiences name each other in a circle: {' > '.join(path)}"
        raise ConfigError(what, where=_place_of_name(path[1], by_name[path[0]]), todo="Write the rule of one of them out.") from None


def _place_of_name(name: str, definition: Definition) -> str:
    """Return `file:line` of the first line that names the audience `name`, or the file alone where the words are apart."""
    named = re.compile(rf'\bIN\s+AUDIENCE\s+\\?"?{re.escape(name)}\b', re.IGNORECASE)
    lines = enumerate(definition.text.splitlines(), 1)
    return next((f"{definition.file}:{number}" for number, line in lines if named.search(line)), str(definition.file))


def audiences_in_rules(definition: Definition) -> list[str]:
    """Return the names of the audiences that the rules of a file name, as far as they can be read, in order."""
    # What names no audience needs no reading yet; TOML may write any letter as an escape.
    may_name = "audience" in definition.text.lower() or "\\" in definition.text
    return audiences_named(rule_texts(definition.toml()) if may_name else [])


def rules_by_audience(audiences: Mapping[str, Scheme | None], named: Mapping[str, Scheme], where: str) -> dict[str, exp.Expression | None]:
    """Return whom each of `audiences` takes; None for one that is still to be read.

    Raises ConfigError where one that is `named` has limits that only a night knows, or where they say too much together.
    """
    for name, audience in named.items():
        if audience.quantiles:
            what = f"the audience `{name}` has a quantile, and cannot be named by another one"
            raise ConfigError(what, where=where, todo="Write its rule out here, with the parameter.")
    # Each rule is put in its place as a whole: a few files that name each other twice would else fill any memory.
    nodes = (node for each in named.values() if each.applies_to is not None for node in each.applies_to.walk())
    if sum(1 for _ in nodes) > MAX_NAMED_NODES:
        what = f"the rules of the audiences that it names say too much together: {', '.join(named)}"
        raise ConfigError(what, where=where, todo="Name fewer of them, or ones with shorter rules.")
    # One that is still to be read is known here to suggest its name; a rule that names it all the same is refused.
    return {name: None if each is None else each.applies_to for name, each in audiences.items()}
