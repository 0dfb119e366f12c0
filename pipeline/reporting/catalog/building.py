"""The catalogue of schemes: what is defined, beside what the live publication says of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import LEVELS
from pipeline.definitions.schemes import STRATEGY_TEXTS, ClusterScheme, Scheme, Schemes, Segment, Strategy, scheme_digest
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.definitions.shipped import SHIPPED
from pipeline.models.clusters import UNCLUSTERED, outside_words, translated_title
from pipeline.reporting.catalog.entries import (
    Catalog,
    DefinitionState,
    LiveSegments,
    PublishedSegment,
    PublishedSize,
    SchemeEntry,
    SegmentEntry,
    StrategyCard,
)
from pipeline.reporting.catalog.words import DECISIONS, decision_words, parameters_beside, rule_words, value_words
from pipeline.reporting.lineage import scheme_names

LACKING = "an attribute that the clusters go by is not known"


@dataclass(frozen=True, slots=True)
class CatalogContext:
    """What every entry is written from: the company, the language of the reader, and the live publication."""

    company: Company
    language: str
    live: LiveSegments | None

    def title_of(self, item: Scheme | Segment | ClusterScheme) -> str:
        return item.titles.get(self.language, item.title)

    def question_of(self, scheme: Scheme | ClusterScheme) -> str:
        return scheme.questions.get(self.language, scheme.question)

    def description_of(self, segment: Segment) -> str:
        return segment.descriptions.get(self.language, segment.description)

    def card_of(self, strategy: Strategy | None) -> StrategyCard | None:
        if strategy is None:
            return None
        return StrategyCard(strategy.texts(self.language), strategy.priority, strategy.budget_share, strategy.assumes)

    def published_strategy(self, scheme: str, segment: str) -> Mapping[str, Any]:
        """Return the published title, description and card of a segment, in the reader's language where it is told in that."""
        known = self.live.strategies if self.live else {}
        return known.get((scheme, segment, self.language)) or known.get((scheme, segment, self.company.language)) or {}

    def size_of(self, scheme: str, segment: str) -> PublishedSize | None:
        return self.live.size_of(scheme, segment) if self.live else None

    def undefined_segments(self, scheme: str, defined: Iterable[str]) -> list[PublishedSegment]:
        """Return the published segments of a scheme that are not among the `defined` ones, the largest first."""
        named = set(defined)
        published = self.live.profiles.get(scheme, ()) if self.live else ()
        undefined = [each for each in published if each.segment not in named]
        return sorted(undefined, key=lambda each: (-each.size.customer_count, each.segment))


def build_catalog(
    company: Company, schemes: Schemes, cluster_schemes: Sequence[tuple[ClusterScheme, Path]], live: LiveSegments | None, *, language: str
) -> Catalog:
    """Return the catalogue of what is defined, its titles and texts in `language`; `live` is None before anything was published."""
    context = CatalogContext(company, language, live)
    entries = [_scheme_entry(context, schemes, scheme) for scheme in (*schemes.schemes, *schemes.uncomputed)]
    entries += [_cluster_entry(context, scheme, file, schemes.unknown) for scheme, file in cluster_schemes]
    defined = {entry.scheme for entry in entries}
    return Catalog(
        company=company.name,
        language=language,
        day=live.day if live else None,
        publication_id=live.publication_id if live else None,
        schemes=tuple(sorted(entries, key=lambda entry: (LEVELS.index(entry.level), entry.scheme))),
        gone=tuple(sorted(set(live.profiles) - defined)) if live else (),
    )


def translated_languages(schemes: Schemes, clusters: Iterable[ClusterScheme]) -> set[str]:
    """Return the languages that a title, question or strategy of any scheme is translated into."""
    languages = (scheme.languages for scheme in (*schemes.schemes, *schemes.uncomputed))
    return set().union(*languages, *(scheme.languages for scheme in clusters))


def _scheme_entry(context: CatalogContext, schemes: Schemes, scheme: Scheme) -> SchemeEntry:
    reason = schemes.not_computed.get(scheme.name, "")
    return SchemeEntry(
        scheme=scheme.name,
        title=context.title_of(scheme),
        level=scheme.level,
        kind=scheme.kind,
        question=context.question_of(scheme),
        decision=decision_words(scheme),
        proof=scheme.proof.method if scheme.proof else "construction",
        file=file_words(context.company, scheme.file),
        state="not computed" if reason else _definition_state(context.live, schemes, scheme),
        segments=tuple(_segment_entries(context, schemes, scheme)),
        reason=reason,
        undecided=scheme.proof.undecided if scheme.proof else (),
        parameters=dict(scheme.parameters),
        features=tuple(sorted(scheme_names(scheme))),
        evidence=scheme.evidence,
        references=(*scheme.references, *scheme.clusters),
        card=context.card_of(scheme.strategy),
        applies_to=scheme.applies_to_text,
        outside_count=context.live.outside_count(scheme.name) if context.live and scheme.applies_to_text else None,
    )


