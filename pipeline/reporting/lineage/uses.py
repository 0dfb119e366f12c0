"""Which schemes and segments look at which features: by their rules, as evidence, through other schemes, or as clusters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from pipeline.definitions.schemes import ClusterScheme, Scheme, Segment
from pipeline.definitions.schemes.references import SEGMENT_SUFFIX

Way = Literal["rule", "values", "evidence", "clusters", "reference"]


@dataclass(frozen=True, slots=True)
class SchemeUse:
    """A scheme that something is used by: how, by which of its segments, and through which other schemes.

    No segments stand for all of them: the scheme as a whole goes by it. A scheme that only shows it as evidence has none either.
    """

    scheme: str
    ways: tuple[Way, ...]
    segments: tuple[str, ...] = ()
    through: tuple[str, ...] = ()


def segment_names(scheme: Scheme, segment: Segment) -> set[str]:
    """Name what a segment's own rule looks at: features, attributes and columns such as `rfm.segment`."""
    return _column_names(segment.trees) | whole_names(scheme)


def whole_names(scheme: Scheme) -> set[str]:
    """Name what decides about every segment at once: whom the scheme is for, and of one of values the attribute and whom it takes."""
    return _column_names([scheme.applies_to, scheme.rule]) | ({scheme.attribute} if scheme.attribute else set())


def scheme_names(scheme: Scheme) -> set[str]:
    """Name everything that decides in a scheme; what it only shows as evidence is left out."""
    return {name for segment in scheme.segments for name in segment_names(scheme, segment)} | whole_names(scheme)


def names_behind(names: Iterable[str], schemes: Sequence[Scheme], cluster_schemes: Sequence[ClusterScheme]) -> set[str]:
    """Add to `names` what decides in the schemes that they refer to, by columns such as `rfm.segment`."""
    return _names_reached(names, _deciding_names(schemes, cluster_schemes))


def _deciding_names(schemes: Sequence[Scheme], cluster_schemes: Sequence[ClusterScheme]) -> Mapping[str, set[str]]:
    """Return what decides in each scheme, by columns such as `rfm.segment`."""
    clustered = {f"{scheme.name}{SEGMENT_SUFFIX}": set(scheme.columns) for scheme in cluster_schemes}
    return {f"{scheme.name}{SEGMENT_SUFFIX}": scheme_names(scheme) for scheme in schemes} | clustered


def _names_reached(names: Iterable[str], deciding: Mapping[str, set[str]]) -> set[str]:
    reached, waiting = set[str](), set(names)
    while waiting:
        reached |= waiting
        waiting = {behind for name in waiting for behind in deciding.get(name, ())} - reached
    return reached


def scheme_uses(features: Iterable[str], schemes: Sequence[Scheme], cluster_schemes: Sequence[ClusterScheme]) -> tuple[SchemeUse, ...]:
    """Find who uses any of `features`, by scheme; `features` may hold columns such as `rfm.segment`."""
    looked_for = set(features)
    deciding = _deciding_names(schemes, cluster_schemes)
    # A scheme may look at another one that looks at a feature: its column counts as touched too.
    touched = looked_for | {column for column in deciding if _names_reached([column], deciding) & looked_for}
    uses = [use for scheme in schemes for use in _uses_of_scheme(scheme, looked_for, touched)]
    uses += [SchemeUse(scheme.name, ("clusters",)) for scheme in cluster_schemes if looked_for & set(scheme.columns)]
    return tuple(sorted(uses, key=lambda use: use.scheme))


def _uses_of_scheme(scheme: Scheme, looked_for: set[str], touched: set[str]) -> Iterator[SchemeUse]:
    # Where the whole scheme goes by it, naming every segment would say no more.
    is_whole = bool(whole_names(scheme) & touched)
    segments = () if is_whole else tuple(each.id for each in scheme.segments if segment_names(scheme, each) & touched)
    referred = {name for name in scheme_names(scheme) if name.endswith(SEGMENT_SUFFIX)}
    through = tuple(sorted(referred & touched - looked_for))
    is_direct = bool(scheme_names(scheme) & looked_for)
    ways: dict[Way, bool] = {
        "rule": is_direct and scheme.kind == "rules",
        "values": is_direct and scheme.kind != "rules",
        "reference": bool(through),
        "evidence": bool(set(scheme.evidence) & looked_for),
    }
    if any(ways.values()):
        names = tuple(name.removesuffix(SEGMENT_SUFFIX) for name in through)
        yield SchemeUse(scheme.name, tuple(way for way, is_so in ways.items() if is_so), segments, names)


def _column_names(trees: Iterable[exp.Expr | None]) -> set[str]:
    return {column.name for tree in trees if tree is not None for column in tree.find_all(exp.Column)}
