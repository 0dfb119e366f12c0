"""What cannot be computed where the source does not give a column: schemes and segments that look at a feature which nobody has.

A segment is left out where its rule, score or signals compare such a feature: nobody could be told to be in it, and of a rule with
`OR` nobody would know whom it missed. A rule that holds of the unknown, by `x IS NULL` or `x IS NOT 'wine'`, is computed.
The other segments stay as they are, and whoever might have been in the one left out falls to them, or to the last one. Where none
of them would catch everybody, or nothing is left to tell customers apart, the whole scheme is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sqlglot import exp

from pipeline.definitions.rules import calls_in
from pipeline.definitions.rules.phrases import AUDIENCE_MARK
from pipeline.definitions.schemes.references import SEGMENT_SUFFIX
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE, Scheme, Schemes


def without_unknown(loaded: Schemes, unknown: Mapping[str, str]) -> Schemes:
    """Return `loaded` without what looks at the features in `unknown`, which have what each of them needs.

    `not_computed` then says of each scheme, or `scheme.segment`, that is left out what it needs.
    """
    if not unknown:
        return loaded
    kept: dict[str, Scheme] = {}
    left_out: dict[str, Scheme] = {}
    reasons: dict[str, str] = {}
    # Each after those that it looks at: it has more references than any of them.
    for scheme in sorted(loaded.schemes, key=lambda scheme: len(scheme.references)):
        lacking = {segment.id: needs for segment in scheme.segments if (needs := _needs_of(scheme, segment.trees, unknown, kept, left_out))}
        whole = _needs_of(scheme, [tree for tree in (scheme.applies_to, scheme.rule) if tree is not None], unknown, kept, left_out)
        whole |= {unknown[scheme.attribute]} if scheme.attribute in unknown else set()
        if not whole and lacking and not _is_total_without(scheme, lacking):
            whole = set().union(*lacking.values())
        if whole:
            left_out[scheme.name] = replace(scheme, missing=tuple(sorted(whole)))
            reasons[scheme.name] = _needs_words(whole)
        elif lacking:
            parts = [tuple(s for s in scheme.segments if (s.id in lacking) is is_lacking) for is_lacking in (False, True)]
            kept[scheme.name] = replace(scheme, segments=parts[0], uncomputed=parts[1])
            reasons |= {f"{scheme.name}.{name}": _needs_words(needs) for name, needs in lacking.items()}
        else:
            kept[scheme.name] = scheme
    return Schemes(
        tuple(kept[scheme.name] for scheme in loaded.schemes if scheme.name in kept),
        dict(sorted({**loaded.not_computed, **reasons}.items())),
        (*loaded.uncomputed, *(left_out[name] for name in sorted(left_out))),
        {**loaded.unknown, **unknown},
    )


def _needs_of(
    scheme: Scheme, trees: Iterable[exp.Expression], unknown: Mapping[str, str], kept: Mapping[str, Scheme], left_out: Mapping[str, Scheme]
) -> set[str]:
    """Return what conditions of `scheme` need that nobody has: of their features, and of the segments of other schemes that they name."""
    needs: set[str] = set()
    for tree in trees:
        names = {column.name for column in tree.find_all(exp.Column)}
        texts = {literal.name for literal in tree.find_all(exp.Literal) if literal.is_string}
        needs |= {unknown[name] for name in names & unknown.keys() - _names_handled(tree)}
        for other in scheme.references:
            if f"{other}{SEGMENT_SUFFIX}" not in names:
                continue
            if other in left_out:
                needs |= set(left_out[other].missing)
            else:
                gone = [segment for segment in kept[other].uncomputed if segment.id in texts]
                needs |= set().union(*(_needs_of(kept[other], segment.trees, unknown, kept, left_out) for segment in gone))
    return needs


def _names_handled(tree: exp.Expression) -> set[str]:
    """Return the names of which a condition says itself that it holds where they are unknown."""
    handled = (node for node in tree.find_all(exp.Is) if not _is_negated(node) and AUDIENCE_MARK not in node.meta)
    always_known = (call.bases for call in calls_in(tree) if call.unknown_with == frozenset())  # COALESCE(x, 0), say
    return {column.name for node in handled for column in node.find_all(exp.Column)}.union(*always_known)


def _is_negated(node: exp.Expr) -> bool:
    """Return whether an odd number of NOT stands before `node`: `x IS NOT NULL` holds of nobody whose x is unknown."""
    count, parent = 0, node.parent
    while parent is not None:
        count += isinstance(parent, exp.Not)
        parent = parent.parent
    return count % 2 == 1


def _is_total_without(scheme: Scheme, lacking: Iterable[str]) -> bool:
    """Return whether the other segments still take everybody, and tell customers apart."""
    left = [segment for segment in scheme.segments if segment.id not in set(lacking)]
    # Too little evidence says nothing about a customer but that nothing can be said.
    is_telling = any(not segment.is_otherwise and segment.id != INSUFFICIENT_EVIDENCE for segment in left)
    return is_telling and any(segment.is_otherwise for segment in left)


def _needs_words(needs: Iterable[str]) -> str:
    return f"needs {', '.join(sorted(needs))}"