def _definition_state(live: LiveSegments | None, schemes: Schemes, scheme: Scheme) -> DefinitionState:
    published = live.digests.get(scheme.name) if live else None
    if published is None:
        return "new"
    # By what it decides, not by its file: an edited title or comment leaves a scheme live as defined.
    by_name = {other.name: other for other in schemes.schemes}
    return "live" if published == scheme_digest(scheme, by_name) else "changed"


def _segment_entries(context: CatalogContext, schemes: Schemes, scheme: Scheme) -> Iterator[SegmentEntry]:
    """Yield the segments of a scheme, the values that customers have before those that stand whatever the values are."""
    if scheme.kind == "values":
        card = context.card_of(scheme.strategy)
        # Which values there are only customers show, so they are taken from the publication; no night, no values.
        for value in context.undefined_segments(scheme.name, (segment.id for segment in scheme.segments)):
            yield SegmentEntry(value.segment, value.title, "", value_words(scheme.attribute, value.segment), card=card, size=value.size)
    for segment in scheme.segments:
        yield SegmentEntry(
            segment=segment.id,
            title=context.title_of(segment),
            description=context.description_of(segment),
            words=rule_words(scheme, segment),
            rule=segment.rule_text,
            parameters=parameters_beside(scheme, segment),
            card=context.card_of(segment.strategy or scheme.strategy),
            size=context.size_of(scheme.name, segment.id),
            crosswalk=dict(segment.crosswalk),
        )
    for segment in scheme.uncomputed:
        words = f"not computed: {schemes.not_computed[f'{scheme.name}.{segment.id}']}"
        yield SegmentEntry(segment.id, context.title_of(segment), context.description_of(segment), words, rule=segment.rule_text)


def _cluster_entry(context: CatalogContext, scheme: ClusterScheme, file: Path, unknown: Mapping[str, str]) -> SchemeEntry:
    # A definition names no cluster: all are those of the publication. Whoever is in none comes last, however many they are.
    no_cluster = ", or ".join(filter(None, (outside_words(scheme), "no model yet")))
    outside = {INSUFFICIENT_EVIDENCE: LACKING, UNCLUSTERED: no_cluster}
    places = {segment: place for place, segment in enumerate(outside, 1)}
    published = sorted(context.undefined_segments(scheme.name, ()), key=lambda each: places.get(each.segment, 0))
    lacking = "".join(f"; {each.name} not computed: needs {unknown[each.name]}" for each in scheme.features if each.name in unknown)
    segments = []
    for each in published:
        title = translated_title(each.title, scheme.features, context.language)
        words = outside.get(each.segment, f"nearest to the centre of {each.segment}")
        told = context.published_strategy(scheme.name, each.segment)
        profile = context.live.cluster_profiles.get((scheme.name, each.segment), ()) if context.live else ()
        card = None
        if told.get("priority") is not None:
            card = StrategyCard(
                {name: told[name] for name in STRATEGY_TEXTS}, told["priority"], told["budget_share"], told["assumes"] or ""
            )
        segments.append(SegmentEntry(each.segment, title, told.get("description") or "", words, card=card, size=each.size, profile=profile))
    return SchemeEntry(
        scheme=scheme.name,
        title=context.title_of(scheme),
        level=scheme.level,
        kind="clusters",
        question=context.question_of(scheme),
        decision=f"{DECISIONS['clusters']}, among {scheme.cluster_count_min} to {scheme.cluster_count_max} clusters{lacking}",
        proof="construction",
        file=file_words(context.company, file),
        state="live" if published else "new",
        segments=tuple(segments),
        features=tuple(feature.name for feature in scheme.features),
    )


def file_words(company: Company, file: Path) -> str:
    """Say where a definition stands: from the house down, else from the company's folder down, and never from the root of a disk."""
    # The house comes first, since the examples are companies whose folders lie within it.
    for root, name in ((SHIPPED, ""), (company.folder.resolve(), company.folder.name)):
        if file.resolve().is_relative_to(root):
            return str(Path(name) / file.resolve().relative_to(root))
    return file.name
