"""In which order schemes load: each after those whose segments its rules look at.

A rule that says `lifecycle.segment = 'active'` makes its scheme refer to `lifecycle`.
Schemes of clusters have no rules; they load afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from pipeline.definitions.rules import references_of, rule_texts
from pipeline.errors import ConfigError

SEGMENT_SUFFIX = ".segment"


def referenced_schemes(values: Mapping[str, Any]) -> list[str]:
    """Return the names of the schemes that the rules of a definition refer to, as far as they can be read.

    What is malformed is passed over here: the order must be known before any scheme is read, and reading it reports the fault.
    """
    named = {name for text in rule_texts(values) for name in references_of(text)}
    return sorted(name.removesuffix(SEGMENT_SUFFIX) for name in named if name.endswith(SEGMENT_SUFFIX))


def segments_defined(values: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what may be written for each segment of a definition, its title or id, and the id; nothing where values are segments.

    None for clusters, whose segments a model gives.
    """
    if values.get("kind") == "clusters":
        return None
    listed = values.get("segment", []) if values.get("kind") != "values" else []
    segments = [segment for segment in listed if isinstance(segment, Mapping)] if isinstance(listed, list) else []
    named = [each for each in segments if isinstance(each.get("id"), str)]
    titles = {each["title"]: each["id"] for each in named if isinstance(each.get("title"), str)}
    return titles | {each["id"]: each["id"] for each in named}


def loading_order(named: Mapping[str, list[str]], files: Mapping[str, Path]) -> list[str]:
    """Return the names of schemes, each after those it names; raises ConfigError for a circle, with its path."""
    # Sorted, so that of several circles every run names the same one.
    graph = TopologicalSorter({name: [other for other in others if other in named] for name, others in sorted(named.items())})
    try:
        return list(graph.static_order())
    except CycleError as error:
        path = list(reversed(error.args[1]))
        todo = "Decide one of them by features alone."
        raise ConfigError(f"schemes refer to each other in a circle: {' > '.join(path)}", where=str(files[path[0]]), todo=todo) from None
