"""What differs between two versions of the definitions: which schemes decide otherwise, which only read otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.definitions.schemes import ClusterScheme, Scheme, scheme_digest
from pipeline.segmentation import strategy_rows


@dataclass(frozen=True, slots=True)
class DefinitionChanges:
    """Schemes by what an edit does to them; `downstream` names for each scheme those it changes only by being referred to."""

    decided_otherwise: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    worded_otherwise: tuple[str, ...]
    downstream: Mapping[str, tuple[str, ...]]

    @property
    def is_nothing(self) -> bool:
        """Whether both versions say the same."""
        return not (self.decided_otherwise or self.added or self.removed or self.worded_otherwise)


def changes_between(before: Sequence[Scheme], after: Sequence[Scheme]) -> DefinitionChanges:
    """Compare two versions of the schemes by what their trees mean: layout, comments and brackets make no difference."""
    old, new = ({scheme.name: scheme for scheme in schemes} for schemes in (before, after))
    both = sorted(old.keys() & new.keys())
    # Most schemes were not touched: statements are built, which takes longest, for those alone that were.
    edited = [name for name in both if not _is_unedited(name, old, new)]
    # What a scheme decides is its statement: whoever only reorders brackets or comments moves nobody.
    digests = {name: [scheme_digest(each[name], each) for each in (old, new)] for name in edited}
    decided = tuple(name for name in edited if digests[name][0] != digests[name][1])
    worded = tuple(name for name in edited if name not in decided and _published_words(old[name]) != _published_words(new[name]))
    return DefinitionChanges(
        decided_otherwise=decided,
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        worded_otherwise=worded,
        downstream={name: tuple(other for other in decided if name in new[other].references) for name in decided},
    )


def reworded_clusters(before: Sequence[ClusterScheme], after: Sequence[ClusterScheme]) -> tuple[str, ...]:
    """Return the cluster schemes that both versions have, and of which people would read something else: titles, questions, cards."""
    old, new = ({scheme.name: _words_of_clusters(scheme) for scheme in schemes} for schemes in (before, after))
    return tuple(name for name in sorted(old.keys() & new.keys()) if old[name] != new[name])


def _words_of_clusters(scheme: ClusterScheme) -> tuple[object, ...]:
    return scheme.title, scheme.titles, scheme.level, scheme.question, scheme.questions, scheme.strategy, scheme.strategies


def _is_unedited(name: str, old: Mapping[str, Scheme], new: Mapping[str, Scheme]) -> bool:
    """Whether nothing was edited of a scheme, nor of those that it refers to, wherever their files are."""
    before, after = ((scheme[name], *(scheme[other] for other in scheme[name].references)) for scheme in (old, new))
    return [replace(scheme, file=Path()) for scheme in before] == [replace(scheme, file=Path()) for scheme in after]


def _published_words(scheme: Scheme) -> tuple[object, ...]:
    """Gather what people read of a scheme: titles in their order, descriptions, strategy cards in every language."""
    named = [(scheme.name, segment.id, segment.title) for segment in scheme.segments]
    cards = strategy_rows([scheme], [*named, (scheme.name, "", "")], "").to_pylist()
    segments = [
        (each.id, each.title, each.description, *(sorted(texts.items()) for texts in (each.titles, each.descriptions, each.crosswalk)))
        for each in scheme.segments
    ]
    terms = (scheme.audience.owner, scheme.audience.expires) if scheme.audience else ()
    return (
        terms,
        scheme.title,
        sorted(scheme.titles.items()),
        scheme.level,
        scheme.question,
        sorted(scheme.questions.items()),
        segments,
        cards,
    )
