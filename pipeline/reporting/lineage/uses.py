"""Which schemes and segments look at which features: by their rules, as evidence, through other schemes, or as clusters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from pipeline.definitions.schemes import ClusterScheme, Scheme, Segment
from pipeline.definitions.schemes.references import SUFFIX

Way = Literal["rule", "values", "evidence", "clusters", "reference"]


@dataclass(frozen=True, slots=True)
class Use:
    """A scheme that something is used by: how, by which of its segments, and through which other schemes.

    No segments stand for all of them: the scheme as a whole goes by it. A scheme that only shows it as evidence has none either.
    """

    scheme: str
    ways: tuple[Way, ...]
    segments: tuple[str, ...] = ()
    through: tuple[str, ...] = ()


def names_in(scheme: Scheme, segment: Segment) -> set[str]:
    """Return what a segment's own rule looks at: features, attributes and columns such as `rfm.segment`."""
    return _names(segment.trees) | whole_names(scheme)


def whole_names(scheme: Scheme) -> set[str]:
    """Return what decides about every segment of a scheme of values."""
    return _names([scheme.rule]) | ({scheme.attribute} if scheme.attribute else set())


def scheme_names(scheme: Scheme) -> set[str]:
    """Return everything that decides in a scheme, what it only shows left out."""
    return {name for segment in scheme.segments for name in names_in(scheme, segment)} | whole_names(scheme)


def names_behind(names: Iterable[str], schemes: Sequence[Scheme], cluster_schemes: Sequence[ClusterScheme]) -> set[str]:
    """Return `names` and, where one is a column such as `rfm.segment`, everything that decides in that scheme."""
    return _behind(names, _deciding(schemes, cluster_schemes))


def _deciding(schemes: Sequence[Scheme], cluster_schemes: Sequence[ClusterScheme]) -> Mapping[str, set[str]]:
    """Return what decides in each scheme, by columns such as `rfm.segment`."""
    clustered = {f"{scheme.name}{SUFFIX}": set(scheme.columns) for scheme in cluster_schemes}
    return {f"{scheme.name}{SUFFIX}": scheme_names(scheme) for scheme in schemes} | clustered


def _behind(names: Iterable[str], deciding: Mapping[str, set[str]]) -> set[str]:
    found, left = set[str](), set(names)
    while left:
        found |= left
        left = {behind for name in left for behind in deciding.get(name, ())} - found
    return found


def uses(features: Iterable[str], schemes: Sequence[Scheme], cluster_schemes: Sequence[ClusterScheme]) -> tuple[Use, ...]:
    """Return who uses any of `features`, by scheme; `features` may hold columns such as `rfm.segment`."""
    asked = set(features)
    deciding = _deciding(schemes, cluster_schemes)
    touched = asked | {column for column in deciding if _behind([column], deciding) & asked}
    found = [*(use for scheme in schemes for use in _of_scheme(scheme, asked, touched)), *_of_clusters(asked, cluster_schemes)]
    return tuple(sorted(found, key=lambda use: use.scheme))


def _of_scheme(scheme: Scheme, asked: set[str], touched: set[str]) -> Iterator[Use]:
    is_whole = bool(whole_names(scheme) & touched)
    segments = () if is_whole else tuple(s.id for s in scheme.segments if names_in(scheme, s) & touched)
    through = tuple(sorted(_referred(scheme) & touched - asked))
    is_direct = bool(scheme_names(scheme) & asked)
    ways: dict[Way, bool] = {
        "rule": is_direct and scheme.kind == "rules",
        "values": is_direct and scheme.kind != "rules",
        "reference": bool(through),
        "evidence": bool(set(scheme.evidence) & asked),
    }
    if any(ways.values()):
        yield Use(scheme.name, tuple(way for way, is_so in ways.items() if is_so), segments, tuple(n.removesuffix(SUFFIX) for n in through))


def _of_clusters(asked: set[str], cluster_schemes: Sequence[ClusterScheme]) -> Iterator[Use]:
    yield from (Use(scheme.name, ("clusters",)) for scheme in cluster_schemes if asked & set(scheme.columns))


def _referred(scheme: Scheme) -> set[str]:
    return {name for name in scheme_names(scheme) if name.endswith(SUFFIX)}


def _names(trees: Iterable[exp.Expr | None]) -> set[str]:
    return {column.name for tree in trees if tree is not None for column in tree.find_all(exp.Column)}
