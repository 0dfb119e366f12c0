"""Schemes as files: `segments/<scheme>.toml`, ours or the company's own, read and proven.

A file becomes a scheme in this order: what its rules may name (features, parameters, segments of other schemes), its segments,
then the proof that every customer has exactly one segment. Schemes load in the order of their references, so that a rule such
as `lifecycle.segment = 'active'` is checked against segments that are already known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sqlglot import exp

from pipeline.definitions.aggregate_words import has_aggregate
from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import LEVELS, Attribute
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.features import feature_digests
from pipeline.definitions.fields import Document, Fields, require_identifier
from pipeline.definitions.proofs import Domains, SegmentRule, require_possible, require_proven
from pipeline.definitions.rules import Vocabulary, parameters_of, parse_rule, rule_texts
from pipeline.definitions.schemes.fixed_segments import fixed_segments
from pipeline.definitions.schemes.references import SEGMENT_SUFFIX, loading_order, referenced_schemes, segments_defined
from pipeline.definitions.schemes.scheme import OTHER, UNKNOWN, Scheme, Schemes, Segment
from pipeline.definitions.schemes.scheme_vocabulary import LoadedSchemes, clusters_referred_to, read_vocabulary, schemes_referred_to
from pipeline.definitions.schemes.score_methods import (
    ScoreMethods,
    company_score_methods,
    methods_of_scheme,
    read_score_methods,
    scores_named,
)
from pipeline.definitions.schemes.segment_files import (
    FileContext,
    eligibility_condition,
    read_evidence,
    read_segment,
    segment_locations,
)
from pipeline.definitions.schemes.strategies import read_strategy, read_translated_text, require_budget_shares
from pipeline.definitions.translations import FIXED, Translations, company_translations, translated_content
from pipeline.definitions.value_lists import list_digests
from pipeline.errors import ConfigError, ErrorCollector, OnError, PipelineError, raise_error
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

KINDS = ("rules", "values", "value_tiers")
MOST_SEGMENTS = 50
# A value that hardly anybody shares would tell of them by being a segment, even after they were erased.
FEWEST_CUSTOMERS = 5
LEADING_VALUES = 5


@dataclass(frozen=True, slots=True)
class SchemeInputs:
    """All that schemes depend on: two companies that say the same have the same schemes."""

    company: Company = field(compare=False)
    definitions: tuple[Definition, ...]
    attributes: tuple[Attribute, ...]
    language: str
    lists: tuple[tuple[str, str], ...] = ()
    declared: tuple[tuple[str, str], ...] = ()
    translations: tuple[tuple[str, Translations], ...] = ()

    @classmethod
    def of(cls, company: Company) -> SchemeInputs:
        """Return what the schemes of `company` depend on, as its files are now."""
        named = company.definitions("segments", ".toml")
        # By name, as what a night went by was kept in another order than that of the files.
        definitions = tuple(definition for _, definition in sorted(named.items()))
        translations = tuple(sorted(company_translations(company, named).items()))
        lists, declared = tuple(list_digests(company).items()), features_named(company, definitions)
        return cls(company, definitions, company.attributes, company.language, lists, declared, translations)

    @property
    def fixed(self) -> Translations:
        """The translations of segments that no file names."""
        return dict(self.translations).get(FIXED, ())

    def contents(self) -> dict[str, dict[str, Any]]:
        """Return what the files of schemes say, by name, with their texts in every language that is asked for."""
        translations = dict(self.translations)
        names = ((each.file.stem, each) for each in self.definitions)
        return {name: translated_content(each, translations.get(name, ()), self.language) for name, each in names}


def features_named(company: Company, definitions: Sequence[Definition]) -> tuple[tuple[str, str], ...]:
    """Return the declared features that may be in `definitions`, with a digest of what each means: others change nothing in them."""
    if not company.features:  # before all rules are looked through: every step of a night asks
        return ()
    text = "\n".join(definition.text for definition in definitions)
    # What a rule adds up has no name in it.
    in_rules = (
        {each.name for feature in company.features for each in feature.aggregates}
        if any(has_aggregate(each.text) for each in definitions)
        else frozenset()
    )
    return tuple((name, digest) for name, digest in feature_digests(company.features).items() if name in text or name in in_rules)


def load_schemes(company: Company) -> Schemes:
    """Return the schemes decided by rules or by values: ours, each replaced by the company's file of the same name.

    Raises ConfigError naming file and line where a definition is wrong, leaves a customer over, refers to itself or holds a segment
    nobody can be in.
    """
    return _schemes_of_inputs(SchemeInputs.of(company))


def read_schemes_anew(company: Company) -> Schemes:
    """Return what `load_schemes` does, with every file read again, however often it was read before."""
    return _schemes_of_inputs.__wrapped__(SchemeInputs.of(company))


def read_schemes(company: Company) -> LoadedSchemes:
    """Return the same schemes as they are held while files are read, for what else may refer to them."""
    found, definitions = load_schemes(company), company.definitions("segments", ".toml")
    by_name = {scheme.name: scheme for scheme in (*found.schemes, *found.uncomputed)}
    methods, stays = _methods_and_stays(tuple(definitions.items()))
    return LoadedSchemes(company, frozenset(definitions.keys() - by_name.keys()), methods, stays, by_name)


@lru_cache(maxsize=8)
def _methods_and_stays(
    definitions: tuple[tuple[str, Definition], ...],
) -> tuple[ScoreMethods, Mapping[str, Mapping[str, str] | None]]:
    """Return the general methods of scores and the segments by scheme; cached, as most of it is reading the text of every file."""
    methods = company_score_methods({definition.file.stem: definition for _, definition in definitions})
    return methods, {name: segments_defined(definition.toml()) for name, definition in definitions}


@lru_cache(maxsize=8)
def _schemes_of_inputs(inputs: SchemeInputs) -> Schemes:
    """Return the schemes; cached, as a night asks for them in several steps and proving takes longest."""
    loaded = read_each_scheme(inputs)
    by_name = [loaded.schemes[name] for name in sorted(loaded.schemes)]
    return Schemes(
        tuple(scheme for scheme in by_name if not scheme.missing),
        dict(_reasons_not_computed(inputs.company, by_name)),
        tuple(scheme for scheme in by_name if scheme.missing),
    )


def read_each_scheme(inputs: SchemeInputs, on_error: OnError = raise_error) -> LoadedSchemes:
    """Return the schemes that can be read, each after those that it looks at.

    `on_error` is handed the name and the fault of each other one; by default it is raised. What looks at a scheme that could not be
    read is left out without a word: nobody knows whether it is right.
    """
    company, definitions = inputs.company, {definition.file.stem: definition for definition in inputs.definitions}
    parsed = inputs.contents()
    contents = {name: values for name, values in parsed.items() if values.get("kind") != "clusters"}
    clusters = frozenset(definitions.keys() - contents.keys())
    stays = {name: segments_defined(values) for name, values in parsed.items()}
    loaded = LoadedSchemes(company, clusters, company_score_methods(definitions), stays, fixed=inputs.fixed)
    named = {name: referenced_schemes(values) for name, values in contents.items()}
    for name in loading_order(named, {name: definitions[name].file for name in contents}):
        if any(other in contents and other not in loaded.schemes for other in named[name]):
            continue
        try:
            loaded.schemes[name] = _read_scheme(loaded, definitions[name], contents[name], named[name])
        except PipelineError as error:
            on_error(name, error)
    return loaded


def _reasons_not_computed(company: Company, schemes: Sequence[Scheme]) -> Iterator[tuple[str, str]]:
    """Yield the schemes that cannot be computed, with the reason."""
    held_back = {attribute.column.name for attribute in company.attributes if attribute.column.pii}
    for scheme in schemes:
        if scheme.missing:
            needs = (f"{name} (held back as personal data)" if name in held_back else name for name in scheme.missing)
            yield scheme.name, f"needs {', '.join(needs)}"


def _read_scheme(loaded: LoadedSchemes, definition: Definition, values: dict[str, Any], named: Sequence[str]) -> Scheme:
    file, language = definition.file, loaded.company.language
    require_identifier(file.stem, "the file's name", str(file))
    content = Fields(values, Document(str(file)))
    kind: Any = content.choice("kind", (*KINDS, "clusters"))
    vocabulary, quantiles, missing = read_vocabulary(loaded, content, named, rule_texts(values))
    # What does not depend on what is wrong is read all the same: whoever mends a file wants to hear of all of it.
    found, strategy = ErrorCollector(), None
    evidence: tuple[str, ...] = ()
    own_methods: ScoreMethods = {}
    title, titles = read_translated_text(content, "title", language)
    question, questions = read_translated_text(content, "question", language)
    level = content.choice("level", LEVELS)
    with found.collecting():
        evidence = read_evidence(content, vocabulary.names)
    with found.collecting():
        strategy = read_strategy(content, language)
    scheme = Scheme(
        name=file.stem,
        title=title,
        titles=titles,
        level=level,
        question=question,
        questions=questions,
        kind=kind,
        evidence=evidence,
        segments=(),
        file=file,
        missing=missing,
        strategy=strategy,
        parameters={**vocabulary.parameters, **quantiles},
        quantiles=quantiles,
        vocabulary=vocabulary if quantiles else None,
        references=schemes_referred_to(loaded, named),
        clusters=clusters_referred_to(loaded, named),
    )
    context = FileContext(definition, vocabulary, language, fixed=loaded.fixed)
    with found.collecting():
        own_methods = read_score_methods(content)
    with found.collecting():
        scheme = _read_applies_to(scheme, content, context)
    with found.collecting():
        scheme = _read_rules(scheme, content, context) if kind == "rules" else _read_values(scheme, content, context)
    found.raise_first()
    content.refuse_unknown()
    require_parameters_used(scheme, definition.text)
    scores = scores_named(scheme.trees, scheme.evidence)
    scheme = replace(
        scheme, scores=scores, score_methods=methods_of_scheme(scheme.name, scores, own_methods, loaded.score_methods, str(file))
    )
    named_features = {column.name for tree in scheme.trees for column in tree.find_all(exp.Column)} | {*scheme.evidence, scheme.attribute}
    declared = {name: digest for name, digest in feature_digests(loaded.company.features).items() if name in named_features}
    scheme = replace(scheme, declared=declared)
    require_budget_shares([segment.strategy for segment in scheme.segments], str(file))
    return _prove_scheme(loaded, scheme, vocabulary, context)


def _read_applies_to(scheme: Scheme, content: Fields, context: FileContext) -> Scheme:
    """Return the scheme with the rule that says whom it is for, if there is one."""
    text = content.take("applies_to", str, default="")
    rule = parse_rule(text, context.vocabulary, where=context.line_of("applies_to")) if text else None
    return replace(scheme, applies_to_text=text, applies_to=rule)


def _read_rules(scheme: Scheme, content: Fields, context: FileContext) -> Scheme:
    is_scored = content.choice("decision", ("first_match", "highest_score"), default="first_match") == "highest_score"
    floor = float(content.take("floor", (int, float), default=0.0)) if is_scored else 0.0
    segments = _read_segments(content, context, is_scored=is_scored)
    return replace(scheme, decision="highest_score" if is_scored else "first_match", floor=floor, segments=segments)


def _read_values(scheme: Scheme, content: Fields, context: FileContext) -> Scheme:
    where = str(scheme.file)
    attribute = content.take("attribute", str)
    if context.vocabulary.names.get(attribute) is not Kind.TEXT or attribute in context.vocabulary.separators:
        suggestion = did_you_mean(attribute, (name for name, kind in context.vocabulary.names.items() if kind is Kind.TEXT))
        todo = "Name an attribute or a feature that is text; declare it under [needs] where a company may lack it."
        raise ConfigError(f"`attribute` is `{attribute}`, which is no text that is known{suggestion}", where=where, todo=todo)
    rule_text = content.take("rule", str, default="")
    rule = parse_rule(rule_text, context.vocabulary, where=where) if rule_text else None
    given = {"attribute": attribute, "rule_text": rule_text, "rule": rule}
    # Whoever chooses how few are too few means it of every value.
    is_chosen = content.has("fewest_customers")
    content.note("fewest_customers", low=1)
    fewest = content.take("fewest_customers", int, default=FEWEST_CUSTOMERS)
    if scheme.kind == "values":
        content.note("most_segments", low=1)
        content.note("leading_values", low=0)
        most = content.take("most_segments", int, default=MOST_SEGMENTS)
        leading = content.take("leading_values", int, default=0 if is_chosen else LEADING_VALUES)
        if min(most, fewest) < 1 or leading < 0:
            what = "`most_segments` and `fewest_customers` must be 1 or more, and `leading_values` 0 or more"
            raise ConfigError(what, where=where, todo="Correct the setting.")
        fixed = fixed_segments((OTHER, UNKNOWN), rule_text, context.fixed, context.language)
        return replace(scheme, **given, most_segments=most, fewest_customers=fewest, leading_values=leading, segments=fixed)
    if fewest < 1:
        raise ConfigError("`fewest_customers` must be 1 or more", where=where, todo="Correct the setting.")
    tiers = _read_segments(content, context, is_tier=True)
    limits = [segment.below for segment in tiers]
    is_rising = all(low is not None and high is not None and 0 < low < high for low, high in pairwise(limits[:-1]))
    if len(tiers) < 2 or limits[-1] is not None or not is_rising or not all(below and 0 < below < 1 for below in limits[:-1]):  # noqa: PLR2004
        todo = "Give each tier but the last a `below` between 0 and 1, each larger than the one before."
        raise ConfigError("the tiers do not divide all customers", where=where, todo=todo)
    fixed = fixed_segments((UNKNOWN,), rule_text, context.fixed, context.language)
    return replace(scheme, **given, fewest_customers=fewest, segments=(*tiers, *fixed))


def _read_segments(content: Fields, context: FileContext, *, is_scored: bool = False, is_tier: bool = False) -> tuple[Segment, ...]:
    tables = content.take("segment", list)
    if not all(isinstance(table, dict) for table in tables):
        raise ConfigError("`segment` is no list of tables", where=content.where, todo="Begin each segment with [[segment]].")
    if not tables:
        raise ConfigError("there are no segments, so customers are left without a segment", where=content.where, todo="Add [[segment]].")
    parts = [Fields(table, content.document, f"segment {number}: ") for number, table in enumerate(tables, 1)]
    locations = segment_locations(context.definition, len(parts))
    found = ErrorCollector()
    read: list[Segment] = []
    for part, where in zip(parts, locations, strict=True):
        with found.collecting():
            read.append(read_segment(part, context.at_line(where), is_scored=is_scored, is_tier=is_tier))
    found.raise_first()
    segments = tuple(read)
    # After all are read: a segment that is wrong in itself is reported before two that share a name.
    ids = [segment.id for segment in segments]
    for index, name in enumerate(ids):
        if name in ids[:index]:
            raise ConfigError(f"two segments are called `{name}`", where=locations[index], todo="Rename one of them.")
    return segments


def _prove_scheme(loaded: LoadedSchemes, scheme: Scheme, vocabulary: Vocabulary, context: FileContext) -> Scheme:
    """Prove that a scheme of rules divides those whom it applies to; of one of values, whose decision does, that there can be any."""
    domains = domains_of_references(loaded, scheme, vocabulary)
    if scheme.applies_to is not None:
        require_possible(scheme.applies_to, domains, where=context.line_of("applies_to"))
    if scheme.kind != "rules":
        return scheme
    locations = segment_locations(context.definition, len(scheme.segments))
    rules = [
        SegmentRule(segment.id, eligibility_condition(segment), where) for segment, where in zip(scheme.segments, locations, strict=True)
    ]
    is_ordered = scheme.decision == "first_match"
    proof = require_proven(rules, domains, where=str(scheme.file), is_ordered=is_ordered, among=scheme.applies_to)
    return replace(scheme, proof=proof)


def domains_of_references(loaded: LoadedSchemes, scheme: Scheme, vocabulary: Vocabulary) -> Domains:
    """Return what the names that a scheme's rules use can be, the segments of the schemes that it refers to included."""
    closed = [loaded.schemes[name] for name in scheme.references if loaded.schemes[name].is_closed]
    segments = {f"{other.name}{SEGMENT_SUFFIX}": [segment.id for segment in other.segments] for other in closed}
    always = frozenset(f"{name}{SEGMENT_SUFFIX}" for name in scheme.clusters)
    partial = frozenset(f"{name}{SEGMENT_SUFFIX}" for name in scheme.references if loaded.schemes[name].applies_to is not None)
    return Domains(vocabulary.names, segments, always, partial)


def require_parameters_used(scheme: Scheme, text: str) -> None:
    """Raise ConfigError for a parameter that no rule of the scheme names; `text` is that of its file."""
    for name in scheme.parameters.keys() - {name for rule in scheme.texts for name in parameters_of(rule)}:
        line = next((number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith(name)), 1)
        raise ConfigError(f"no rule names the parameter `@{name}`", where=f"{scheme.file}:{line}", todo="Use it, or delete it.")
